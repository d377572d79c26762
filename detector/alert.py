"""What goes out: the alert with its reasons. docs/alert.schema.json is made from these types."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

SCHEMA = 1

Kind = Literal[
    "extraction",
    "membership",
    "inversion",
    "evasion",
    "unknown",
    "exposure",
    "ring",
    "budget",
    "population",
    "health",
    "audit",
]
Attack = Literal["extraction", "membership", "inversion", "evasion", "unknown"]
ATTACKS: tuple[Attack, ...] = ("extraction", "membership", "inversion", "evasion", "unknown")
NAMED: tuple[Attack, ...] = ("membership", "inversion", "evasion")  # those that a signal of their own speaks for
Action = Literal["open", "escalate", "rename", "resolve"]
Severity = Literal["informational", "low", "medium", "high", "critical"]
UNNAMED = ("address", "asn", "ip", "network", "proxy", "subnet")  # groups of which no alert lists the members
SEVERITIES: tuple[Severity, ...] = ("informational", "low", "medium", "high", "critical")

# MITRE ATLAS. Tactic AML.TA0010 (Exfiltration) where a technique names no other; techniques by kind of alert.
TACTIC = "AML.TA0010"
TECHNIQUES: dict[str, tuple[str, ...]] = {
    "extraction": ("AML.T0024.002",),
    "exposure": ("AML.T0024.002",),
    "ring": ("AML.T0024.002", "AML.T0008.005"),
    "membership": ("AML.T0024.000",),
    "inversion": ("AML.T0024.001",),
    "evasion": ("AML.T0043.001",),
    "unknown": (),
    "budget": ("AML.T0034.000",),
    "population": (),
    "health": (),
    "audit": (),
}


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is named. `kind` is the level: `client`, or the name of a logged group such as `organisation`. of_class: the
    entity class that a client was declared to be of (`automation`, `backend`) and judged in.
    """

    kind: str
    id: str
    members: tuple[str, ...] | None = None
    of_class: str | None = None


class Promise(msgspec.Struct, frozen=True):
    """What stands behind the threshold that was crossed.

    share: at most this share of honest entities is named within `horizon` of their first query; null: no promise.
    confidence: null for the conformal average, else the probability over the calibration clients (Beta law).
    horizon: such as `30d`, or `log` for the span of the log that calibrated it.
    state: `measured`; `presumed honest` (calibrated on traffic nobody vouched for); `none`.
    """

    share: float | None
    confidence: float | None
    horizon: str
    state: str


NO_PROMISE = Promise(share=None, confidence=None, horizon="", state="none")


class Reason(msgspec.Struct, frozen=True):
    """One signal's part: evidence in decibans (10 log10 of the likelihood ratio), and a sentence for people."""

    signal: str
    evidence_db: float
    text: str


class Audited(msgspec.Struct, frozen=True):
    """What somebody did on the dashboard. before, after: JSON text, "" where there is none. seq, hash: its number and
    its place in the chain, so that whoever is sent all of them can tell when some are gone.
    """

    seq: int
    who: str
    role: str
    what: str
    subject: str
    why: str
    before: str
    after: str
    hash: str


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """The decision that goes out. The same crossing always has the same `id`; all alerts of one case share `case_id`.

    `score` and `threshold` have no unit (honest median 0, honest 99th percentile 1, per signal, then the maximum).
    `queries`: how many of the entity's queries had been seen. `query_id`: the one that crossed. `audit`: of the kind
    `audit` alone, which is about a person at the dashboard, and no attack.
    """

    schema: int = SCHEMA
    id: str
    kind: Kind
    action: Action
    case_id: str
    at: str
    model: str
    entity: Entity
    severity: Severity
    score: float
    threshold: float
    queries: int
    query_id: str
    promise: Promise
    reasons: tuple[Reason, ...]
    techniques: tuple[str, ...]
    profile: str
    policy: str
    message: str
    audit: Audited | UnsetType = UNSET


def notice(
    kind: Kind, *, id_: str, case_id: str, at_s: float, model: str, entity: Entity, profile: str, policy: str,
    message: str, audit: Audited | UnsetType = UNSET,
) -> Alert:  # fmt: skip
    """An alert about querywarden itself, at a wall time (seconds since 1970): no query, no score, no promise."""
    return Alert(
        id=id_,
        kind=kind,
        action="open",
        case_id=case_id,
        at=datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        model=model,
        entity=entity,
        severity="informational",
        score=0.0,
        threshold=0.0,
        queries=0,
        query_id="",
        promise=NO_PROMISE,
        reasons=(),
        techniques=TECHNIQUES[kind],
        profile=profile,
        policy=policy,
        message=message,
        audit=audit,
    )


def stable_id(*parts: str) -> str:
    """32 hex digits that depend on `parts` alone (BLAKE2b over length-prefixed UTF-8): the same crossing, the same id.

    >>> stable_id("a", "bc") != stable_id("ab", "c")
    True
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(4, "little") + data)
    return digest.hexdigest()
