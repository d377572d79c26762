"""What is told of a population that moves by and by: a drift of one signal, and a promise that holds no more."""

from __future__ import annotations

from collections.abc import Sequence

from detector.alert import NO_PROMISE, TECHNIQUES, Alert, Entity, Reason, Severity, stable_id
from detector.learned.drift import Moved
from detector.reasons import rfc3339


def population_moved(
    model: str, profile: str, policy: str, at: int, moved: Sequence[Moved], void_since: int | None
) -> list[Alert]:
    """One alert for each signal that drifted, and one when the promise does not hold any more."""
    told: list[tuple[str, Severity, str, float]] = [
        (
            one.signal,
            "low",
            f"the population has drifted on {one.signal} since {rfc3339(one.since)[:10]} (model {model}): fit the "
            "profile anew if it stays so",
            one.size,
        )
        for one in moved
    ]
    if void_since is not None:
        text = (
            f"new clients score otherwise than those that calibrated (model {model}): the promise is void since "
            f"{rfc3339(void_since)}; fit the profile anew"
        )
        told.append(("promise", "medium", text, 0.0))
    return [_of_population(model, profile, policy, at, *one) for one in told]


def _of_population(
    model: str, profile: str, policy: str, at: int, what: str, severity: Severity, text: str, size: float
) -> Alert:
    return Alert(
        id=stable_id(model, "population", "drift", what, str(at), profile),
        kind="population",
        action="open",
        case_id=stable_id(model, "population", "drift", what, str(at), profile),
        at=rfc3339(at),
        model=model,
        entity=Entity("population", what),
        severity=severity,
        score=round(abs(size), 3),
        threshold=0.0,
        queries=0,
        query_id="",
        promise=NO_PROMISE,
        reasons=(Reason(f"population.{what}", 0.0, text),),
        techniques=TECHNIQUES["population"],
        profile=profile,
        policy=policy,
        message=text,
    )
