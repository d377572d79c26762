"""When a client asks: an arrival, then sessions in its working hours, then a question every few seconds.

Attackers are given the same paces, so nothing in a simulated log is found by its clock alone.
"""

from __future__ import annotations

import numpy as np

from detector.query import F64, I64

DAY_S = 86_400.0
SESSION = 25  # queries in a session, on average
ARRIVAL_SHARE = 0.5  # clients arrive in the first half of the span, so that many windows close inside the log


def draw_times(n: int, *, span_days: float, rng: np.random.Generator) -> I64:
    """n strictly increasing times of one client, microseconds since the start of the log, within `span_days`.

    Gaps inside a session are log-normal about the client's own median of 2 to 30 s; heavy clients have longer sessions
    as well as more of them.
    """
    sessions = 1 + int(rng.poisson(n / (SESSION * np.exp(rng.normal(0.0, 0.4)))))
    starts = _session_starts(sessions, span_days, rng)
    of_query = np.sort(np.concatenate([[0], rng.integers(sessions, size=n - 1)]))
    median_s = np.exp(rng.uniform(np.log(2.0), np.log(30.0)))
    gaps = np.exp(rng.normal(np.log(median_s), 0.8, n))
    first = np.concatenate([[True], of_query[1:] != of_query[:-1]])
    elapsed = np.cumsum(np.where(first, 0.0, gaps))
    elapsed -= np.maximum.accumulate(np.where(first, elapsed, 0.0))
    at = np.sort(starts[of_query] + elapsed)
    micros = np.minimum(at, span_days * DAY_S - 1.0) * 1e6
    return _strictly_increasing(micros.astype(np.int64))


def trickle(n: int, *, span_days: float, rng: np.random.Generator) -> I64:
    """n strictly increasing times over the whole span, one query at a time: who is in no hurry. As `draw_times`."""
    at = np.sort(rng.uniform(0.0, span_days * DAY_S - 1.0, n)) * 1e6
    return _strictly_increasing(at.astype(np.int64))


def _session_starts(sessions: int, span_days: float, rng: np.random.Generator) -> F64:
    """Seconds since the start of the log: whole days after the arrival, at the client's own hour give or take three."""
    arrival = rng.uniform(0.0, ARRIVAL_SHARE * span_days)
    days = np.floor(rng.uniform(arrival, span_days, sessions))
    days[0] = np.floor(arrival)
    hour = rng.normal(13.0, 3.0)
    at = days * DAY_S + np.clip(rng.normal(hour, 3.0, sessions), 0.0, 23.5) * 3600.0
    return np.sort(np.clip(at, 0.0, max(span_days * DAY_S - 3600.0, 0.0)))


def _strictly_increasing(at: I64) -> I64:
    steps = np.arange(len(at), dtype=np.int64) * 1000  # a client's queries are at least a millisecond apart
    spaced: I64 = np.maximum.accumulate(at - steps) + steps
    return spaced
