"""What a rate of queries needs: the model against sums by hand, and the figures against what was measured."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from bench import sizing as bench
from detector.sizing import Figures, Traffic, changed_within, shipped, size
from tests.conftest import Call
from tests.docs.pages import ROOT

FIGURES = Figures(
    record_bytes=500.0,
    run_us=20.0,
    worker_us=40.0,
    broker_us=5.0,
    clients=((1_000, 10.0), (1_000_000, 20.0)),
    row_bytes=4_000.0,
    held_bytes=5_000.0,
    process_bytes=1e8,
    saved_us=100.0,
    opened_us=50.0,
    between_bytes=520.0,
    tape_bytes=20.0,
    state_bytes=4_100.0,
)
SMALL = Traffic(rate=10_000.0, entities=1_000)


def test_the_figures_are_those_that_the_benches_found() -> None:
    """After another run of a bench: `make docs`."""
    found = {name: bench._found(name) for name in ("speed", "cluster", "kafka")}
    assert shipped() == bench.fitted(bench._found(bench.NAME)["measured"], **found)


def test_a_thousand_clients_are_counted_as_by_hand() -> None:
    """0.4 cores of queries and 1,000 rows each 30 s are 0.4033 cores: one worker at 60%."""
    found = size(FIGURES, SMALL)
    assert found.changed == pytest.approx(1_000, rel=1e-6)  # in 30 s even the quietest asks 40 times
    assert found.cores == pytest.approx(0.4 + 1_000 / 30 * 100e-6)
    assert (found.workers, found.partitions, found.brokers) == (1, 12, 3)
    assert found.memory_bytes == 1e8 + 1_000 * 5_000
    assert found.still_s == pytest.approx(1_000 / 12 * 100e-6)
    assert found.broker_cores == pytest.approx(0.05)
    week = 10_000 * 520 * 168 * 3600
    assert found.broker_disk_bytes == pytest.approx(3 * (week + 10_000 * 20 * 35 * 86_400 + 2 * 1_000 * 4_100))
    into = 10_000 * (520 + 20) + 1_000 / 30 * 4_100
    assert found.in_bytes_s == pytest.approx(3 * into)
    assert found.out_bytes_s == pytest.approx(10_000 * (500 + 520) + 2 * into)


def test_changed_clients_are_what_a_draw_finds() -> None:
    """Queries drawn by Zipf's law, so many as come in three seconds."""
    traffic = Traffic(rate=2_000.0, entities=20_000)
    weights = 1.0 / np.arange(1, traffic.entities + 1)
    rng = np.random.default_rng(1)
    drawn = [len(np.unique(rng.choice(traffic.entities, 6_000, p=weights / weights.sum()))) for _ in range(20)]
    assert changed_within(traffic, 3.0) == pytest.approx(np.mean(drawn), rel=0.01)


@pytest.mark.parametrize("field", ["cores", "workers", "partitions", "brokers", "broker_disk_bytes", "changed"])
def test_more_queries_never_need_less(field: str) -> None:
    needed = [getattr(size(FIGURES, Traffic(rate=rate, entities=100_000)), field) for rate in np.geomspace(10, 1e6, 40)]
    assert needed == sorted(needed)


def test_no_worker_is_used_beyond_what_is_asked_for_and_one_less_would_be() -> None:
    for rate in (1e4, 7e4, 5e5):
        traffic = Traffic(rate=rate, entities=int(10 * rate))
        found = size(FIGURES, traffic)
        assert found.cores <= found.workers * traffic.use
        assert found.cores > (found.workers - 1) * traffic.use * 0.95  # fewer would hold more clients each


def test_a_client_who_is_half_of_the_traffic_is_the_first_wall() -> None:
    """His queries fill 60% of a core, 40 µs each, when 15,000 of his come in a second."""
    walls = {wall.name: wall for wall in size(FIGURES, Traffic(rate=1e4, entities=1_000, busiest=0.5)).walls}
    assert walls["the busiest client"].rate == pytest.approx(0.6 / 40e-6 / 0.5, rel=2e-3)
    assert walls["one process"].rate == pytest.approx(0.6 / 20e-6, rel=2e-3)
    assert walls["the busiest client"].rate < walls["partitions"].rate


def test_after_a_crash_two_workers_recover_sooner_than_one() -> None:
    busy = Traffic(rate=14_000.0, entities=1_000)
    slow, fast = (size(FIGURES, msgspec.structs.replace(busy, rate=rate)) for rate in (14_000.0, 15_500.0))
    assert (slow.workers, fast.workers) == (1, 2)
    assert fast.recovery_s < slow.recovery_s
    assert slow.recovery_s > busy.session_s


def test_the_command_says_it_in_words_and_in_json(call: Call) -> None:
    status, out, _ = call("size", "--rate", "1e5", "--entities", "1e6")
    assert status == 0
    assert "100,000 queries a second of 1,000,000 clients" in out
    assert "The next wall, at " in out
    status, out, _ = call("size", "--rate", "1e5", "--entities", "1e6", "--json")
    found = json.loads(out)
    assert found["workers"] == size(shipped(), Traffic(rate=1e5, entities=1_000_000)).workers


@pytest.mark.parametrize("wrong", [("--rate", "0"), ("--entities", "0"), ("--use", "1"), ("--busiest", "2")])
def test_what_cannot_be_meant_is_refused(call: Call, wrong: tuple[str, str]) -> None:
    asked = {"--rate": "10", "--entities": "10"} | dict([wrong])
    with pytest.raises(SystemExit):
        call("size", *(word for pair in asked.items() for word in pair))


def test_the_page_shows_what_the_command_says() -> None:
    sizes = json.loads((ROOT / "docs" / "bench" / "sizing.json").read_text())["sizes"]
    for row in sizes:
        found = size(shipped(), bench.traffic(row["rate"]))
        assert (row["workers"], row["partitions"]) == (found.workers, found.partitions)
