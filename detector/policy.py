"""The policy in force: thresholds, severities, cool-down, suppressions, windows and budgets, as one versioned value."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from detector.alert import Severity

ClassName = Literal["automation", "backend"]


class Suppression(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entity that is not alerted on until `until` (microseconds, log time). It never lasts forever."""

    kind: str
    id: str
    until: int
    reason: str


class Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a client, or all clients of a logged group (`kind` and `id`), are of an entity class until `until`
    (microseconds, log time). hard: queries that such a client may ask per day; by, approved_by: two people.
    """

    name: ClassName
    kind: str
    id: str
    until: int
    hard: int
    by: str
    approved_by: str
    reason: str


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Queries that an entity may ask per day of log time. Counted at 64, 80, 96, 112, 128, 160, ...: up to 25% late."""

    soft: int | None = None
    hard: int | None = None


class ExposureBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of what a clone of 1,000 queries knows of the model, that an entity may learn, ever. It is looked at each
    time that a fifth more queries were asked, so up to that late.
    """

    soft: Annotated[float, Meta(gt=0, le=1)] | None = None
    hard: Annotated[float, Meta(gt=0, le=1)] | None = None


class Maintenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A span of log time (microseconds) in which nobody's case moves: what is odd in it was planned. Budgets hold."""

    since: int
    until: int
    reason: str


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something changed for everybody at `at` (microseconds, log time); alerts say so for `grace_s` after it."""

    at: int
    note: str
    grace_s: float


class Storm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many entities must open a case on one signal within `window_s` of log time, before the population is said
    to have moved: `at_least`, or more where the promise lets more be expected. at_least 0: never.
    """

    window_s: Annotated[float, Meta(ge=60, le=86_400)] = 3_600.0
    at_least: Annotated[int, Meta(ge=0, le=4_096)] = 8


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
    maintenance: tuple[Maintenance, ...] = ()
    releases: tuple[Release, ...] = ()
    storm: Storm = Storm()
    exposure: ExposureBudget = ExposureBudget()
    classes: tuple[Declaration, ...] = ()


def level_of_class(name: str) -> str:
    """The level at which clients of a class are promised something: its thresholds, its law.

    >>> level_of_class("automation"), level_of_class("")
    ('client:automation', 'client')
    """
    return f"client:{name}" if name else "client"


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


def latest_release(policy: Policy, at: int) -> Release | None:
    """The last release of which the grace holds at log time `at`."""
    inside = [one for one in policy.releases if one.at <= at < one.at + one.grace_s * 1e6]
    return max(inside, key=lambda one: one.at, default=None)
