"""Alerts to deliver: one of each shape for the golden files, and a maker of as many as a test needs."""

from __future__ import annotations

import math

import msgspec

from detector.alert import ATTACKS, TECHNIQUES, Alert, Attack, Audited, Entity, Promise, Reason, stable_id

MEASURED = Promise(share=0.01, confidence=None, horizon="30d", state="measured")
NO_PROMISE = Promise(share=None, confidence=None, horizon="30d", state="none")


def alert(number: int, *, at: str = "2026-03-01T12:00:00.000000Z", message: str = "", tag: str = "") -> Alert:
    """The number-th alert of a series; the same arguments give the same id."""
    return Alert(
        id=stable_id(tag, str(number)),
        kind="extraction",
        action="open",
        case_id=stable_id("case", tag, str(number)),
        at=at,
        model="fraud",
        entity=Entity("client", f"client-{number}"),
        severity="high",
        score=1.375,
        threshold=1.25,
        queries=182,
        query_id=f"q-{number}",
        promise=MEASURED,
        reasons=(Reason("spacing.nearest", 31.5, "62% of the queries lie beyond the honest 99th percentile"),),
        techniques=TECHNIQUES["extraction"],
        profile="fraud-2026-02",
        policy="7",
        message=message or f"client-{number} asks like someone who copies the model fraud",
    )


def golden() -> list[Alert]:
    """A client; a group's case that ends; a ring; a budget without a promise; the detection's own health; and a case
    under each other name.
    """
    client = alert(1, tag="golden")
    group = Alert(
        id=stable_id("golden", "group"),
        kind="exposure",
        action="resolve",
        case_id=stable_id("case", "group"),
        at="2026-03-02T08:30:00.250000Z",
        model="fraud",
        entity=Entity("organisation", "acme"),
        severity="informational",
        score=0.5,
        threshold=1.25,
        queries=40_000,
        query_id="q-77",
        promise=Promise(share=0.001, confidence=0.95, horizon="log", state="presumed honest"),
        reasons=(),
        techniques=TECHNIQUES["exposure"],
        profile="fraud-2026-02",
        policy="7",
        message='acme has stopped: "no query for a horizon"\nµ',
    )
    ring = Alert(
        id=stable_id("golden", "ring"),
        kind="ring",
        action="escalate",
        case_id=stable_id("case", "ring"),
        at="2026-03-03T00:00:00.000000Z",
        model="chat",
        entity=Entity("ring", "ring-0001", ("a", "b", "c", "d")),
        severity="critical",
        score=9.0,
        threshold=2.0,
        queries=80,
        query_id="q-9",
        promise=MEASURED,
        reasons=(Reason("pace.gap", 12.25, "one pace"), Reason("rank.previous", -1.5, "but honest ranks")),
        techniques=TECHNIQUES["ring"],
        profile="chat-1",
        policy="8",
        message="4 accounts ask as one",
    )
    budget = Alert(
        id=stable_id("golden", "budget"),
        kind="budget",
        action="open",
        case_id=stable_id("case", "budget"),
        at="2026-03-03T01:00:00.000000Z",
        model="chat",
        entity=Entity("subnet", "192.0.2.0/24"),
        severity="medium",
        score=-math.inf,
        threshold=10_000.0,
        queries=10_001,
        query_id="q-10001",
        promise=NO_PROMISE,
        reasons=(),
        techniques=TECHNIQUES["budget"],
        profile="chat-1",
        policy="8",
        message="192.0.2.0/24 has asked 10,001 times today",
    )
    health = Alert(
        id=stable_id("golden", "health"),
        kind="health",
        action="open",
        case_id=stable_id("case", "health"),
        at="2026-03-03T02:00:00.000000Z",
        model="chat",
        entity=Entity("model", "chat"),
        severity="low",
        score=0.0,
        threshold=0.0,
        queries=0,
        query_id="",
        promise=NO_PROMISE,
        reasons=(),
        techniques=TECHNIQUES["health"],
        profile="chat-1",
        policy="8",
        message="the log has been silent for two hours",
    )
    audit = Alert(
        id=stable_id("golden", "audit"),
        kind="audit",
        action="open",
        case_id=stable_id("case", "audit"),
        at="2026-03-05T00:00:00.000Z",
        model="chat",
        entity=Entity("person", "anna [oidc:8f3a]"),
        severity="informational",
        score=0.0,
        threshold=0.0,
        queries=0,
        query_id="",
        promise=NO_PROMISE,
        reasons=(),
        techniques=TECHNIQUES["audit"],
        profile="chat-1",
        policy="8",
        message="anna [oidc:8f3a]: policy.asked draft 3: too many false alarms",
        audit=Audited(
            7, "anna [oidc:8f3a]", "admin", "policy.asked", "draft 3", "too many false alarms", "{}", "{}", "f" * 64
        ),
    )
    return [client, group, ring, budget, health, audit, *map(renamed, ATTACKS[1:])]


def renamed(kind: Attack) -> Alert:
    """A case that is known by this name now."""
    told = alert(2, tag=kind, at="2026-03-04T00:00:00.000000Z", message=f"client-2 is after {kind}")
    why = (Reason("pursuit.member", 12.5, "31% of its queries are training records of the model"),)
    return msgspec.structs.replace(told, kind=kind, action="rename", techniques=TECHNIQUES[kind], reasons=why)
