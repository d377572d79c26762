"""What goes over the wire. The API's OpenAPI document and the page's types are made from these.

Times are microseconds since 1970 in log time (`*_at`, `since`, `until`) unless a name says wall clock (`said_at`,
`made_at`, seconds). Scores have no unit (1: one honest client in a hundred, in one signal). Shares lie in [0, 1].
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from detector.alert import Action, Alert, Severity
from detector.dashboard_settings import Role
from detector.learned.triage import Answer

T = TypeVar("T")
Sort = Literal["score", "exposure", "queries", "last"]
Score = Annotated[float, Meta(gt=-1_000, lt=1_000_000)]
Text = Annotated[str, Meta(max_length=2_000)]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list. next: the cursor of what follows; null at the end. total: of all that match."""

    items: tuple[T, ...]
    total: int
    next: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """RFC 9457, application/problem+json. errors: one sentence a field that was not right."""

    title: str
    status: int
    detail: str = ""
    type: str = "about:blank"
    errors: dict[str, str] | UnsetType = UNSET


# -- who is there


class Session(msgspec.Struct, frozen=True):
    """csrf: goes into the header `X-CSRF-Token` of whatever changes something."""

    user: str
    role: Role
    csrf: str
    expires_at: float


class Ways(msgspec.Struct, frozen=True):
    """How one may log in here. oidc: the name of the provider, for the button."""

    local: bool
    oidc: str | None


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    password: Annotated[str, Meta(min_length=1, max_length=1_000)]


class Token(msgspec.Struct, frozen=True):
    """An API token. secret: shown once, when it is made."""

    id: str
    name: str
    role: Role
    by: str
    made_at: float
    expires_at: float
    used_at: float | None = None
    secret: str | None = None


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    role: Role
    days: Annotated[int, Meta(ge=1, le=366)] = 90


# -- the model, its levels, its signals


class SignalWord(msgspec.Struct, frozen=True):
    """low, high: what an excess of low or high values means; alone: whether it may accuse by itself."""

    name: str
    low: str
    high: str
    alone: bool


class LevelWord(msgspec.Struct, frozen=True):
    """A level that is judged (`client`, `client:automation`, `organisation`, `ring`).

    share: promised, null: nothing is; low, high: the 5th and 95th percentile of the share that the profile's threshold
    really lets pass; calibrated: by how many entities; smallest: the least share that they can promise.
    """

    level: str
    share: float | None
    low: float | None
    high: float | None
    calibrated: int
    smallest: float
    threshold: float | None
    entities: int
    note: str


class Overview(msgspec.Struct, frozen=True):
    """since, until: the tape that is kept; points: how many. version: of querywarden. unit: of the horizon, `30d`."""

    model: str
    profile: str
    version: str
    kit: str
    horizon: str
    state: str
    levels: tuple[LevelWord, ...]
    signals: tuple[SignalWord, ...]
    since: int | None
    until: int | None
    points: int
    entities: int
    open_cases: int
    needs_review: bool


# -- thresholds, and what they would have done


class ThresholdAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    severity: Severity
    score: Score


class Allowed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entity that nobody is alerted on until `until`."""

    kind: Annotated[str, Meta(min_length=1, max_length=100)]
    id: Annotated[str, Meta(min_length=1, max_length=1_000)]
    until: int
    reason: Text


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a draft changes of the policy in force; what is not given stays. thresholds: by level, ascending."""

    thresholds: dict[str, tuple[ThresholdAt, ...]] | UnsetType = UNSET
    cool_down_s: Annotated[float, Meta(ge=0, le=31_536_000)] | UnsetType = UNSET
    suppressions: tuple[Allowed, ...] | UnsetType = UNSET


class PolicyWord(msgspec.Struct, frozen=True):
    """A policy of the journal. since: log time from which it holds."""

    version: str
    since: int
    thresholds: dict[str, tuple[ThresholdAt, ...]]
    cool_down_s: float
    suppressions: tuple[Allowed, ...]
    in_force: bool


class Histogram(msgspec.Struct, frozen=True):
    """Entities of a level by the highest score of the span. edges: ascending, one more than counts, spaced evenly in
    the tape's grid (a log scale above 4). below: entities that never rose above the tape's floor. attacks, honest: of
    the counts, those whose case a person judged so.
    """

    level: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    attacks: tuple[int, ...]
    honest: tuple[int, ...]
    below: int
    total: int
    since: int | None
    until: int | None


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What would `change` have done? since, until: log time; null: all that is kept. listed: at most so many names."""

    change: Change
    since: int | None = None
    until: int | None = None
    listed: Annotated[int, Meta(ge=0, le=1_000)] = 100


class Flip(msgspec.Struct, frozen=True):
    """An entity that would be alerted on and was not, or the reverse. severity: the highest that would (did) go out."""

    level: str
    id: str
    severity: Severity
    score: float
    at: int
    said: Answer | None


class Day(msgspec.Struct, frozen=True):
    """Openings and escalations of a day of log time that were told, by severity; was: under what was in force.
    held_was, held_would: how many were held, since the population moved.
    """

    at: int
    was: dict[str, int]
    would: dict[str, int]
    held_was: int
    held_would: int


class Promised(msgspec.Struct, frozen=True):
    """What stands behind a threshold of a level.

    share: of fresh honest entities that pass it within the horizon, at most, on average (null: nothing can be said);
    low, high: 5th and 95th percentile of that share (Beta law). supported: whether the calibration entities reach so
    far. words: the sentences that belong beside it: beyond support, chosen while looking at the data, presumed honest.
    """

    level: str
    severity: Severity
    score: float
    share: float | None
    low: float | None
    high: float | None
    supported: bool
    words: tuple[str, ...]


class Judged(msgspec.Struct, frozen=True):
    """Cases that people judged. kept, lost, gained: attacks that are alerted on under both, only now, only then.
    precision: attacks among judged entities that are alerted on (null where none was judged).
    """

    kept: int
    lost: int
    gained: int
    precision_was: float | None
    precision_would: float | None


class Preview(msgspec.Struct, frozen=True):
    """All of it over [since, until): days, who flips, what is promised. was, would: alerts that were told; held_was,
    held_would: those that storms held, storms_was, storms_would: how many broke out. above: entities whose score is
    above the lowest threshold now. expected_per_day: openings that are told a day under the change, over the span.
    took_ms: to compute this.
    """

    since: int | None
    until: int | None
    days: tuple[Day, ...]
    was: dict[str, int]
    would: dict[str, int]
    held_was: int
    held_would: int
    storms_was: int
    storms_would: int
    flips_in: tuple[Flip, ...]
    flips_out: tuple[Flip, ...]
    flips_in_total: int
    flips_out_total: int
    judged: Judged
    promised: tuple[Promised, ...]
    above: dict[str, int]
    expected_per_day: float | None
    entities: int
    points: int
    history_days: float
    took_ms: float


class AskPromise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A threshold said as a promise (`share`, as 1 in 500 is 0.002) or as a score: give one."""

    level: str
    severity: Severity = "medium"
    share: Annotated[float, Meta(gt=0, lt=1)] | None = None
    score: Score | None = None


DraftState = Literal["draft", "approved", "applied", "refused", "withdrawn"]


class Draft(msgspec.Struct, frozen=True):
    """etag: goes into `If-Match`; base: version of the policy that it was drafted over; a draft whose base is not in
    force any more cannot be applied. outcome: what the detector said.
    """

    id: int
    etag: str
    state: DraftState
    title: str
    why: str
    by: str
    made_at: float
    base: str
    change: Change
    approved_by: str | None
    applied_by: str | None
    applied_at: float | None
    since: int | None
    version: str | None
    outcome: str
    needs_review: bool


class NewDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    why: Annotated[str, Meta(min_length=1, max_length=2_000)]
    base: str
    change: Change


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why something is done: for the audit."""

    why: Annotated[str, Meta(min_length=1, max_length=2_000)]


class AuditEntry(msgspec.Struct, frozen=True):
    """hash: SHA-256 over the entry and the hash before it, hex. before, after: JSON text, "" where there is none."""

    seq: int
    made_at: float
    who: str
    role: str
    what: str
    subject: str
    why: str
    before: str
    after: str
    hash: str


class AuditState(msgspec.Struct, frozen=True):
    """Whether the chain holds; broken_at: the first entry that does not follow from what stands before it. known: how
    many were followed at an earlier look, and not again.
    """

    entries: int
    head: str
    broken_at: int | None
    known: int = 0


# -- clients, groups, rings


class EntityRow(msgspec.Struct, frozen=True):
    """score: now, null below the tape's floor; peak: its highest; clone: what a clone of 1,000 queries would know."""

    level: str
    id: str
    score: float | None
    peak: float | None
    queries: int
    last_at: int
    clone: float | None
    case_id: str | None
    severity: Severity | None
    said: Answer | None
    strongest: str


class Weighed(msgspec.Struct, frozen=True):
    """A signal of an entity now. score: on the scale on which 1 is one honest client in a hundred; one_in: so many
    honest clients to one that is as odd; text: the sentence, "" where it is no reason.
    """

    signal: str
    score: float
    evidence_db: float
    share: float
    honest_share: float
    side: Literal["low", "high"]
    one_in: float | None
    text: str


class Hand(msgspec.Struct, frozen=True):
    """A group or ring that the entity was seen in, or for those: a member."""

    level: str
    id: str


class EntityView(msgspec.Struct, frozen=True):
    """signals: the oddest first. first_at: of the tape that is kept. typical: what honest clients show: the median and
    the 99th percentile are 0 and 1 on the scale of `signals`, so the comparison needs no more numbers.
    """

    row: EntityRow
    first_at: int | None
    signals: tuple[Weighed, ...]
    groups: tuple[Hand, ...]
    members: tuple[Hand, ...]
    alerts: tuple[Alert, ...]
    attack: str
    of_class: str
    equals: int | None
    allowed: Allowed | None


class Timeline(msgspec.Struct, frozen=True):
    """Columns of equal length, ascending in `at`. score: null below the floor; signals: by name, the scale of
    `Weighed.score`; clone: null where nothing was known. thresholds: in force at the end.
    """

    at: tuple[int, ...]
    queries: tuple[int, ...]
    score: tuple[float | None, ...]
    clone: tuple[float | None, ...]
    signals: dict[str, tuple[float, ...]]
    alerts: tuple[AlertMark, ...]
    thresholds: tuple[ThresholdAt, ...]
    thinned: bool


class AlertMark(msgspec.Struct, frozen=True):
    at: int
    id: str
    action: Action
    severity: Severity


class Mattered(msgspec.Struct, frozen=True):
    """A query at which the score rose. rise: by how much; signal: the one that rose most, by evidence_db; honest_share:
    of honest queries that are as extreme; side: which end of the signal. query_id: the log's.
    """

    query_id: str
    at: int
    n: int
    score: float
    rise: float
    signal: str
    evidence_db: float
    honest_share: float
    side: Literal["low", "high"]
    text: str


class Map(msgspec.Struct, frozen=True):
    """Two dimensions of the profile's projection. training: reference points; queries: those that the entity's row
    still remembers, in the order in which they were asked; explained: share of the training's variance that the two
    hold. Empty where the kit has no such memory.
    """

    training: tuple[tuple[float, float], ...]
    queries: tuple[tuple[float, float], ...]
    explained: float


# -- cases and verdicts


class CaseRow(msgspec.Struct, frozen=True):
    """probability: of triage, null where it knows too little. said: the verdict that counts."""

    case_id: str
    kind: str
    severity: Severity
    state: Literal["open", "resolved", "held"]
    level: str
    id: str
    score: float
    queries: int
    at: int
    opened_at: int
    probability: float | None
    reason: str
    said: VerdictWord | None


class VerdictWord(msgspec.Struct, frozen=True):
    answer: Answer
    by: str
    note: str
    said_at: float
    expires_at: float | None


class Because(msgspec.Struct, frozen=True):
    """What one number adds to triage's word, in decibans; below zero it speaks for honest."""

    name: str
    decibans: float


class CaseView(msgspec.Struct, frozen=True):
    """alerts: of the case, in order; verdicts: all that were given, the last counts; members: of a ring or group."""

    row: CaseRow
    alerts: tuple[Alert, ...]
    verdicts: tuple[VerdictWord, ...]
    because: tuple[Because, ...]
    taught_by: int
    members: tuple[Hand, ...]


class Say(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A verdict on one case or on many. expires_at: wall clock; after it the case waits again."""

    cases: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1_000)]
    answer: Answer
    note: Text = ""
    expires_at: float | None = None


class Said(msgspec.Struct, frozen=True):
    """kept: cases whose verdict is kept; refused: case and why."""

    kept: tuple[str, ...]
    refused: dict[str, str]


# -- health


class SinkHealth(msgspec.Struct, frozen=True):
    name: str
    state: str
    backlog: int
    last_ack: float | None


class Letters(msgspec.Struct, frozen=True):
    reason: str
    count: int
    example: str


class Drift(msgspec.Struct, frozen=True):
    """What was found of the population, in the words of the alerts about it; proposal: what to do, before and after."""

    at: int
    text: str
    proposal: str
    before: str
    after: str


class HealthWord(msgspec.Struct, frozen=True):
    """reachable: whether the detector answered just now; the rest is null or empty where it did not."""

    reachable: bool
    state: str
    reasons: tuple[str, ...]
    version: str
    lag_s: float | None
    rate: float | None
    records: int | None
    queries: int | None
    without_identity: float | None
    letters: tuple[Letters, ...]
    sinks: tuple[SinkHealth, ...]
    drift: tuple[Drift, ...]
    entities: int
    store_bytes: int
    tape_points: int
    watermark_at: int | None
    seen_at: float | None
