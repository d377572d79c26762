"""Everything that Hypothesis draws for the tests of detection: batches, streams of records, cuts, policies, counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from detector.alert import SEVERITIES
from detector.entities import BINS
from detector.exposure.known import MEASURES
from detector.policy import Budget, Dated, ExposureBudget, Maintenance, Policy, Release, Suppression, Threshold
from detector.query import ABSENT, NO_LABEL, Batch
from detector.tape import FLOOR, Exposed, Point
from tests import people
from tests.asked import asked

CLIENTS = 4
GROUPS = ("oa", "ob", None, "oa")  # of the clients

_rng = np.random.default_rng(5)
_NATURAL = people.natural(_rng, np.full(people.KINDS, 1 / people.KINDS), np.zeros(6), 0.02, 32)
_INPUTS = np.concatenate([_NATURAL, _rng.uniform(-1.0, 1.0, (32, people.WIDTH))])  # the second half is noise
_ANSWERS = people.answers(_INPUTS)
_POINTS = _rng.integers(-8191, 8192, (32, 16)).astype(np.int16)

# -- streams of records

GAPS_US = (0, 300_000, 7_000_000, 61_000_000, 400_000_000, 3_600_000_000, 95_000_000_000)
WHATS = ("asks", "asks", "asks", "asks", "sweeps", "sweeps", "lags", "retries", "reuses", "fails")
ODD = ("broken", "narrow", "text", "infinite", "nobody", "elsewhere", "late", "future")


class Event(NamedTuple):
    """What happens next in a stream: who does what, with which input, how long after the one before."""

    client: int
    what: str
    which: int
    gap: int


def events(max_size: int = 50, whats: tuple[str, ...] = WHATS + ODD) -> st.SearchStrategy[list[Event]]:
    one = st.builds(
        Event, st.integers(0, CLIENTS - 1), st.sampled_from(whats), st.integers(0, 31), st.sampled_from(GAPS_US)
    )
    return st.lists(one, min_size=1, max_size=max_size)


def streams(max_size: int = 50, whats: tuple[str, ...] = WHATS + ODD) -> st.SearchStrategy[list[bytes]]:
    return events(max_size, whats).map(written)


def written(happened: list[Event]) -> list[bytes]:
    """The records of a stream of events."""
    at = people.START_US
    last: dict[int, bytes] = {}
    records = []
    for number, event in enumerate(happened):
        at += event.gap
        record = last.get(event.client) if event.what == "retries" else None
        if record is None:
            record = _record(event, at, number)
        if event.what in ("asks", "sweeps"):
            last[event.client] = record
        records.append(record)
    return records


def _record(event: Event, at: int, number: int) -> bytes:
    i = event.which + 32 * (event.what in ("sweeps", "reuses"))
    asked = {
        "narrow": _INPUTS[i, :5].tolist(),
        "text": "how do you do",
        "infinite": [1e300, *_INPUTS[i, 1:].tolist()],
    }.get(event.what, _INPUTS[i].tolist())
    when = {"lags": at - 45_000_000, "late": at - 3 * people.DAY_US, "future": people.END_US + at}.get(event.what, at)
    record = people.line(
        None if event.what == "nobody" else f"c{event.client}",
        when,
        asked,
        id={"reuses": "again", "text": None}.get(event.what, f"q{number}"),
        group=GROUPS[event.client],
        probabilities=_ANSWERS[i].tolist() if event.which % 4 else None,
        label=int(_ANSWERS[i].argmax()),
        model="another" if event.what == "elsewhere" else people.MODEL,
        status="error" if event.what == "fails" else "ok",
        **({"model_version": event.which % 3} if event.which % 3 else {}),
    )
    return record[:-2] if event.what == "broken" else record


cuts = st.lists(st.integers(1, 20), max_size=12)

# -- batches, as features see them


@st.composite
def batches(draw: st.DrawFn, max_size: int = 40) -> Batch:
    """Queries of three entities, over and over the same points, some without answer, label or id."""
    drawn = draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 31), st.booleans(), st.sampled_from((0.0, 0.3, 1.0))),
            min_size=1,
            max_size=max_size,
        )
    )
    n = len(drawn)
    slots, which, answered, second = (np.array(column) for column in zip(*drawn, strict=True))
    top = np.stack([np.where(answered, 1.0, ABSENT), np.where(answered, second, ABSENT)], 1)
    return asked(
        n,
        slots=slots,
        at=people.START_US + np.arange(n) * 1_000_000,
        x=_POINTS[which],
        residual=which,
        roughness=which / 32,
        labels=np.where(answered, which % 3, NO_LABEL),
        top=top,
        ids=np.where(which % 5 == 0, 0, which),
    )


# -- evidence

bins = st.lists(st.integers(0, BINS - 1), min_size=1, max_size=60)
quarters = st.integers(1, 200).map(lambda n: n / 4)
alphas = st.lists(st.lists(quarters, min_size=BINS, max_size=BINS), min_size=1, max_size=3)

# -- policies and points

severities = st.sampled_from(SEVERITIES)
scores = st.floats(FLOOR, 60.0)


@st.composite
def thresholds(draw: st.DrawFn) -> tuple[Threshold, ...]:
    names = draw(st.lists(severities, max_size=4, unique=True))
    heights = sorted(draw(st.lists(scores, min_size=len(names), max_size=len(names))))
    return tuple(map(Threshold, sorted(names, key=SEVERITIES.index), heights))


def policies(ids: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[Policy]:
    """`ids`: the entities that may be suppressed, as (kind, id)."""
    until = st.integers(0, 10 * people.DAY_US).map(lambda later: people.START_US + later)
    suppressions = st.lists(st.builds(lambda who, end: Suppression(*who, end, "made"), ids, until), max_size=2)
    budgets = st.builds(Budget, st.none() | st.integers(50, 200), st.none() | st.integers(100, 400))
    windows = st.lists(st.builds(lambda a, b: Maintenance(min(a, b), max(a, b), "made"), until, until), max_size=1)
    releases = st.lists(st.builds(Release, until, st.just("made"), st.sampled_from((60.0, 86_400.0))), max_size=1)
    return st.builds(
        lambda version, client, group, cool_down_s, suppressed, budget, maintained, released, exposure: Policy(
            version,
            {"client": client, "organisation": group},
            cool_down_s,
            tuple(suppressed),
            budget,
            tuple(maintained),
            tuple(released),
            exposure=exposure,
        ),
        st.sampled_from("abc"),
        thresholds(),
        thresholds(),
        st.sampled_from((0.0, 3_600.0, 86_400.0, 1e7)),
        suppressions,
        budgets,
        windows,
        releases,
        st.builds(ExposureBudget, st.none() | st.just(0.3), st.none() | st.just(0.8)),
    )


def journals(policy: st.SearchStrategy[Policy]) -> st.SearchStrategy[list[Dated]]:
    """Up to three policies, each from a time in the first days on."""
    dated = st.builds(Dated, st.integers(0, 5 * people.DAY_US).map(lambda later: people.START_US + later), policy)
    return st.lists(dated, min_size=1, max_size=3).map(lambda found: sorted(found, key=lambda one: one.since))


point: Callable[..., Point] = lambda **fields: Point(  # noqa: E731
    **({"key": b"k" * 16, "model": "m", "kind": "client", "id": "c"} | fields)  # type: ignore[arg-type]
)
leaked = st.builds(
    Exposed,
    st.tuples(*[st.integers(0, 400)] * len(MEASURES)),
    st.integers(20, 1_000),
    st.integers(0, 1_100),
    st.sampled_from((0, 38, 400)),
)
points = st.builds(
    point,
    at=st.integers(0, 10 * people.DAY_US),
    n=st.integers(1, 1_000),
    level=st.integers(0, 400),
    query_id=st.sampled_from(("q1", "q2")),
    asked_today=st.integers(0, 400),
    budget=st.booleans(),
    exposed=st.none() | leaked,
)
