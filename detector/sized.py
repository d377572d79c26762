"""`querywarden size`: its options, and what it says."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.sizing import Size, Traffic

UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", required=True, type=_positive, metavar="N", help="queries a second, at the busiest")
    parser.add_argument("--entities", required=True, type=_count, metavar="N", help="clients whose rows are held")
    parser.add_argument("--record-bytes", type=_positive, metavar="N", help="of the log; default: as measured")
    parser.add_argument("--busiest", type=_share, metavar="SHARE", help="of the busiest client; default: Zipf's law")
    parser.add_argument("--snapshot-s", type=_positive, default=30.0, metavar="N", help="store.snapshot_s (30)")
    parser.add_argument("--retention-h", type=_positive, default=168.0, metavar="N", help="cluster.retention_h (168)")
    parser.add_argument("--tape-days", type=_positive, default=35.0, metavar="N", help="store.tape_days (35)")
    parser.add_argument("--replication", type=_count, default=3, metavar="N", help="cluster.replication (3)")
    parser.add_argument("--use", type=_share, default=0.6, metavar="SHARE", help="of a core, at most (0.6)")
    parser.add_argument(
        "--broker-mb-s", type=_positive, default=200.0, metavar="N", help="that one broker takes in and gives out (200)"
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    import msgspec

    from detector.sizing import Traffic, shipped, size

    asked = {name: getattr(arguments, name) for name in Traffic.__struct_fields__ if hasattr(arguments, name)}
    traffic = Traffic(**asked)
    found = size(shipped(), traffic)
    if arguments.json:
        print(msgspec.json.encode(found).decode())  # noqa: T201
    else:
        print("\n".join(lines(traffic, found)))  # noqa: T201
    return 0


def lines(traffic: Traffic, found: Size) -> list[str]:
    beyond = [wall for wall in found.walls if wall.rate > traffic.rate]
    return [
        f"{traffic.rate:,.0f} queries a second of {traffic.entities:,} clients, at most {traffic.use:.0%} of a core:",
        "",
        *_table(
            [
                ("workers", f"{found.workers:,} ({found.cores:.2f} cores at work)"),
                ("partitions", f"{found.partitions:,}"),
                ("memory of a worker", readable(found.memory_bytes)),
                ("a snapshot", f"{found.changed:,.0f} rows; a partition stands still for {found.still_s:.1f} s"),
                (
                    "brokers",
                    f"{found.brokers:,} ({found.broker_cores:.2f} cores at work, {traffic.replication} copies)",
                ),
                ("their disks", readable(found.broker_disk_bytes)),
                ("their network", f"{readable(found.network_bytes_day)} a day"),
                ("after a crash", f"{found.recovery_s:.0f} s until nothing is behind"),
            ]
        ),
        "",
        *(f"Passed at {wall.rate:,.0f} a second: {wall.name}." for wall in found.walls if wall.rate <= traffic.rate),
        *(f"The next wall, at {wall.rate:,.0f} a second: {wall.name}; {wall.why}." for wall in beyond[:1]),
    ]


def readable(bytes_: float) -> str:
    """
    >>> readable(1_234_567.0)
    '1.2 MB'
    """
    for unit in UNITS[:-1]:
        if bytes_ < 1000:
            return f"{bytes_:,.1f} {unit}"
        bytes_ /= 1000
    return f"{bytes_:,.1f} {UNITS[-1]}"


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows]


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def _count(text: str) -> int:
    value = int(float(text))  # 1e6, too
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 1")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value
