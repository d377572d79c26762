"""What workers would not judge as one process does is refused, with what to do."""

from __future__ import annotations

from typing import Any

import pytest

from detector.cluster import stages
from detector.errors import SettingsError
from detector.profile.artefact import Profile
from detector.settings import Settings, settings_of

SOUND: dict[str, dict[str, Any]] = {
    "source": {"type": "kafka", "brokers": ["127.0.0.1:9"], "topic": "t"},
}


def settings(**sections: dict[str, Any]) -> Settings:
    return settings_of({name: SOUND.get(name, {}) | sections.get(name, {}) for name in SOUND | sections})


def test_sound_settings_are_taken(profile: Profile) -> None:
    source, taken = stages.check(settings(), profile)
    assert source.topic == "t"
    assert taken is profile


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"entities": {"groups": ["subnet"]}}, r'entities\.groups: "subnet", but the profile judges organisation'),
        ({"shadow": {"profile": "p", "store": "s"}}, "shadow: workers run no second profile"),
        ({"source": {"partitions": [0]}}, r"source\.partitions: workers share out all"),
        ({"source": {"on_gap": "continue"}}, "always refuses a gap"),
        ({"source": {"group": "g"}}, r"named by cluster\.name"),
    ],
)
def test_what_workers_would_do_otherwise_is_refused(
    profile: Profile, sections: dict[str, dict[str, Any]], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        stages.check(settings(**sections), profile)


def test_a_log_in_files_and_a_run_without_profile_are_for_one_process(profile: Profile) -> None:
    files = settings_of({**SOUND, "source": {"type": "file", "paths": ["a"]}})
    with pytest.raises(SettingsError, match="files are read by `querywarden run`"):
        stages.check(files, profile)
    with pytest.raises(SettingsError, match="a worker needs a profile"):
        stages.check(settings(), None)
