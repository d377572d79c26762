"""What a query costs: against reading its record at all, stage by stage, with many clients, on disk.

python -m bench.speed

Processor time of one thread, so that what else the machine does counts little; a snapshot waits for the disk and is
wall time. What is compared takes turns in one process, and medians are given.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np

from bench.logs import chunks, reader
from bench.results import BUILD, LINE, QUIET, figure, save, save_plot, say, table
from detector import columns, levels
from detector.entities import Entities
from detector.levels import PART, ClientLevel, GroupLevel, Naming
from detector.logs import DECODERS
from detector.logs.contract import Decode
from detector.pipeline import Pipeline
from detector.policy import Dated
from detector.profile import fit, watching
from detector.profile.artefact import Profile, client_row, group_row
from detector.profile.training import Training
from detector.query import Batch
from detector.redteam.world import digits_world, simulate
from detector.run.store import Store
from detector.spanning import Spanning
from features import NUMBERS
from features.kit import Kit

CHUNK = 4000  # records that a source hands on at once
QUERIES = 40_000
HONEST_FIT, HONEST_TEST = 900, 450
SEED_FIT, SEED_TEST = 7001, 7002
ROUNDS = 9
ENTITIES = (1_000, 100_000, 1_000_000)
ZIPF = 1.0  # the k-th busiest client asks 1/k as much as the busiest
APART_US = 1_000  # between their queries
SNAPSHOTS = (10_000, 100_000)
AT_MOST = {"replay": 2.0, "entities": 1.5, "client row": 6144, "group row": 2560}

DECODE, COLUMNS, ADMIT, FEATURES, WEIGH = "decode", "columns, projection", "admit", "features", "weigh"
GROUPS, POINTS, REST = "clocks, groups", "points, decisions", "rest"
STAGES = {
    DECODE: "#1f5fa8", COLUMNS: "#6fa3d8", ADMIT: "#222222", FEATURES: "#e0a458", WEIGH: "#c8642d",
    GROUPS: "#7a5195", POINTS: "#4c9a6a", REST: "#d0d0d0",
}  # fmt: skip


class Answer(msgspec.Struct, gc=False):
    label: int | str | None = None
    probabilities: list[float] | None = None


class Record(msgspec.Struct, gc=False):
    """A record of the log as a program that judges nothing would read it."""

    at: float | str
    input: list[float]
    client: str | None = None
    model: str | None = None
    id: str | None = None
    output: Answer | None = None
    groups: dict[str, str] | None = None


DECODER = msgspec.json.Decoder(Record)


def main() -> None:
    profile = digits_profile()
    with_groups = digits_lines(QUERIES)
    logs = {"clients": [without_groups(line) for line in with_groups], "clients and groups": with_groups}
    found = {
        "queries": QUERIES,
        "record_bytes": round(float(np.mean([len(line) for line in with_groups]))),
        "replay": {name: measured(profile, lines) for name, lines in logs.items()},
        "stages": {name: stages(profile, lines) for name, lines in logs.items()},
        "entities": many_entities(profile, with_groups),
        "rows": {"client row": client_row(NUMBERS).itemsize, "group row": group_row(NUMBERS).itemsize},
        "snapshots": snapshots(),
        "at_most": AT_MOST,
    }
    save("speed", found, page(found))
    save_plot("speed", drawn(found))


# -- what is read: scikit-learn's digits, 64 inputs and 10 probabilities


def digits_profile() -> Profile:
    """Fitted on honest clients and their organisations, once: the folder in build/bench keeps the log."""
    world = digits_world()
    path = _folder() / "honest.jsonl"
    say(f"fitting on {HONEST_FIT} honest clients of the digits world")
    simulate(world, seed=SEED_FIT, honest=HONEST_FIT).write(path)
    training = Training(world.train.pixels, world.train.classes.astype(np.int32))
    options = fit.Options(promise=0.01, horizon_us=None, seed=0)
    return fit.fit(reader(path), DECODERS["native"], training, options, lambda text: None)


def digits_lines(queries: int) -> list[bytes]:
    """So many records of fresh honest clients, in the order of time."""
    clients = HONEST_TEST * -(-queries // QUERIES)
    lines = []
    for line, _ in zip(simulate(digits_world(), seed=SEED_TEST, honest=clients).lines(), range(queries), strict=False):
        lines.append(line.rstrip(b"\n"))
    assert len(lines) == queries, f"{clients} clients asked only {len(lines)}"
    return lines


def without_groups(line: bytes) -> bytes:
    record = msgspec.json.decode(line)
    del record["groups"]
    return msgspec.json.encode(record)


def _folder() -> Path:
    folder = BUILD / "speed"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# -- (a) a replay against reading alone


def read_alone(lines: Sequence[bytes], size: int) -> None:
    for start in range(0, len(lines), size):
        records = [DECODER.decode(line) for line in lines[start : start + size]]
        np.array([record.input for record in records])


def read_and_drop(lines: Sequence[bytes]) -> None:
    """Reading alone: no more is held at a time than the cache holds, and only the inputs."""
    for start in range(0, len(lines), PART):
        np.array([DECODER.decode(line).input for line in lines[start : start + PART]])


def replayed(profile: Profile, lines: Sequence[bytes], decode: Decode) -> None:
    """As `run.replay` does it: ticks close behind each chunk."""
    pipeline = Pipeline(profile, [Dated(0, profile.summary.policy)], decode)
    judged = 0
    for chunk in chunks(lines, CHUNK):
        judged += pipeline.advance(chunk).judged
        pipeline.tick([chunk.stream])
    assert judged == len(lines), f"judged {judged} of {len(lines)}"


def measured(profile: Profile, lines: Sequence[bytes]) -> dict[str, Any]:
    say("replaying against reading alone")
    ways: dict[str, Callable[[], None]] = {
        "read": lambda: read_alone(lines, CHUNK),
        "replay": lambda: replayed(profile, lines, DECODERS["native"]),
        "dropped": lambda: read_and_drop(lines),
    }
    us = {name: 1e6 * np.array(times) / len(lines) for name, times in taking_turns(ways).items()}
    ratio, against_dropped = us["replay"] / us["read"], us["replay"] / us["dropped"]
    return {
        **{f"{name}_us": float(np.median(times)) for name, times in us.items()},
        "ratio": float(np.median(ratio)),
        "ratios": [float(ratio.min()), float(ratio.max())],
        "ratio_dropped": float(np.median(against_dropped)),
        "ratios_dropped": [float(against_dropped.min()), float(against_dropped.max())],
    }


def taking_turns(ways: Mapping[str, Callable[[], None]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of processor time of each, ROUNDS times, after one round that warms up."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            gc.collect()
            began = time.process_time()
            way()
            if turn:
                times[name].append(time.process_time() - began)
    return times


# -- (b) where the time goes


class Stopwatch:
    """Processor time by stage; what a stage spends within another counts for itself only."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(STAGES, 0.0)
        self._inner = [0.0]

    def around(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            began = time.process_time()
            try:
                return call(*args, **named)
            finally:
                whole = time.process_time() - began
                self.spent[stage] += whole - self._inner.pop()
                self._inner[-1] += whole

        return timed


TIMED: tuple[tuple[Any, str, str], ...] = (
    (Pipeline, "_batch", COLUMNS),
    (columns, "inputs_of", COLUMNS),
    (levels, "admitted", ADMIT),
    (Kit, "measure", FEATURES),
    (levels, "weighed", WEIGH),
    (Spanning, "asked", GROUPS),
    (GroupLevel, "close", GROUPS),
    (ClientLevel, "advance", POINTS),
    (Pipeline, "_judge", POINTS),
)


@contextmanager
def timed() -> Iterator[Stopwatch]:
    watch = Stopwatch()
    with ExitStack() as patches:
        for owner, name, stage in TIMED:
            patches.enter_context(patch.object(owner, name, _as_method(watch.around(stage, getattr(owner, name)))))
        yield watch


def _as_method(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **named: call(*args, **named)


def stages(profile: Profile, lines: Sequence[bytes]) -> dict[str, float]:
    """Microseconds a query, medians of the rounds."""
    say("where the time goes")
    rounds = []
    for _ in range(ROUNDS):
        with timed() as watch:
            decode = watch.around(DECODE, DECODERS["native"])
            watch.around(REST, replayed)(profile, lines, decode)
        rounds.append(watch.spent)
    return {stage: 1e6 * float(np.median([spent[stage] for spent in rounds])) / len(lines) for stage in STAGES}


# -- (c) many clients


def many_entities(profile: Profile, lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Microseconds a query of the client level alone, whose rows lie in a table of so many; volumes by Zipf's law."""
    log = columns_of(profile, lines)
    ways = {}
    for n in ENTITIES:
        say(f"a table of {n:,} clients")
        level = seasoned(profile, log, n)
        weights = np.arange(1, n + 1) ** -ZIPF
        rng = np.random.default_rng(n)
        busy = rng.permutation(n)[rng.choice(n, len(log), p=weights / weights.sum())]
        at = log.at.max() + APART_US * np.arange(len(log))
        asked = Batch(
            busy, at, log.x, log.residual, log.roughness, log.labels, log.top, log.ids.copy(), log.odd.copy(), log.form
        )
        ways[str(n)] = lambda level=level, asked=asked: ask_on(level, asked)
    us = {name: 1e6 * np.array(times) / len(log) for name, times in taking_turns(ways).items()}
    return [
        {
            "entities": int(name),
            "us": float(np.median(times)),
            "us_range": [float(times.min()), float(times.max())],
            "ratio": float(np.median(times / us[str(ENTITIES[0])])),
        }
        for name, times in us.items()
    ]


def columns_of(profile: Profile, lines: Sequence[bytes]) -> Batch:
    queries, _, _ = DECODERS["native"](lines)
    inputs, _ = columns.inputs_of(queries, profile.projection.width)
    x, residual, roughness = profile.projection.apply(inputs)
    return Batch(
        slots=np.zeros(len(queries), np.int64),
        at=np.array([query.at for query in queries], np.int64),
        x=x,
        residual=residual,
        roughness=roughness,
        labels=columns.labels_of(queries),
        top=columns.top_of(queries),
        ids=columns.id_hashes(queries, columns.secret_word(profile.secret)),
        odd=np.zeros(len(queries), np.uint8),
        form=np.zeros((len(queries), 0)),
    )


def seasoned(profile: Profile, log: Batch, n: int) -> ClientLevel:
    """n clients, each with the row of one that has asked 300 queries, all of whose memory is written."""
    entities = Entities(profile.summary.model, "client", client_row(NUMBERS), b"", capacity=n)
    for number in range(n):
        entities.slot(f"c-{number:07d}")
    epoch_us = profile.summary.epoch_us
    law = profile.laws["client"]
    known, word = profile.known, columns.secret_word(b"")
    level = ClientLevel(profile.kit, entities, profile.learned, known, law, epoch_us, word)
    if profile.first:
        level.watch = watching.restored(profile.first).watch(law.slope)
    level.advance(log.part(0, 300), Naming([None] * 300, [""] * 300))
    salts = entities.rows["salt"].copy()
    entities.rows[1:] = entities.rows[0]
    entities.rows["salt"] = salts
    return level


def ask_on(level: ClientLevel, asked: Batch) -> None:
    nobody: list[str | None] = [None] * CHUNK
    for start in range(0, len(asked), CHUNK):
        level.advance(asked.part(start, start + CHUNK), Naming(nobody, [""] * CHUNK))
    asked.at[:] += APART_US * len(asked)  # the next round comes later, and asks nothing twice
    asked.ids[:] += np.uint64(1)


# -- (e) snapshots


def snapshots() -> list[dict[str, Any]]:
    """Wall time until so many rows are on the disk: of clients that are new, then of the same again."""
    found = []
    for n in SNAPSHOTS:
        say(f"a snapshot of {n:,} rows")
        entities = Entities("digits", "client", client_row(NUMBERS), b"", capacity=n)
        slots = np.array([entities.slot(f"c-{number:07d}") for number in range(n)], np.int64)
        rng = np.random.default_rng(n)
        with TemporaryDirectory(dir=_folder()) as folder:
            store = Store(Path(folder) / "state.sqlite", profile="bench")
            seconds = []
            for turn in range(4):
                entities.rows["counts"] = rng.integers(0, 99, entities.rows["counts"].shape)
                entities.touched(slots)
                began = time.monotonic()
                store.save(positions={"s": turn}, rows=entities.changed(), names=entities.changed_names())
                seconds.append(time.monotonic() - began)
            store.close()
        found.append({"rows": n, "new_s": seconds[0], "changed_s": float(np.median(seconds[1:]))})
    return found


# -- what it looks like


def page(found: Mapping[str, Any]) -> str:
    replay, many = found["replay"], found["entities"]
    bounds = found["at_most"]
    return "\n".join(
        [
            "# What a query costs",
            "",
            f"`python -m bench.speed`. One thread; {found['queries']:,} records of {found['record_bytes']} bytes: 64 "
            f"inputs, 10 probabilities, an RFC 3339 time. Processor time, medians of {ROUNDS} rounds in turns with "
            "what is compared, [least, most] in brackets.",
            "",
            "Reading alone is the decoding of every record into a typed msgspec struct and an array of the inputs, all "
            f"else dropped at once. Asked for: at most {bounds['replay']:g} times that. Who decodes {CHUNK:,} records "
            "(what a source hands on at once) before he looks at them pays for the memory as well, which no cache "
            f"holds; a replay takes {PART} at a time.",
            "",
            table(
                ["replay of", "µs a query", "reading alone", "times", f"reading {CHUNK:,} at once", "times"],
                [
                    (
                        name,
                        f"{row['replay_us']:.1f}",
                        f"{row['dropped_us']:.1f}",
                        _range(row["ratio_dropped"], row["ratios_dropped"]),
                        f"{row['read_us']:.1f}",
                        _range(row["ratio"], row["ratios"]),
                    )
                    for name, row in replay.items()
                ],
            ),
            "",
            "Where it goes, µs a query:",
            "",
            table(
                ["stage", *found["stages"]],
                [(stage, *(f"{spent[stage]:.2f}" for spent in found["stages"].values())) for stage in STAGES],
            ),
            "",
            "![Microseconds a query, by stage](speed.png)",
            "",
            "The client level alone, in a table of so many clients whose volumes follow Zipf's law "
            f"(exponent {ZIPF:g}; all rows written before). Asked for: "
            f"{many[-1]['entities']:,} clients at most {bounds['entities']:g} "
            f"times {many[0]['entities']:,}.",
            "",
            table(
                ["clients", "µs a query", "times"],
                [(f"{row['entities']:,}", _range(row["us"], row["us_range"]), f"{row['ratio']:.2f}") for row in many],
            ),
            "",
            f"A client's state is {found['rows']['client row']:,} bytes (at most {bounds['client row']:,}), a group's "
            f"{found['rows']['group row']:,} (at most {bounds['group row']:,}), whatever they ask.",
            "",
            "Until a snapshot is on the disk (wall time, synchronised):",
            "",
            table(
                ["rows", "all new, s", "all changed, s"],
                [(f"{row['rows']:,}", f"{row['new_s']:.2f}", f"{row['changed_s']:.2f}") for row in found["snapshots"]],
            ),
        ]
    )


def _range(middle: float, ends: Sequence[float]) -> str:
    return f"{middle:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"


def drawn(found: Mapping[str, Any]) -> Any:
    """A bar for each replay, its stages end to end; the line is the most that was asked for."""
    drawing, axis = figure(9, 3.6)
    names = list(found["stages"])
    for place, name in enumerate(names):
        row, left = found["replay"][name], 0.0
        for stage, colour in STAGES.items():
            us = found["stages"][name][stage]
            axis.barh(place, us, left=left, color=colour, height=0.5, label=stage if place == 0 else None)
            left += us
        axis.barh(place + 0.36, row["dropped_us"], color=QUIET, height=0.14, label=None if place else "reading alone")
        most = found["at_most"]["replay"] * row["dropped_us"]
        axis.plot([most, most], [place - 0.3, place + 0.45], color=LINE, lw=2)
        axis.annotate("asked for", (most, place - 0.3), (0, 4), textcoords="offset points", ha="center", color=LINE)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(xlabel="microseconds of processor time a query", xlim=(0, None))
    axis.legend(loc="upper center", bbox_to_anchor=(0.45, -0.22), ncols=5, frameon=False, fontsize=9.5)
    return drawing


if __name__ == "__main__":
    main()
