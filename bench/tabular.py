"""Copiers of models that read tables: after how many queries they are named, on two sets of rows.

python -m bench.tabular [--adult adult.data] [--half development|report]

Adult census (UCI; the file has no header) where it is given, and Shuttle from River. The rows are cut in halves: what
was chosen was chosen on `development`, what is saved is `report`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from river.datasets import Shuttle
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier

from bench.logs import reader
from bench.results import BUILD, OURS, QUIET, figure, save, save_plot, say, table
from detector.alert import ATTACKS as KINDS_OF_ATTACK
from detector.logs import DECODERS
from detector.policy import Storm
from detector.profile import fit
from detector.profile.artefact import Profile
from detector.profile.table import Row, Table, learn
from detector.profile.training import Training
from detector.redteam.detectors.conformal import interval
from detector.redteam.pace import draw_times
from detector.run.replay import replay

PROMISE, HONEST, TESTED, CAMPAIGNS, BUDGET = 0.01, 700, 500, 20, 300
KINDS, SEED = 12, 41
ADULT = "age workclass fnlwgt education education_num marital occupation relationship race sex capital_gain capital_loss hours country income"  # noqa: E501
DEVELOPED_ON = ("uniform", "column by column")


class Set(NamedTuple):
    """rows with their labels; each is of one of KINDS kinds, which clients mix differently."""

    name: str
    rows: list[Row]
    labels: list[str]
    kinds: np.ndarray

    def half(self, which: str) -> Set:
        mine = [i for i in range(len(self.rows)) if (i % 2 == 0) == (which == "development")]
        return Set(self.name, [self.rows[i] for i in mine], [self.labels[i] for i in mine], self.kinds[mine])


class Victim:
    """Gradient boosting on what a table makes of rows."""

    def __init__(self, rows: Sequence[Row], labels: Sequence[str]) -> None:
        self.table: Table = learn(rows)
        self._model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
        self._model.fit(self.table.read(rows)[0], list(labels))

    def answer(self, rows: Sequence[Row]) -> tuple[list[str], np.ndarray]:
        probabilities = self._model.predict_proba(self.table.read(rows)[0])
        return [str(self._model.classes_[k]) for k in probabilities.argmax(1)], probabilities


def adult(path: Path) -> Set:
    names = ADULT.split()
    cells = [
        [cell.strip() for cell in line.split(",")] for line in path.read_text().splitlines() if line.count(",") == 14
    ]
    rows = [{n: _value(v) for n, v in zip(names[:-1], row[:-1], strict=True)} for row in cells]
    return _set("Adult census", rows, [row[-1] for row in cells])


def shuttle() -> Set:
    rows, labels = [], []
    for x, y in Shuttle():
        rows.append({name: float(value) for name, value in x.items()})
        labels.append(str(y))
    order = np.random.default_rng(0).permutation(len(rows))[:30_000].tolist()
    return _set("Shuttle", [rows[i] for i in order], [labels[i] for i in order])


def _value(cell: str) -> str | float | None:
    if cell == "?":
        return None
    return float(cell) if cell.lstrip("-").isdigit() else cell


def _set(name: str, rows: list[Row], labels: list[str]) -> Set:
    kinds = KMeans(KINDS, n_init=2, random_state=0).fit_predict(learn(rows).read(rows)[0])
    return Set(name, rows, labels, kinds)


# -- who asks


def honest(of: Set, rng: np.random.Generator) -> list[Row]:
    """A client with its own mix of kinds, and its own volume."""
    mix = rng.dirichlet(np.full(KINDS, 0.7))
    there = np.array([(of.kinds == k).any() for k in range(KINDS)])
    mix = np.where(there, mix, 0.0)
    n = int(np.clip(rng.lognormal(3.7, 0.9), 5, 800))
    kinds = rng.choice(KINDS, n, p=mix / mix.sum())
    places = [np.flatnonzero(of.kinds == k) for k in range(KINDS)]
    return [of.rows[int(rng.choice(places[k]))] for k in kinds.tolist()]


def uniform(of: Set, victim: Victim, rng: np.random.Generator) -> Iterator[Row]:
    """Every column evenly over its range."""
    columns = _columns(of)
    while True:
        yield {name: _evenly(values, rng) for name, values in columns.items()}


def by_column(of: Set, victim: Victim, rng: np.random.Generator) -> Iterator[Row]:
    """Every column from its own values."""
    columns = _columns(of)
    while True:
        yield {name: values[int(rng.integers(len(values)))] for name, values in columns.items()}


def blends(of: Set, victim: Victim, rng: np.random.Generator) -> Iterator[Row]:
    while True:
        yield _between(_one(of, rng), _one(of, rng), float(rng.random()), rng)


def corners(of: Set, victim: Victim, rng: np.random.Generator) -> Iterator[Row]:
    """Numbers at the ends of their ranges."""
    columns = _columns(of)
    ends = {name: (_least(values), _most(values)) for name, values in columns.items()}
    while True:
        yield {name: ends[name][int(rng.integers(2))] for name in ends}


def sweep(of: Set, victim: Victim, rng: np.random.Generator) -> Iterator[Row]:
    """One column of a natural row through its range, then another."""
    columns = _columns(of)
    while True:
        row, name = dict(_one(of, rng)), list(columns)[int(rng.integers(len(columns)))]
        for _ in range(12):
            yield row | {name: _evenly(columns[name], rng)}


def line_search(of: Set, victim: Victim, rng: np.random.Generator) -> Iterator[Row]:
    """Tramèr et al. 2016: between two rows with different answers, halving towards the boundary."""
    while True:
        one, other = _one(of, rng), _one(of, rng)
        answers, _ = victim.answer([one, other])
        yield one
        yield other
        if answers[0] == answers[1]:
            continue
        low, high, flips = 0.0, 1.0, np.random.default_rng(int(rng.integers(2**31)))
        order = {name: flips.random() for name in one}
        for _ in range(8):
            middle = (low + high) / 2
            row = {name: _on_line(one[name], other.get(name), middle, order[name]) for name in one}
            yield row
            if victim.answer([row])[0][0] == answers[0]:
                low = middle
            else:
                high = middle


def uncertain(of: Set, victim: Victim, rng: np.random.Generator) -> Iterator[Row]:
    """Of 30 rows made column by column, the one that the victim is least sure of."""
    source = by_column(of, victim, rng)
    while True:
        rows = [next(source) for _ in range(30)]
        yield rows[int(victim.answer(rows)[1].max(1).argmin())]


ATTACKS: dict[str, Callable[[Set, Victim, np.random.Generator], Iterator[Row]]] = {
    "uniform": uniform,
    "column by column": by_column,
    "blends of rows": blends,
    "corners": corners,
    "one column after another": sweep,
    "line search": line_search,
    "uncertainty-picked": uncertain,
}


def _columns(of: Set) -> dict[str, list[Any]]:
    return {name: [row[name] for row in of.rows] for name in of.rows[0]}


def _one(of: Set, rng: np.random.Generator) -> Row:
    return of.rows[int(rng.integers(len(of.rows)))]


def _evenly(values: list[Any], rng: np.random.Generator) -> Any:
    if isinstance(next(v for v in values if v is not None), float):
        return float(rng.integers(int(_least(values)), int(_most(values)) + 1))
    known = sorted({v for v in values if v is not None})
    return known[int(rng.integers(len(known)))]


def _least(values: list[Any]) -> Any:
    return min(v for v in values if v is not None)


def _most(values: list[Any]) -> Any:
    return max(v for v in values if v is not None)


def _between(one: Row, other: Row, share: float, rng: np.random.Generator) -> Row:
    return {name: _on_line(one[name], other.get(name), share, float(rng.random())) for name in one}


def _on_line(one: Any, other: Any, share: float, turn: float) -> Any:
    if isinstance(one, float) and isinstance(other, float):
        return float(np.rint(one + share * (other - one)))
    return other if turn < share else one


# -- the run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adult", type=Path, help="adult.data of the census, without a header")
    parser.add_argument("--half", choices=("development", "report"), default="report")
    asked = parser.parse_args()
    sets = ([adult(asked.adult)] if asked.adult else []) + [shuttle()]
    found = {of.name: measured(of.half(asked.half), asked.half) for of in sets}
    if asked.half == "development":
        print(_page(found))
        return
    _draw(found)
    save("tabular", {"sets": found}, _page(found))


def measured(of: Set, half: str) -> dict[str, Any]:
    seed = SEED + (half == "report")
    cut = len(of.rows) // 3
    taught = Set(of.name, of.rows[:cut], of.labels[:cut], of.kinds[:cut])
    asking = Set(of.name, of.rows[cut:], of.labels[cut:], of.kinds[cut:])
    victim = Victim(taught.rows, taught.labels)
    say(f"{of.name}: {len(of.rows):,} rows; simulating")
    log = written({f"h{i}": honest(asking, np.random.default_rng([seed, 1, i])) for i in range(HONEST)}, victim, seed)
    path = BUILD / "tabular.jsonl"
    BUILD.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\n".join(log) + b"\n")
    training = Training(np.empty((0, 0)), np.full(cut, -1, np.int32), taught.rows)
    options = fit.Options(promise=PROMISE, horizon_us=None, seed=seed)
    profile = fit.fit(reader(path), DECODERS["native"], training, options, say)
    today = {f"t{i}": honest(asking, np.random.default_rng([seed, 2, i])) for i in range(TESTED)}
    for k, (name, attack) in enumerate(ATTACKS.items()):
        for i in range(CAMPAIGNS):
            source = attack(asking, victim, np.random.default_rng([seed, 3, k, i]))
            today[f"{name}/{i}"] = [next(source) for _ in range(BUDGET)]
    path.write_bytes(b"\n".join(written(today, victim, seed + 7)) + b"\n")
    named = first_named(profile, path)
    rows = {name: _found([named.get(f"{name}/{i}") for i in range(CAMPAIGNS)]) for name in ATTACKS}
    wrong = [client for client in named if client.startswith("t") and "/" not in client]
    return {
        "rows": len(of.rows), "signals": len(profile.kit.signals), "attacks": rows, "honest": len(wrong),
        "honest_of": TESTED, "calibrated": profile.level("client").calibrated,
    }  # fmt: skip


def written(asked: dict[str, list[Row]], victim: Victim, seed: int) -> list[bytes]:
    """The log, in order of time."""
    records = []
    for number, (client, rows) in enumerate(asked.items()):
        at = draw_times(len(rows), span_days=20.0, rng=np.random.default_rng([seed, 9, number]))
        labels, probabilities = victim.answer(rows)
        for t, row, label, p in zip(at.tolist(), rows, labels, probabilities.tolist(), strict=True):
            output = {"label": label, "probabilities": [round(v, 5) for v in p]}
            records.append(
                (t, {"at": 1_767_225_600 + t / 1e6, "client": client, "model": "table", "input": row, "output": output})
            )
    records.sort(key=lambda one: one[0])
    return [msgspec.json.encode(record) for _, record in records]


def first_named(profile: Profile, path: Path) -> dict[str, int]:
    policy = msgspec.structs.replace(profile.summary.policy, storm=Storm(at_least=0))
    done = replay(profile, policy, reader(path)(), DECODERS["native"])
    named: dict[str, int] = {}
    for alert in done.alerts:
        if alert.entity.kind == "client" and alert.kind in KINDS_OF_ATTACK:
            named.setdefault(alert.entity.id, alert.queries)
    return named


def _found(queries: list[int | None]) -> dict[str, Any]:
    known = [n for n in queries if n is not None]
    low, high = interval(len(known), len(queries))
    return {
        "share": len(known) / len(queries), "interval": [low, high],
        "median": float(np.median(known)) if known else None, "queries": sorted(known),
    }  # fmt: skip


def _page(found: dict[str, Any]) -> str:
    head = ["attack", *found]
    rows = [
        [
            name + ("" if name in DEVELOPED_ON else " (not tuned on)"),
            *(_cell(s["attacks"][name]) for s in found.values()),
        ]
        for name in ATTACKS
    ]
    rows.append(["honest clients named", *(f"{of['honest']} of {of['honest_of']}" for of in found.values())])
    return f"""# Tables

`python -m bench.tabular` (Adult census: `--adult adult.data`). Promise {PROMISE:.0%} of honest clients; {CAMPAIGNS}
accounts of {BUDGET} queries an attack; share named / median queries until then. {HONEST} honest clients, each with a
mix of its own of kinds of rows, taught and calibrated; the rows of the attackers come from the same half as theirs.

{table(head, rows)}

![Queries until an alert](tabular.png)
"""


def _cell(row: dict[str, Any]) -> str:
    return f"{row['share']:.0%} / {row['median']:g}" if row["median"] is not None else f"{row['share']:.0%}"


def _draw(found: dict[str, Any]) -> None:
    drawn, axis = figure(8, 4)
    place = np.arange(len(ATTACKS))
    for shift, color, (name, of) in zip((-0.2, 0.2), (OURS, QUIET), found.items(), strict=False):
        axis.barh(place + shift, [of["attacks"][a]["median"] or BUDGET for a in ATTACKS], 0.38, color=color, label=name)
    axis.set_yticks(place, list(ATTACKS))
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlabel("median queries until the alert")
    axis.legend(frameon=False)
    save_plot("tabular", drawn)


if __name__ == "__main__":
    main()
