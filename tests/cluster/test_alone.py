"""What workers would not judge as one process does is refused, with what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from detector.cluster import alone
from detector.errors import SettingsError
from detector.logs.native import decode_many
from detector.pipeline import Pipeline
from detector.policy import Dated, Policy
from detector.profile.artefact import Profile
from detector.settings import Settings, settings_of

SOUND: dict[str, dict[str, Any]] = {
    "source": {"type": "kafka", "brokers": ["127.0.0.1:9"], "topic": "t"},
    "policy": {"storm": {"at_least": 0}},
    "cluster": {"clients_only": True},
}


def settings(**sections: dict[str, Any]) -> Settings:
    return settings_of({name: SOUND.get(name, {}) | sections.get(name, {}) for name in SOUND | sections})


def test_sound_settings_are_taken(profile: Profile) -> None:
    source, taken = alone.check(settings(), profile)
    assert source.topic == "t"
    assert taken is profile


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (
            {"cluster": {"clients_only": False}},
            "also judges organisation, rings, the population, which span partitions",
        ),
        ({"policy": {"storm": {"at_least": 20}}}, r"policy\.storm\.at_least: .* Set it to 0"),
        ({"entities": {"groups": ["organisation"]}}, r"entities\.groups: workers judge no groups yet"),
        ({"shadow": {"profile": "p", "store": "s"}}, "shadow: workers run no second profile"),
        ({"learning": {"successor": "auto"}}, r"learning\.successor: no successor is learned"),
        ({"source": {"partitions": [0]}}, r"source\.partitions: workers share out all"),
        ({"source": {"on_gap": "continue"}}, "always refuses a gap"),
        ({"source": {"group": "g"}}, r"named by cluster\.name"),
    ],
)
def test_what_workers_would_do_otherwise_is_refused(
    profile: Profile, sections: dict[str, dict[str, Any]], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        alone.check(settings(**sections), profile)


def test_a_log_in_files_and_a_run_without_profile_are_for_one_process(profile: Profile) -> None:
    files = settings_of({**SOUND, "source": {"type": "file", "paths": ["a"]}})
    with pytest.raises(SettingsError, match="files are read by `querywarden run`"):
        alone.check(files, profile)
    with pytest.raises(SettingsError, match="a worker needs a profile"):
        alone.check(settings(), None)


def test_a_worker_judges_the_same_profile_without_what_spans_clients(profile: Profile) -> None:
    assert {"organisation", "ring"} <= {table.kind for table in _pipeline_tables(profile, whole=True)}
    assert [table.kind for table in _pipeline_tables(profile, whole=False)] == ["client"]
    clients = alone.clients_of(profile)
    assert clients.summary.id == profile.summary.id
    assert replace(clients, summary=profile.summary) == profile


def _pipeline_tables(profile: Profile, *, whole: bool) -> list[Any]:
    policies = [Dated(0, Policy("none", {}))]
    if whole:
        return Pipeline(profile, policies, decode_many).tables
    made = alone.pipelines(settings(), profile, decode_many)(policies)
    assert made.population is None
    return made.tables
