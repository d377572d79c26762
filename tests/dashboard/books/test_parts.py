"""The parts of the books that need no store: cursors, thinning, promises, and what the detector's port says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.dashboard.reading import cursors, health
from detector.dashboard.reading.casing import Casing
from detector.dashboard.reading.entity import MOST_POINTS, thinned
from detector.dashboard.reading.tapes import StoreTape
from detector.dashboard.reading.taping import Taping
from detector.dashboard.whatif import promised
from detector.dashboard.whatif.promised import Calibrated
from detector.errors import SettingsError
from detector.profile import calibration
from detector.query import DeadLetter
from detector.run.delivery import Standing
from detector.run.health import Health
from detector.run.outbox import Outbox
from detector.run.store import Store
from detector.run.telemetry import Endpoint, Telemetry
from detector.run.verdicts import Verdict, holds
from tests.run.made import alert, point

GRID = st.lists(st.integers(0, 300), min_size=1, max_size=400).map(sorted)


@given(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.text(), st.text()))
def test_a_cursor_says_where_it_was(key: tuple[float, str, str]) -> None:
    assert cursors.key_of(cursors.after(key), (float, str, str)) == key


@pytest.mark.parametrize("cursor", ["", "?", "bm8", "WzFd", "é", cursors.after((1.0,))])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(SettingsError, match="was not given by this list"):
        cursors.key_of(cursor, (float, str, str))


@given(levels=st.lists(st.integers(0, 200), max_size=60), most=st.integers(8, 30))
def test_a_thinned_line_keeps_its_ends_and_its_extremes(levels: list[int], most: int) -> None:
    kept = thinned(levels, most)
    assert len(kept) <= max(most, 0) or len(levels) <= most
    assert kept == sorted(set(kept))
    if levels:
        assert {0, len(levels) - 1} <= set(kept)
        of = [levels[i] for i in kept]
        assert (min(of), max(of)) == (min(levels), max(levels))
    assert len(thinned(list(range(10_000)))) <= MOST_POINTS


@given(suprema=GRID, share=st.floats(0.001, 0.6), excluded=st.integers(0, 3), sure=st.none() | st.just(0.9))
def test_what_a_share_asks_for_promises_no_more(
    suprema: list[int], share: float, excluded: int, sure: float | None
) -> None:
    known = Calibrated("client", np.array(suprema), excluded, sure, "30 days", (), "clients")
    found = promised.of_share(known, "medium", share)
    carried = calibration.smallest_share(len(suprema), excluded, sure) <= share + 1e-9  # as ranks are rounded
    assert found.share is not None
    assert found.supported == carried or found.words
    if carried:
        assert found.share <= share + 1e-9
    else:
        assert not found.supported


@given(suprema=GRID, scores=st.lists(st.floats(0.5, 60.0), min_size=2, max_size=2).map(sorted))
def test_a_higher_threshold_lets_no_more_pass(suprema: list[int], scores: list[float]) -> None:
    known = Calibrated("client", np.array(suprema), 0, None, "30 days", (), "clients")
    low, high = (promised.of_score(known, "high", score) for score in scores)
    assert low.share is not None
    assert high.share is not None
    assert high.share <= low.share
    assert high.low is not None
    assert high.high is not None
    assert high.low <= high.high


def test_who_calibrated_nobody_promises_nothing() -> None:
    none = Calibrated("ring", np.zeros(0, np.int64), 0, None, "30 days", (), "rings")
    found = promised.of_share(none, "medium", 0.01)
    assert (found.share, found.supported) == (None, False)
    assert "No rings calibrated" in found.words[0]


def test_an_older_verdict_does_not_expire() -> None:
    evidence = {"signals": [], "odds": [], "evidence": [], "exposed": [], "sequence": 0, "queries": 1, "level": 30}
    body = {"case_id": "c", "answer": "attack", "by": "ann", "note": "", "at": "", "said_at": 1.0, "profile": "p"}
    old = msgspec.msgpack.encode(body | {"evidence": evidence | {"attack": "extraction"}})
    assert holds(msgspec.msgpack.decode(old, type=Verdict), 1e12)
    expiring = msgspec.structs.replace(msgspec.msgpack.decode(old, type=Verdict), expires_at=10.0)
    assert holds(expiring, 9.9)
    assert not holds(expiring, 10.0)


# -- reading on


def test_a_tape_is_read_on_and_begun_anew_when_rows_were_taken_away(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "state.sqlite", profile="p")) as store:
        taping = Taping(StoreTape(tmp_path, days=400))
        store.save(positions={}, rows=[], points=[point(1, n) for n in (1, 2)])
        assert taping.refresh()
        assert not taping.refresh()
        store.save(positions={}, rows=[], points=[point(1, 2, level=9), point(2, 5)])
        taping.refresh()
        columns = taping.columns
        assert [(columns.who[e].id, n) for e, n in zip(columns.points.entity, columns.points.n, strict=True)] == [
            ("c1", 1),
            ("c1", 2),
            ("c2", 5),
        ]
        assert columns.points.level.tolist() == [3, 9, 3]
        store.prune_tape(6)  # all of it: their numbers are given again
        store.save(positions={}, rows=[], points=[point(3, n) for n in range(6, 12)])
        taping.refresh()
        assert {taping.columns.who[e].id for e in taping.columns.points.entity.tolist()} == {"c3"}


def test_held_cases_are_told_apart_and_erased_ones_are_gone(tmp_path: Path) -> None:
    casing = Casing()
    held = msgspec.structs.replace(alert(7), case_id="held")
    with closing(Outbox(tmp_path / "outbox.sqlite")) as outbox:
        outbox.put([alert(1), msgspec.structs.replace(alert(2), action="escalate", severity="critical")])
        outbox.hold([held])
        assert casing.refresh(outbox)
        assert not casing.refresh(outbox)
        assert {case: told.state for case, told in casing.told.items()} == {"case": "open", "held": "held"}
        assert casing.told["case"].accusing.severity == "critical"
        outbox.put([msgspec.structs.replace(alert(3), action="resolve")])
        casing.refresh(outbox)
        assert casing.told["case"].state == "resolved"
        assert casing.told["case"].accusing.severity == "critical"
        outbox.erase("client", "c")
        casing.refresh(outbox)
        assert casing.told == {}


# -- what the port says


@pytest.fixture
def endpoint() -> Iterator[tuple[Telemetry, tuple[str, int]]]:
    telemetry = Telemetry()
    made = Endpoint(telemetry, lambda: Health(reasons=("a sink is busy",), queries_per_s=12.5, lag_s=3.0), port=0)
    yield telemetry, made.address
    made.close()


def test_health_is_what_the_port_says(tmp_path: Path, endpoint: tuple[Telemetry, tuple[str, int]]) -> None:
    telemetry, address = endpoint
    telemetry.records.inc(200)
    telemetry.queries.inc(150)
    telemetry.without_identity.inc(10)
    telemetry.dead_letters.labels("json").inc(5)
    telemetry.sink(Standing("siem", "busy", None, 12.0), 3)
    telemetry.watermark_s.set(100.0)
    letter = DeadLetter("file:a", 1_234, 0, "json", "no JSON at byte 3")
    with (
        closing(Store(tmp_path / "state.sqlite", profile="p")) as store,
        closing(Outbox(tmp_path / "outbox.sqlite")) as outbox,
    ):
        store.dead_letter([letter])
        outbox.join("siem")
        outbox.put([alert(1)])
        numbers = {"entities": 1, "points": 2, "store_bytes": 3, "watermark_at": None, "seen_at": 4.0}
        found = health.health(health.asked(*address), store, outbox, [], **numbers)  # type: ignore[arg-type]
    assert (found.reachable, found.state, found.reasons) == (True, "degraded", ("a sink is busy",))
    assert (found.rate, found.lag_s, found.records, found.queries) == (12.5, 3.0, 200, 150)
    assert (found.without_identity, found.watermark_at) == (0.05, 100_000_000)
    assert [(one.reason, one.count, one.example) for one in found.letters] == [
        ("json", 5, "file:a, record 1,234: no JSON at byte 3")
    ]
    assert [(one.name, one.state, one.backlog) for one in found.sinks] == [("siem", "busy", 1)]


def test_a_port_that_says_something_else_is_no_detector() -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that it is called by
            pass

    server = HTTPServer(("127.0.0.1", 0), Other)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        assert health.asked("127.0.0.1", server.server_address[1]) is None
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert health.asked("127.0.0.1", server.server_address[1]) is None
    assert health.asked("127.0.0.1", 0) is None
