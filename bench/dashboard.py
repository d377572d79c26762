"""The dashboard's books: how long a preview, a list and a page take over 100,000 clients and 30 days of the tape.

python -m bench.dashboard [--clients N]

The clients are those of `querywarden demo`, each many times under another name, somewhere in 30 days: honest ones, and
three in a thousand who attack. Tape, rows and alerts are in a store on disk, as a detector leaves them. The same is
asked where the tape is read in the store, and where it is read in a PostgreSQL (Debian's) that has a copy of it.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from bench.results import BUILD, INK, LINE, OURS, figure, save, save_plot, say, table
from detector.dashboard.keeping.history import History
from detector.dashboard.keeping.opening import opened
from detector.dashboard.reading.books import StoreBooks
from detector.dashboard.reading.tapes import Tape
from detector.dashboard.shapes import Ask, Change, Sort, ThresholdAt
from detector.dashboard.whatif.columns import Columns
from detector.dashboard.whatif.drafting import changed
from detector.dashboard.whatif.trial import in_full, trial
from detector.decide import NO_CASE, decide
from detector.entities import Name, entity_key
from detector.levels import TICK_US
from detector.policy import Dated, Policy
from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.reasons import alert
from detector.redteam.demo import demo
from detector.run.outbox import Outbox
from detector.run.store import Reader, Store
from detector.settings import Settings, settings_of
from detector.tape import FLOOR, Point
from tests.servers.postgres import postgres

FOLDER = BUILD / "dashboard"
CLIENTS, DAYS, ATTACKERS = 100_000, 30, 0.003
SEED = 11
SORTS: tuple[Sort, ...] = ("score", "exposure", "queries", "last")
DAY_US = 86_400_000_000
PART = 2_000  # clients that are saved together
REQUESTS = 300
SCORES = tuple(float(score) for score in np.round(np.geomspace(FLOOR, 4.0, 24), 3))
ROUNDS = 3
ASKED_MS = {"preview": 200, "list": 100}


class Someone(NamedTuple):
    """What a client of the demo left."""

    row: bytes
    points: tuple[Point, ...]

    @property
    def attacks(self) -> bool:
        return max((point.level for point in self.points), default=0) >= 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    given = parser.parse_args()
    if not (FOLDER / "demo" / "store").exists():
        demo(FOLDER / "demo", 1)
    profile = artefact.load(FOLDER / "demo" / "profile")
    store = FOLDER / f"many-{given.clients}"
    if not store.exists():
        made(store, profile, given.clients)
    with postgres() as url:
        history = History(opened(url), store, profile, DAYS + 10)
        copied = timed_copy(history)
        kept = {"postgres": measured(settings(store), profile, given.clients, history), "copied": copied}
        history.close()
    found = measured(settings(store), profile, given.clients) | kept
    save("dashboard", found, page(found))
    save_plot("dashboard", drawn(found))


def settings(store: Path) -> Settings:
    document = {
        "source": {"type": "stdin"},
        "profile": {"path": str(FOLDER / "demo" / "profile")},
        "store": {"path": str(store)},
        "telemetry": {"port": 0},
    }
    return settings_of(document)


# -- a store of many


def made(folder: Path, profile: Profile, clients: int) -> None:
    say(f"writing a store of {clients:,} clients")
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    people, rng = _people(), np.random.default_rng(SEED)
    honest = [one for one in people if not one.attacks]
    attackers = [one for one in people if one.attacks]
    policy = profile.summary.policy
    with closing(Store(partial / "state.sqlite", profile=profile.summary.id)) as store:
        store.journal_policy(Dated(0, policy))
        with closing(Outbox(partial / "outbox.sqlite")) as outbox:
            for start in range(0, clients, PART):
                kinds = [attackers if rng.random() < ATTACKERS else honest for _ in range(min(PART, clients - start))]
                drawn_ = [kind[int(rng.integers(len(kind)))] for kind in kinds]
                mine = [_again(one, start + i, profile, rng) for i, one in enumerate(drawn_)]
                store.save(
                    positions={"file:made": start + PART},
                    rows=[(key, row) for key, row, _, _ in mine],
                    names=[(key, profile.summary.model, "client", id_) for key, _, id_, _ in mine],
                    points=[point for *_, points in mine for point in points],
                )
                outbox.put(one for *_, points in mine for one in _alerts(profile, policy, points))
        store.save(positions={}, rows=[], asked=_asked(store, profile, people, clients))
    partial.rename(folder)


def _asked(store: Store, profile: Profile, people: Sequence[Someone], clients: int) -> dict[int, int]:
    """Queries of all clients, evenly over the time of the tape."""
    rows = np.frombuffer(b"".join(one.row for one in people), profile.entities("client").dtype)
    low, high = store.db.read("SELECT min(at), max(at) FROM tape")[0]
    ticks = range(low // TICK_US, high // TICK_US + 1)
    return dict.fromkeys(ticks, max(int(rows["n"].sum()) * clients // len(people) // len(ticks), 1))


def _people() -> list[Someone]:
    with closing(Reader(FOLDER / "demo" / "store" / "state.sqlite")) as reader:
        points: dict[bytes, list[Point]] = {}
        for point in reader.tape():
            points.setdefault(point.key, []).append(point)
        rows = reader.db.read("SELECT rows.key, row FROM rows JOIN names USING (key) WHERE kind = 'client'")
        return [Someone(row, tuple(points.get(key, ()))) for key, row in rows]


def _again(
    one: Someone, number: int, profile: Profile, rng: np.random.Generator
) -> tuple[bytes, bytes, str, tuple[Point, ...]]:
    """The client under another name, some days later."""
    id_, later = f"c-{number:08x}", int(rng.integers((DAYS - 10) * DAY_US))
    key = entity_key(Name(profile.summary.model, "client", id_), profile.secret)
    row = np.frombuffer(one.row, profile.entities("client").dtype).copy()
    for name in ("first_at", "clock", "tape_at"):
        row[name] += later
    moved = (msgspec.structs.replace(point, key=key, id=id_, at=point.at + later) for point in one.points)
    return key, row.tobytes(), id_, tuple(moved)


def _alerts(profile: Profile, policy: Policy, points: Sequence[Point]) -> Iterator[Any]:
    case = NO_CASE
    for point in points:
        case, decision = decide(policy, case, point)
        if decision is not None:
            promise = profile.promise("client", decision.threshold)
            yield alert(policy, point, decision, profile.kit.signals, promise=promise, profile=profile.summary.id)


# -- what is measured


def timed_copy(history: History) -> dict[str, float]:
    """All of a store that nobody copied before, and what comes after every snapshot: hardly anything."""
    say("copying it to PostgreSQL")
    began, began_cpu = time.perf_counter(), time.process_time()
    history.copy()
    took = {"s": time.perf_counter() - began, "cpu_s": time.process_time() - began_cpu}
    began = time.perf_counter()
    history.copy()
    return took | {"again_ms": 1e3 * (time.perf_counter() - began)}


def measured(given: Settings, profile: Profile, clients: int, tape: Tape | None = None) -> dict[str, Any]:
    say("reading it")
    began, began_cpu = time.perf_counter(), time.process_time()
    books = StoreBooks(given, profile, tape, check_s=1e9)
    overview = books.overview()
    opened = {"s": time.perf_counter() - began, "cpu_s": time.process_time() - began_cpu}
    columns = books.columns()
    say(f"{overview.points:,} points; previews")
    return {
        "clients": clients,
        "points": overview.points,
        "days": (overview.until - overview.since) / DAY_US if overview.since and overview.until else 0.0,
        "never": int(np.count_nonzero(columns.peak == 0)) + clients - columns.entities,
        "bytes": sum(column.nbytes for column in columns.points) + len(columns.ids),
        "store_bytes": books.health().store_bytes,
        "opened": opened,
        "previews": previews(books),
        "exact": exact(columns, profile),
        "requests": requests(books),
        "asked_ms": ASKED_MS,
    }


def change(score: float) -> Change:
    steps = (("medium", score), ("high", score + 0.35), ("critical", score + 1.0))
    return Change(thresholds={"client": tuple(ThresholdAt(severity, at) for severity, at in steps)})  # type: ignore[arg-type]


def previews(books: StoreBooks) -> list[dict[str, Any]]:
    """One for each threshold that somebody drags over."""
    books.preview(Ask(change(2.0)))
    found = []
    for score in SCORES:
        ms, cpu_ms = [], []
        for _ in range(ROUNDS):
            began = time.process_time()
            seen = books.preview(Ask(change(score)))
            ms.append(seen.took_ms)
            cpu_ms.append(1e3 * (time.process_time() - began))
        alerted = seen.flips_in_total
        found.append(
            {
                "score": score,
                "ms": sorted(ms),
                "cpu_ms": sorted(cpu_ms),
                "alerts": sum(seen.would.values()),
                "flips_in": alerted,
                "held": seen.held_would,
                "storms": seen.storms_would,
            }
        )
    return found


def exact(columns: Columns, profile: Profile) -> list[dict[str, Any]]:
    """The same decisions as `decide` asked about every point, and what that takes."""
    found = []
    for score in (0.8, 1.5):
        policy = changed(profile.summary.policy, change(score), profile.summary.policy.thresholds)
        journal = [Dated(0, policy)]
        began = time.process_time()
        tried = trial(columns, journal)
        took = time.process_time() - began
        began = time.process_time()
        whole = [decision for e in range(columns.entities) for decision in in_full(columns, journal, e)]
        took_all = time.process_time() - began
        said = [tried.rulings[ruling] for ruling in tried.ruling.tolist()]
        same = [place for place, _ in whole] == tried.place.tolist() and all(
            (d.kind, d.action, d.severity, d.threshold) == tuple(ruling)
            for (_, d), ruling in zip(whole, said, strict=True)
        )
        found.append(
            {"score": score, "decisions": len(whole), "same": same, "asked": tried.asked, "ms": 1e3 * took,
             "all_ms": 1e3 * took_all}
        )  # fmt: skip
    return found


def requests(books: StoreBooks) -> dict[str, dict[str, float]]:
    """Percentiles, milliseconds, of requests drawn at random."""
    rng = np.random.default_rng(SEED)
    first = books.entities(None, "", "score", None, 1_000).items
    cases = [one.case_id for one in books.cases("all", "", None, 1_000).items]
    cursors: dict[Sort, str | None] = dict.fromkeys(SORTS)

    def listed() -> None:
        sort = SORTS[int(rng.integers(len(SORTS)))]
        search = "" if rng.random() < 0.5 else f"{int(rng.integers(16**3)):03x}"
        found = books.entities("client" if rng.random() < 0.5 else None, search, sort, cursors[sort], 100)
        cursors[sort] = found.next if not search else None

    def of(ask: Callable[[str, str], object]) -> Callable[[], object]:
        def one() -> object:
            who = first[int(rng.integers(len(first)))]
            return ask(who.level, who.id)

        return one

    kinds: Mapping[str, Callable[[], object]] = {
        "list of clients, 100 of it": listed,
        "a client": of(books.entity),
        "its timeline": of(books.timeline),
        "queries that mattered": of(books.mattered),
        "its map": of(books.map),
        "queue of cases, 100 of it": lambda: books.cases("open", "", None, 100),
        "a case": lambda: books.case(cases[int(rng.integers(len(cases)))]),
        "histogram": lambda: books.histogram("client"),
        "overview": books.overview,
        "health": books.health,
        "what is new": books.seen,
    }
    return {name: _timed(ask) for name, ask in kinds.items()}


def _timed(ask: Callable[[], object]) -> dict[str, float]:
    ms, cpu_ms = [], []
    for _ in range(REQUESTS):
        began, began_cpu = time.perf_counter(), time.process_time()
        ask()
        cpu_ms.append(1e3 * (time.process_time() - began_cpu))
        ms.append(1e3 * (time.perf_counter() - began))
    p95, p95_cpu = (float(np.quantile(found, 0.95)) for found in (ms, cpu_ms))
    return {"median_cpu": float(np.median(cpu_ms)), "p95_cpu": p95_cpu, "median": float(np.median(ms)), "p95": p95}


# -- what is shown


def page(found: Mapping[str, Any]) -> str:
    kept, copied = found["postgres"], found["copied"]
    slow, waited = (max(one[of][-1] for one in found["previews"]) for of in ("cpu_ms", "ms"))
    began = found["opened"]
    said = (
        f"`python -m bench.dashboard`. {found['clients']:,} clients, {found['points']:,} points of the tape over "
        f"{found['days']:.0f} days; {found['never']:,} clients never rose above the tape's floor. The clients are "
        "those of `querywarden demo`, each many times under another name; three in a thousand attack. The store has "
        f"{found['store_bytes'] / 2**20:,.0f} MiB. Its tape takes {found['bytes'] / 2**20:,.0f} MiB of memory. "
        "Other work ran on the machine's two processors meanwhile, so what the clock says depends on the moment."
    )
    starts = table(
        ["when the dashboard starts", "s of processor", "s on the clock"],
        [
            ("it reads the tape and all rows of the store", f"{began['cpu_s']:.1f}", f"{began['s']:.1f}"),
            ("the tape from PostgreSQL, the rows from the store", f"{kept['opened']['cpu_s']:.1f}",
             f"{kept['opened']['s']:.1f}"),
            ("once: all of the tape is copied to PostgreSQL", f"{copied['cpu_s']:.1f}", f"{copied['s']:.1f}"),
        ],
    )  # fmt: skip
    again = f"After that, a look for what is new in the store takes {copied['again_ms']:.0f} ms."
    previewed = (
        f"Asked for: {found['asked_ms']['preview']} ms. The slowest took {slow:.0f} ms of processor time, and "
        f"{waited:.0f} ms on the clock; over the tape from PostgreSQL, which is the same in memory, "
        f"{max(one['cpu_ms'][-1] for one in kept['previews']):.0f} and "
        f"{max(one['ms'][-1] for one in kept['previews']):.0f} ms. Storms are in it: what was held is no alert."
    )
    requested = (
        f"Asked for: lists within {found['asked_ms']['list']} ms at the 95th percentile. {REQUESTS} of each kind, "
        "drawn at random, without HTTP."
    )
    plot = "![Milliseconds of a preview by threshold](dashboard.png)"
    decided = "The decisions are those of `decide` asked about every point (processor time):"
    parts = ["# What the dashboard asks of the tape", said, starts, again, "## A preview while a threshold is dragged"]
    parts += [previewed, _previews(found), plot, decided, _exact(found), "## Requests", requested]
    return "\n\n".join([*parts, _requests(found), "With the tape in PostgreSQL:", _requests(kept)])


def _previews(found: Mapping[str, Any]) -> str:
    head = ["threshold", "alerts of 30 days", "held", "storms", "clients who flip in", "ms of processor, most"]
    rows: list[Sequence[object]] = [
        (f"{one['score']:.2f}", f"{one['alerts']:,}", f"{one['held']:,}", f"{one['storms']:,}",
         f"{one['flips_in']:,}", f"{one['cpu_ms'][-1]:.0f}", f"{one['ms'][0]:.0f}")
        for one in found["previews"]
    ]  # fmt: skip
    return table([*head, "ms on the clock, least"], rows)


def _exact(found: Mapping[str, Any]) -> str:
    rows: list[Sequence[object]] = [
        (f"{one['score']:.2f}", f"{one['decisions']:,}", "yes" if one["same"] else "no", one["asked"],
         f"{one['ms']:.0f}", f"{one['all_ms']:,.0f}")
        for one in found["exact"]
    ]  # fmt: skip
    return table(["threshold", "decisions", "the same", "`decide` asked", "ms", "ms, of every point"], rows)


def _requests(found: Mapping[str, Any]) -> str:
    of = ("median_cpu", "p95_cpu", "median", "p95")
    rows: list[Sequence[object]] = [
        (name, *(f"{one[what]:.1f}" for what in of)) for name, one in found["requests"].items()
    ]
    head = ["request", "ms of processor, median", "95th percentile", "ms on the clock, median", "95th percentile"]
    return table(head, rows)


def drawn(found: Mapping[str, Any]) -> Any:
    drawing, axes = figure(7.0, 3.6)
    scores = [one["score"] for one in found["previews"]]
    axes.plot(scores, [one["cpu_ms"][-1] for one in found["previews"]], color=OURS, label="processor, most")
    axes.plot(scores, [one["ms"][0] for one in found["previews"]], color=INK, linewidth=0.8, label="clock, least")
    axes.axhline(found["asked_ms"]["preview"], color=LINE, linestyle="--", label="asked for")
    axes.set_xlabel("threshold of the lowest severity")
    axes.set_ylabel("milliseconds of a preview")
    axes.set_ylim(0)
    axes.legend(frameon=False)
    return drawing


if __name__ == "__main__":
    main()
