"""The policy in force: thresholds, severities, cool-down, suppressions and budgets, as one versioned value."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from detector.alert import Severity


class Suppression(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entity that is not alerted on until `until` (microseconds, log time). It never lasts forever."""

    kind: str
    id: str
    until: int
    reason: str


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Queries that an entity may ask per day of log time. Counted at 64, 80, 96, 112, 128, 160, ...: up to 25% late."""

    soft: int | None = None
    hard: int | None = None


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A score at which an entity of a level is alerted on with `severity`."""

    severity: Severity
    score: float


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`thresholds` by level (`client`, `organisation`, ...), ascending; a level that is not named alerts on nothing.

    cool_down_s: after a case was resolved, the entity is not alerted on again at the same or a lower severity for
    this long (log time).
    """

    version: str
    thresholds: dict[str, tuple[Threshold, ...]]
    cool_down_s: float = 86_400.0
    suppressions: tuple[Suppression, ...] = ()
    budget: Budget = Budget()


class Dated(msgspec.Struct, frozen=True):
    """A policy and the log time (microseconds) from which it holds."""

    since: int
    policy: Policy


def in_force(journal: Sequence[Dated], at: int) -> Policy:
    """The policy that holds at log time `at`: the last whose `since` is not later. `journal` is ascending.

    The first entry holds before its own time too, so that there always is a policy.
    """
    at_or_before = bisect_right(journal, at, key=lambda dated: dated.since)
    return journal[max(at_or_before - 1, 0)].policy
