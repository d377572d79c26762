"""The figures by which `querywarden size` counts: those of docs/bench, and what of a client, a row and a query no other
bench measures.

python -m bench.sizing         measures, fits, and writes detector/sizing.json and docs/bench/sizing
python -m bench.sizing fit     fits what docs/bench says anew, and measures nothing
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from bench.logs import chunks
from bench.results import HERE, INK, OURS, THEIRS, figure, save, save_plot, say, table
from bench.speed import digits_lines, digits_profile
from detector.cluster.clients import Clients
from detector.cluster.ledger import POINTS
from detector.cluster.names import Names
from detector.cluster.partition import ROW, Partition
from detector.cluster.stages import Making
from detector.cluster.wire import Routes, messages
from detector.logs import DECODERS
from detector.policy import Dated
from detector.profile.artefact import Profile
from detector.settings import settings_of
from detector.sized import readable
from detector.sizing import SHIPPED, Figures, Size, Traffic, size

QUERIES = 40_000
CHUNK = 4_000
PARTITIONS = 12
HELD = 200_000
RATES = (1e4, 1e5, 1e6)
CLIENTS_A_QUERY = 10  # clients, for each query a second: a hundred thousand at ten thousand a second
NAME = "sizing"


def main() -> None:
    if sys.argv[1:] == ["fit"]:
        measured = _found(NAME)["measured"]
    else:
        measured = measure()
    figures = fitted(measured, _found("speed"), _found("cluster"), _found("kafka"))
    SHIPPED.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")
    sizes = {rate: size(figures, traffic(rate)) for rate in RATES}
    found = {"measured": measured, "sizes": [{"rate": rate, **msgspec.to_builtins(of)} for rate, of in sizes.items()]}
    save(NAME, found, page(figures, sizes))
    save_plot(NAME, drawn(figures))


def traffic(rate: float) -> Traffic:
    return Traffic(rate=rate, entities=int(rate * CLIENTS_A_QUERY))


def fitted(
    measured: Mapping[str, float], speed: Mapping[str, Any], cluster: Mapping[str, Any], kafka: Mapping[str, Any]
) -> Figures:
    """The model's figures from what the benches found. Processor time, and medians: walls are another machine's."""
    return Figures(
        record_bytes=kafka["record_bytes"],
        run_us=kafka["processor_us"]["querywarden"][0],
        worker_us=cluster["processor_us"]["two workers"][0],
        broker_us=cluster["broker_us"]["one worker"][0],
        clients=tuple((row["entities"], row["us"]) for row in speed["entities"]),
        row_bytes=speed["rows"]["client row"],
        saved_us=1e6 * cluster["saved_s"] / cluster["entities"],
        opened_us=1e6 * cluster["opened_s"] / cluster["entities"],
        **{name: round(value, 1) for name, value in measured.items()},
    )


# -- what no other bench measures


def measure() -> dict[str, float]:
    profile, lines = digits_profile(), digits_lines(QUERIES)
    partition = _judging(profile)
    say("what a query leaves behind")
    found = _left_behind(profile, partition, lines)
    say("what a client holds")
    return found | _held(partition)


def _judging(profile: Profile) -> Partition:
    """The one partition of a cluster that has one."""
    settings = settings_of({"source": {"type": "kafka", "brokers": ["127.0.0.1:9"], "topic": "sizing"}})
    routes = Routes(profile.secret, 1, DECODERS["native"], profile.summary.model)
    judge = Making(settings, profile, routes, []).stages(Names("sizing"))[0]
    partition = judge.made(0)
    partition.work.policies.append(Dated(0, profile.summary.policy))
    return partition


def _left_behind(profile: Profile, partition: Partition, lines: list[bytes]) -> dict[str, float]:
    """Bytes of the topics: between the stages, of the scores, of a row."""
    decode, summary = DECODERS["native"], profile.summary
    routes, whole = (Routes(profile.secret, number, decode, summary.model) for number in (PARTITIONS, 1))
    between, record, clock = 0, sum(map(len, lines)) / len(lines), 0
    for chunk in chunks(lines, CHUNK):
        shared, _ = messages(summary.id, chunk, routes, clock)
        between += sum(len(value) for _, value in shared)
        own, clock = messages(summary.id, chunk, whole, clock)
        for _, value in own:
            partition.apply(partition.applied + 1, value)
    points = partition.telling.points
    tape = sum(len(msgspec.msgpack.encode(points[i : i + POINTS])) for i in range(0, len(points), POINTS))
    rows = [len(key) + len(value) for key, value in partition.work.entries() if key[:1] == ROW]
    return {
        "between_bytes": between / len(lines) - record + _found("kafka")["record_bytes"],
        "tape_bytes": tape / len(lines),
        "state_bytes": float(np.mean(rows)),
    }


def _held(partition: Partition) -> dict[str, float]:
    """Bytes of memory: of this process, which has learned and judged, and of one more client, all of whose row is
    written.
    """
    gc.collect()
    assert isinstance(partition.work, Clients)
    before, clients = _resident(), partition.work.pipeline.clients
    slots = clients.slots([f"account-{number:08d}" for number in range(HELD)])
    clients.rows[slots] = clients.rows[0]
    return {"process_bytes": before, "held_bytes": (_resident() - before) / HELD}


def _resident() -> float:
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = [line for line in status if line.startswith("VmRSS:")]
    return float(line.split()[1]) * 1024


def _found(name: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode((HERE / f"{name}.json").read_bytes())
    return found


# -- what it looks like


def page(figures: Figures, sizes: Mapping[float, Size]) -> str:
    columns = list(sizes.values())

    def row(name: str, value: Any) -> tuple[str, ...]:
        return (name, *(value(of) for of in columns))

    rows = [
        ("clients", *(f"{traffic(rate).entities:,}" for rate in sizes)),
        row("cores of workers at work", lambda of: f"{of.cores:,.1f}"),
        row("workers", lambda of: f"{of.workers:,}"),
        row("partitions", lambda of: f"{of.partitions:,}"),
        row("memory of a worker", lambda of: readable(of.memory_bytes)),
        row("rows that a snapshot writes", lambda of: f"{of.changed:,.0f}"),
        row("a partition stands still for it, s", lambda of: f"{of.still_s:.1f}"),
        row("brokers", lambda of: f"{of.brokers:,}"),
        row("cores of brokers at work", lambda of: f"{of.broker_cores:,.1f}"),
        row("disks of brokers", lambda of: readable(of.broker_disk_bytes)),
        row("network of brokers, a day", lambda of: readable(of.network_bytes_day)),
        row("after a crash, until nothing is behind, s", lambda of: f"{of.recovery_s:.0f}"),
        *(
            row(f"wall: {name}, queries a second", lambda of, name=name: _wall(of, name))
            for name in ("one process", "partitions", "the busiest client", "snapshots")
        ),
    ]
    told = msgspec.to_builtins(figures)
    told["clients"] = ", ".join(f"{us:.1f} at {clients:,}" for clients, us in figures.clients)
    return "\n".join(
        [
            "# What a rate of queries needs",
            "",
            "`python -m bench.sizing`. The model of `querywarden size` ([what it says](../sizing.md)), with "
            f"{CLIENTS_A_QUERY} clients for each query a second, and otherwise its defaults.",
            "",
            table(["queries a second", *(f"{rate:,.0f}" for rate in sizes)], rows),
            "",
            "![Cores, and rows that a snapshot writes, by queries a second](sizing.png)",
            "",
            "The figures that it counts with:",
            "",
            table(
                ["figure", "value"],
                [(name, value if isinstance(value, str) else f"{value:,.1f}") for name, value in told.items()],
            ),
        ]
    )


def _wall(of: Size, name: str) -> str:
    return next((f"{wall.rate:,.0f}" for wall in of.walls if wall.name == name), "none")


def drawn(figures: Figures) -> Any:
    """Workers and brokers by rate, on logarithmic scales; a line where the busiest client fills a core."""
    drawing, axis = figure(8, 4)
    rates = np.geomspace(1e3, 1e6, 25)
    sizes = [size(figures, traffic(rate)) for rate in rates]
    axis.loglog(rates, [of.cores for of in sizes], color=OURS, lw=2, label="cores of workers at work")
    axis.loglog(rates, [of.workers for of in sizes], color=OURS, lw=2, ls=":", label="workers")
    axis.loglog(rates, [of.broker_cores for of in sizes], color=THEIRS, lw=2, label="cores of brokers at work")
    disks = [of.broker_disk_bytes / 1e12 for of in sizes]
    axis.loglog(rates, disks, color=INK, lw=1.5, ls="--", label="disks of brokers, TB")
    walls = {wall.name: wall.rate for wall in size(figures, traffic(RATES[-1])).walls}
    for name, rate in walls.items():
        if rates[0] < rate < rates[-1]:
            axis.axvline(rate, color="#b02a37", lw=1)
            axis.annotate(
                name, (rate, axis.get_ylim()[0]), (3, 4), textcoords="offset points", rotation=90, color="#b02a37"
            )
    axis.set(xlabel="queries a second")
    axis.legend(frameon=False, fontsize=9.5)
    return drawing


if __name__ == "__main__":
    main()
