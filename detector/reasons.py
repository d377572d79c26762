"""Evidence in words: why an alert was sent, in sentences that an analyst can act on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from detector.alert import ATTACKS, TECHNIQUES, Alert, Entity, Kind, Promise, Reason
from detector.decide import Decision
from detector.evidence.naming import speaker
from detector.exposure.known import ANSWERS, CELLS, CLONE, MEASURES
from detector.policy import Policy, latest_release
from detector.tape import Exposed, Point
from features.contract import Signal

MOST = 5  # reasons in an alert
RELEASE = "policy.release"  # the reason that speaks for the entity
CLASS = "policy.class"  # the reason that proposes a class
BY_A_MACHINE = ("timing.regularity", "timing.burst")
SWEEP = "sequence.sweep"  # the reason that speaks for all queries together
WEAK_DB = 1.0  # evidence below this is no reason
ONE_HAND = "ring.accounts"  # the reason that says how many they are
MOST_RARE = 100_000.0  # honest clients to one: beyond, the scale is a guess
USUAL = 50  # hundredths: what one honest client in ten shows is no reason
ALONE = 100  # what only corroborates stands behind what accuses
ASKS = {
    "extraction": "as one does who copies",
    "membership": "as one does who finds out which records taught",
    "inversion": "as one does who draws the data that taught it out of",
    "evasion": "as one does who looks for inputs that deceive",
    "unknown": "unlike the honest clients of",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def alert(
    policy: Policy, point: Point, decision: Decision, signals: Sequence[Signal], *, promise: Promise, profile: str
) -> Alert:
    """The alert that a decision on a point becomes. `profile` is the id of the profile that scored."""
    found = budgeted(point.exposed) if decision.kind == "exposure" and point.exposed else reasons(point, signals)
    if decision.action != "resolve":
        found = own_first(point, decision.kind, signals, found)
    if decision.kind in (*ATTACKS, "ring") and decision.action != "resolve":
        found += after_release(policy, point.at)
    if decision.kind in ATTACKS and decision.action == "open" and point.kind == "client" and not point.of_class:
        found += proposed_class(point, signals)
    score = float(point.asked_today) if point.budget else point.score
    if decision.kind == "exposure" and point.exposed:
        score = point.exposed.clone / 1000
    return Alert(
        id=decision.alert_id,
        kind=decision.kind,
        action=decision.action,
        case_id=decision.case_id,
        at=rfc3339(point.at),
        model=point.model,
        entity=Entity(point.kind, point.id, point.members or None, point.of_class or None),
        severity=decision.severity,
        score=score if score > -1e308 else 0.0,
        threshold=decision.threshold,
        queries=point.n,
        query_id=point.query_id,
        promise=promise,
        reasons=found,
        techniques=TECHNIQUES[decision.kind],
        profile=profile,
        policy=policy.version,
        message=_message(point, decision, found),
    )


def reasons(point: Point, signals: Sequence[Signal]) -> tuple[Reason, ...]:
    """The signals that speak against the entity, strongest first."""
    if point.budget:
        text = f"It asked {point.asked_today:,} times on {rfc3339(point.at)[:10]} (UTC)."
        return (Reason("budget.count", 0.0, text),)
    odds = point.odds or point.evidence  # a tape of an older version knows evidence only
    found = [
        (
            odds[f] if signal.alone else min(odds[f], ALONE),
            Reason(signal.name, point.evidence[f] / 100, sentence(signal, point.shares[f], point.tails[f])),
        )
        for f, signal in enumerate(signals[: len(odds)])
        if point.evidence[f] / 100 >= WEAK_DB and odds[f] >= USUAL
    ]
    if point.exposed is not None:
        odd = [odds for odds in sorted(point.exposed.odds, reverse=True) if odds >= USUAL]
        found += zip(odd, leaks(point.exposed), strict=False)
    if point.sequence >= USUAL:
        found.append((point.sequence, like_a_sweep(point.sequence)))
    told = tuple(reason for _, reason in sorted(found, key=lambda one: -one[0])[:MOST])
    return (*told[: MOST - 1], one_hand(point)) if point.accounts else told


def own_first(point: Point, kind: Kind, signals: Sequence[Signal], found: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """The same reasons, headed by that of the signal that gave the attack its name."""
    own = speaker(kind, signals)
    if own is None or point.odds[own] < USUAL:
        return found
    text = sentence(signals[own], point.shares[own], point.tails[own])
    others = tuple(reason for reason in found if reason.signal != signals[own].name)
    return (Reason(signals[own].name, point.evidence[own] / 100, text), *others[: MOST - 1])


def leaks(exposed: Exposed) -> list[Reason]:
    """The measures of exposure in words, oddest first."""
    n, clone = (
        f"{exposed.queries:,}",
        f"It has learned {exposed.clone / 10:.0f}% of what a clone of {CLONE:,} queries knows",
    )
    as_much = (
        f"honest clients learn from {exposed.equals:,}" if exposed.equals else "no honest client is known to learn"
    )
    texts = (
        f"It has learned as much from {n} queries as {as_much}.",
        f"{clone}: its {n} queries got all kinds of answers, as those of the whole population together do.",
        f"Its {n} queries are spread over the input space as those of the whole population together are.",
    )
    order = sorted(range(len(MEASURES)), key=lambda m: -exposed.odds[m])
    return [Reason(MEASURES[m], 0.0, texts[m]) for m in order]


def like_a_sweep(odds: int) -> Reason:
    """What the sequence model says: odds as in Point.sequence, where 1/2 more is ten times as rare."""
    honest = min(10.0 ** (odds / 50), MOST_RARE)
    text = f"All its queries together are like a made sweep's, as those of one honest client in {honest:,.0f} are."
    return Reason(SWEEP, 0.0, text)


def budgeted(exposed: Exposed) -> tuple[Reason, ...]:
    """Why an exposure budget was passed."""
    text = f"It has learned {exposed.clone / 10:.0f}% of what a clone of {CLONE:,} queries would know of the model."
    return (Reason("exposure.clone", 0.0, text),)


def one_hand(point: Point) -> Reason:
    """What joins the accounts of a ring."""
    listed = f" ({len(point.members)} are listed)" if 0 < len(point.members) < point.accounts else ""
    text = f"{point.accounts:,} accounts{listed} ask alike, as one hand asks and not as honest clients who differ."
    return Reason(ONE_HAND, point.together / 100, text)


def after_release(policy: Policy, at: int) -> tuple[Reason, ...]:
    """That something changed for everybody shortly before log time `at`, where the policy marks a release."""
    release = latest_release(policy, at)
    if release is None:
        return ()
    text = f"It comes within the grace of a release: {release.note} ({rfc3339(release.at)[:19]}Z)."
    return (Reason(RELEASE, 0.0, text),)


def proposed_class(point: Point, signals: Sequence[Signal]) -> tuple[Reason, ...]:
    """The class that the client may be of, where it asks as such clients do. It excuses nothing: somebody must declare
    it, and copiers ask so too.
    """
    odds = {signal.name: odds for signal, odds in zip(signals, point.odds, strict=False)}
    if any(odds.get(name, 0) >= ALONE for name in BY_A_MACHINE):
        text = "It asks at the times of a machine. Where it is known and expected, declare it `automation`."
    elif point.exposed is not None and _gathers(point.exposed, max(odds.values(), default=0)):
        text = "It asks what a whole population asks, and nothing else is odder. A service that gathers the queries of "
        text += "many is a `backend`, where it is declared."
    else:
        return ()
    return (Reason(CLASS, 0.0, text),)


def _gathers(exposed: Exposed, oddest: int) -> bool:
    return max(exposed.odds[ANSWERS], exposed.odds[CELLS]) >= max(ALONE, oddest)


def sentence(signal: Signal, share: int, tail: int) -> str:
    """What stands out in a signal: permille of the entity's queries, and of honest ones (its sign is the side)."""
    if tail == 0:
        return "Its queries spread unlike any honest client's."
    honest = f"{(1000 - abs(tail)) / 10:g}%"
    part = (signal.high if tail > 0 else signal.low).format(honest=honest)
    return f"{share / 10:g}% of its queries {part}."


def rfc3339(at_us: int) -> str:
    """Microseconds since 1970 as `2026-11-24T10:27:09.000000Z`."""
    return (EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _message(point: Point, decision: Decision, found: tuple[Reason, ...]) -> str:
    who = f"{point.kind} {point.id}"
    if decision.action == "resolve":
        return f"{who} asks like honest clients again (model {point.model})"
    if decision.kind == "budget":
        return f"{who} passed its budget of {decision.threshold:g} queries a day (model {point.model})"
    if decision.kind == "exposure":
        return f"{who} passed its exposure budget of {decision.threshold:.0%} (model {point.model}): {found[0].text}"
    against = [reason.text for reason in found if reason.signal not in (RELEASE, CLASS)][:1]
    excuse = [reason.text for reason in found if reason.signal == RELEASE]
    why = f": {' '.join(against + excuse)}" if found else ""
    if decision.kind == "ring":
        return f"{who}, {point.accounts:,} accounts, asks as one does who copies the model {point.model}{why}"
    return f"{who} asks {ASKS[decision.kind]} the model {point.model}{why}"
