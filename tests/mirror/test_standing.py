"""What is said of workers is what their mirror knows, and how old that is."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from detector.dashboard.reading.books import StoreBooks
from detector.dashboard.reading.health import AWAY
from detector.dashboard.reading.of_workers import FRESH_S, NOTHING, OLD
from detector.dashboard.shapes import HealthWord
from detector.errors import StoreError
from detector.mirror.keeping import Kept
from detector.mirror.standing import NAME, STUCK_S, Behind, Gap, Standing
from detector.policy import Dated
from detector.profile.artefact import Profile
from detector.run.forgetting import ask
from detector.settings import settings_of

NOW = 1_800_000_000.0
WELL = Standing(at=NOW, workers=2, behind=(Behind("judge", "c.queries", 3, 17),), rate=12.5, log_at=5, lag_s=1.5)


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (WELL, None),
        (msgspec.structs.replace(WELL, workers=0), "no worker runs"),
        (msgspec.structs.replace(WELL, trouble="timed out"), "the brokers do not answer: timed out"),
        (
            msgspec.structs.replace(WELL, gaps=(Gap("c.tape", 1, 40, NOW),)),
            "up to 40 messages of c.tape/1 were dropped",
        ),
        (
            msgspec.structs.replace(WELL, behind=(Behind("judge", "c.queries", 3, 17, NOW - STUCK_S),)),
            "judge stands still in c.queries/3",
        ),
        (msgspec.structs.replace(WELL, behind=(Behind("judge", "c.queries", 3, 17, NOW - STUCK_S + 1),)), None),
    ],
)
def test_what_a_person_should_know_is_a_sentence(standing: Standing, said: str | None) -> None:
    reasons = standing.reasons(NOW)
    assert len(reasons) == (said is not None)
    assert all(said is not None and said in reason for reason in reasons)


def health(
    folder: Path, profile: Profile, standing: Standing | None, now: float, monkeypatch: pytest.MonkeyPatch
) -> HealthWord:
    with closing(Kept(folder, cluster="c", profile=profile, ids="")) as kept:
        kept.journal([Dated(0, profile.summary.policy)])
        if standing is not None:
            kept.note(NAME, msgspec.msgpack.encode(standing))
    source = {"type": "kafka", "brokers": ["127.0.0.1:9"], "topic": "t"}
    settings = settings_of({"source": source, "store": {"path": str(folder)}, "cluster": {}})
    with closing(StoreBooks(settings, profile, check_s=0.0)) as books:
        monkeypatch.setattr("time.time", lambda: now)
        return books.health()


def test_the_health_of_workers_is_their_mirror_s_word(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = health(tmp_path, profile, WELL, NOW + 1, monkeypatch)
    assert (word.reachable, word.state, word.cluster, word.workers) == (True, "ok", "c", 2)
    assert (word.rate, word.lag_s, word.watermark_at, word.seen_at) == (12.5, 1.5, 5, NOW)
    assert [(one.who, one.topic, one.partition, one.messages) for one in word.behind] == [("judge", "c.queries", 3, 17)]
    assert [(one.name, one.state, one.backlog) for one in word.sinks] == [("(workers)", "ok", 0)]
    assert (word.records, word.queries, word.without_identity) == (None, None, None)  # nobody knows


def test_an_old_word_is_called_old_and_what_may_have_changed_since_is_not_said(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = health(tmp_path, profile, WELL, NOW + FRESH_S, monkeypatch)
    assert (word.reachable, word.state, word.workers, word.rate, word.lag_s) == (False, AWAY, None, None, None)
    assert word.reasons == (OLD,)
    assert [one.state for one in word.sinks] == [AWAY]


def test_before_the_first_word_nothing_is_said(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = health(tmp_path, profile, None, NOW, monkeypatch)
    assert (word.reachable, word.reasons, word.cluster) == (False, (NOTHING,), "c")


def test_a_mirror_forgets_nobody_whom_workers_would_write_again(profile: Profile, tmp_path: Path) -> None:
    Kept(tmp_path, cluster="c", profile=profile, ids="").close()
    with pytest.raises(StoreError, match="mirrors the workers c: they have to forget"):
        ask(tmp_path / "state.sqlite", "client", "ann", keep_alerts=False)
