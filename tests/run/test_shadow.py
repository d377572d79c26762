"""A profile in shadow judges what the run one judges, tells nobody, disturbs nothing, and takes over with its rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.alert import Alert
from detector.errors import SettingsError, StoreLocked
from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.run.outbox import Outbox
from detector.run.rivals import horizon_us, shadow_report
from detector.run.shadow import MARK, Mark
from detector.run.store import Reader
from tests.run.hour import STREAMS, hour
from tests.run.kept import Kept, kept
from tests.run.scene import Scene, Turn

HALF = [Turn(stream, len(hour().streams[stream]) // 2, 1.5) for stream in STREAMS]
REST = [Turn(stream, 10_000, 1.5) for stream in STREAMS]


@pytest.fixture(scope="module")
def new(other_saved: Path) -> Path:
    return other_saved


def beside(folder: Path, new: Path) -> dict[str, Any]:
    return {"shadow": {"profile": str(new), "store": str(folder / "shadow" / "store")}}


@pytest.fixture(scope="module")
def alone(saved: Path, new: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Kept]:
    """What each of the two keeps that is run by itself."""
    folder = tmp_path_factory.mktemp("alone")
    for name, profile in (("old", saved), ("new", new)):
        Scene(folder / name, profile, hour().streams, [*HALF, *REST]).run()
    found = {name: kept(folder / name) for name in ("old", "new")}
    assert found["old"].told != found["new"].told
    return found.__getitem__


def mark(folder: Path) -> Mark:
    with closing(Reader(folder / "shadow" / "store" / "state.sqlite")) as reader:
        return msgspec.msgpack.decode(dict(reader.db.read("SELECT name, body FROM extras"))[MARK], type=Mark)


@settings(max_examples=25)
@given(fuses=st.lists(st.integers(0, 80), max_size=5), size=st.sampled_from([7, 50, 400]), joins=st.booleans())
def test_each_keeps_what_it_keeps_alone_after_any_crashes(
    saved: Path, new: Path, alone: Callable[[str], Kept], fuses: list[int], size: int, joins: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = Scene(folder, saved, hour().streams, [*HALF, *REST])
        scene.run(*fuses, size=size, joins=joins, **beside(folder, new))
        assert kept(folder) == alone("old")
        assert kept(folder / "shadow") == alone("new")
        assert mark(folder).judged == sum(len(lines) for lines in hour().streams.values()) - len(alone("new").letters)


@pytest.mark.parametrize("moments", range(4, 40, 3))
def test_a_shadow_that_is_ahead_after_a_crash_takes_no_record_twice(
    saved: Path, new: Path, tmp_path: Path, alone: Callable[[str], Kept], moments: int
) -> None:
    """The crash comes between the two snapshots, too: every moment at which something is saved is tried."""
    Scene(tmp_path, saved, hour().streams, [*HALF, *REST]).run(moments, moments, **beside(tmp_path, new))
    assert (kept(tmp_path), kept(tmp_path / "shadow")) == (alone("old"), alone("new"))


def test_one_that_begins_later_begins_where_the_run_one_stands(saved: Path, new: Path, tmp_path: Path) -> None:
    scene = Scene(tmp_path, saved, hour().streams, HALF)
    scene.run()
    before = kept(tmp_path)
    scene._turns = iter(REST)
    scene.run(**beside(tmp_path, new))
    streams = {
        stream: [b"rubbish" if i < before.positions[stream] else line for i, line in enumerate(lines)]
        for stream, lines in hour().streams.items()
    }
    Scene(tmp_path / "late", new, streams, [*HALF, *REST]).run()
    found, expected = kept(tmp_path / "shadow"), kept(tmp_path / "late")
    assert found.of("client") == expected.of("client")
    assert mark(tmp_path).since == max(before.clocks.values())


def test_one_that_was_left_out_holds_up_nobody_and_counts_anew(
    saved: Path, new: Path, tmp_path: Path, alone: Callable[[str], Kept]
) -> None:
    scene = Scene(tmp_path, saved, hour().streams, [])
    first, second, third = (
        [Turn(stream, len(hour().streams[stream]) * n // 3, 1.5) for stream in STREAMS] for n in (1, 1, 3)
    )
    since = []
    for turns, options in ((first, beside(tmp_path, new)), (second, {}), (third, beside(tmp_path, new))):
        scene._turns = iter(turns)
        scene.run(**options)
        since.append(mark(tmp_path).since)
    assert since[0] == since[1] < since[2]
    assert kept(tmp_path).of("client") == alone("old").of("client")  # the end of each run closed ticks early
    assert kept(tmp_path / "shadow").positions == alone("old").positions


def sent(path: Path) -> list[Alert]:
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [a for a in (msgspec.json.decode(line, type=Alert) for line in lines) if a.kind != "health"]


def test_it_alerts_nobody_until_it_takes_over_with_its_rows(
    saved: Path, new: Path, tmp_path: Path, alone: Callable[[str], Kept]
) -> None:
    sinks = [{"type": "file", "path": str(tmp_path / "sent.jsonl")}]
    old = Scene(tmp_path, saved, hour().streams, HALF)
    old.run(sinks=sinks, **beside(tmp_path, new))
    before = sent(tmp_path / "sent.jsonl")
    first, recorded = artefact.load(saved).summary.id, kept(tmp_path / "shadow").told
    assert {alert.profile for alert in before} == {first}
    assert recorded
    taken_over = Scene(tmp_path / "shadow", new, hour().streams, REST)
    taken_over.log.written |= old.log.written
    taken_over.run(sinks=sinks)
    assert kept(tmp_path / "shadow").of("client") == alone("new").of("client")
    later = sent(tmp_path / "sent.jsonl")[len(before) :]
    assert {alert.profile for alert in later} == {artefact.load(new).summary.id}
    told = {id_ for ids in recorded.values() for id_ in ids}
    assert not {alert.id for alert in later} & (told | {alert.id for alert in before})
    with closing(Outbox(tmp_path / "shadow" / "store" / "outbox.sqlite")) as outbox:
        assert {alert.id for alert in outbox.kept()} == told | {alert.id for alert in later}


def test_an_alert_of_the_same_crossing_has_the_same_id_under_both(alone: Callable[[str], Kept]) -> None:
    """So that a sink which knows ids takes a crossing once, whoever of the two tells it."""
    ids = [{id_ for ids in alone(name).told.values() for id_ in ids} for name in ("old", "new")]
    assert ids[0] & ids[1]


def test_the_report_says_since_when_how_much_and_who(
    saved: Path, new: Path, tmp_path: Path, alone: Callable[[str], Kept]
) -> None:
    Scene(tmp_path, saved, hour().streams, [*HALF, *REST]).run(**beside(tmp_path, new))
    summary = artefact.load(new).summary
    lines = shadow_report(tmp_path / "store", tmp_path / "shadow" / "store", summary)
    assert lines[0].startswith(f"Shadow profile {summary.id}: since 2026-01-01T0")
    assert f"{mark(tmp_path).judged:,} queries judged" in lines[0]
    assert lines[1].startswith("Ready: no. A horizon (4 days) is full at 2026-01-05T0")
    old, both = set(alone("old").told), set(alone("old").told) & set(alone("new").told)
    assert any(line.startswith(f"Named by both: {len(both)} (") for line in lines)
    assert any(line.startswith(f"Named by the old only: {len(old - both)}") for line in lines)


def test_a_horizon_is_the_promises_or_the_logs_span(profile: Profile) -> None:
    summary = profile.summary
    assert horizon_us(summary) == 4 * 86_400_000_000
    of_log = msgspec.structs.replace(
        summary, horizon="log", log_from="2026-01-01T00:00:00.000000Z", log_to="2026-01-03T12:00:00.000000Z"
    )
    assert horizon_us(of_log) == 2.5 * 86_400_000_000


def test_a_shadow_needs_a_store_of_its_own(saved: Path, new: Path, tmp_path: Path) -> None:
    scene = Scene(tmp_path, saved, hour().streams, [])
    with pytest.raises(SettingsError, match=r"shadow\.store: it is the store that is run"):
        scene.runner(shadow={"profile": str(new), "store": str(tmp_path / "store")})
    with pytest.raises(SettingsError, match="shadow: set both"):
        scene.runner(shadow={"profile": str(new)})
    first = scene.runner(**beside(tmp_path, new))
    other = Scene(tmp_path / "other", saved, hour().streams, [])
    with pytest.raises(StoreLocked):
        other.runner(**beside(tmp_path, new))
    first.run()
    other.runner().run()  # what kept it from starting left its own store free
