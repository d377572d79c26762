"""Says an alert in the words of the Elastic Common Schema; what ECS has no word for goes under `querywarden`.

Source: ECS 8.17 field reference. Elastic's prebuilt rule *External Alerts* takes `message` as the name, and
`event.severity` and `event.risk_score`; a severity that it does not know becomes its default, medium, so
`informational` is sent as low.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from detector.alert import TACTIC, Alert, Audited, Entity, Severity

ECS_VERSION = "8.17.0"
SEVERITY: dict[Severity, int] = {"informational": 21, "low": 21, "medium": 47, "high": 73, "critical": 99}
RISK: dict[Severity, int] = {"informational": 1, "low": 21, "medium": 47, "high": 73, "critical": 99}
RULES = {
    "extraction": "Model extraction",
    "exposure": "Model exposure",
    "ring": "Ring of accounts extracting a model",
    "membership": "Membership inference",
    "inversion": "Model inversion",
    "evasion": "Evasion probing",
    "unknown": "Unlike honest clients",
    "budget": "Query budget spent",
    "population": "Client population moved",
    "health": "Detection health",
    "audit": "Dashboard audit",
}
# MITRE ATLAS names and, per technique, the tactics that ATLAS files it under.
TACTICS = {
    TACTIC: "Exfiltration",
    "AML.TA0001": "AI Attack Staging",
    "AML.TA0003": "Resource Development",
    "AML.TA0011": "Impact",
}
TECHNIQUES = {
    "AML.T0024": (TACTIC, "Exfiltration via AI Inference API"),
    "AML.T0034": ("AML.TA0011", "Cost Harvesting"),
    "AML.T0043": ("AML.TA0001", "Craft Adversarial Data"),
    "AML.T0008": ("AML.TA0003", "Acquire Infrastructure"),
}
SUBTECHNIQUES = {
    "AML.T0024.000": "Infer Training Data Membership",
    "AML.T0024.001": "Invert AI Model",
    "AML.T0024.002": "Extract AI Model",
    "AML.T0043.001": "Black-Box Optimization",
    "AML.T0034.000": "Excessive Queries",
    "AML.T0008.005": "AI Service Proxies",
}
PERSON = "person"  # who did something on the dashboard
CATEGORIES = {"login": "authentication", "logout": "authentication", "token": "iam"}
FAILED = (".failed", ".locked", ".refused", ".not_asked")
ORGANISATIONS = frozenset(("organisation", "organization", "org", "tenant", "company", "customer"))

Document = dict[str, Any]


def document(alert: Alert, *, dataset: str, namespace: str) -> Document:
    """The alert as a document of the data stream `logs-<dataset>-<namespace>`.

    `event.kind` is `alert` where somebody has to look; the end of a case is an `event`, or it would open a new one.
    A health alert is about querywarden itself, not about an attack: it has no `event.category`.
    """
    return {
        "@timestamp": alert.at,
        "message": alert.message,
        "ecs": {"version": ECS_VERSION},
        "data_stream": {"type": "logs", "dataset": dataset, "namespace": namespace},
        "event": _event(alert, dataset),
        "rule": {"id": f"querywarden.{alert.kind}", "name": RULES[alert.kind], "version": alert.policy},
        **_threat(alert.techniques),
        **_who(alert.entity),
        "querywarden": _ours(alert),
    }


def _event(alert: Alert, dataset: str) -> Document:
    if alert.audit is not UNSET:
        return _deed(alert, alert.audit, dataset)
    event: Document = {
        "kind": "event" if alert.action == "resolve" else "alert",
        "type": ["info"],
        "action": f"{alert.kind}-{alert.action}",
        "id": alert.id,
        "severity": SEVERITY[alert.severity],
        "risk_score": RISK[alert.severity],
        "module": "querywarden",
        "dataset": dataset,
    }
    if alert.kind != "health":
        event["category"] = ["threat", "intrusion_detection"]
    if alert.reasons:
        event["reason"] = "; ".join(reason.text for reason in alert.reasons)
    return event


def _deed(alert: Alert, audited: Audited, dataset: str) -> Document:
    """What a person did is no alert, whatever it was."""
    return {
        "kind": "event",
        "category": [CATEGORIES.get(audited.what.partition(".")[0], "configuration")],
        "type": ["info"],
        "action": audited.what,
        "outcome": "failure" if audited.what.endswith(FAILED) else "success",
        "id": alert.id,
        "severity": SEVERITY[alert.severity],
        "risk_score": RISK[alert.severity],
        "module": "querywarden",
        "dataset": dataset,
        "reason": audited.why,
    }


def _threat(techniques: tuple[str, ...]) -> Document:
    """ECS wants arrays here; the n-th id and the n-th name belong together."""
    if not techniques:
        return {}
    subs = [one for one in techniques if one.count(".") == 2]
    parents = list(dict.fromkeys(".".join(one.split(".")[:2]) for one in techniques))
    tactics = list(dict.fromkeys(TECHNIQUES[one][0] for one in parents if one in TECHNIQUES)) or [TACTIC]
    technique: Document = {"id": parents, "name": [TECHNIQUES[one][1] for one in parents if one in TECHNIQUES]}
    if subs:
        names = [SUBTECHNIQUES[one] for one in subs if one in SUBTECHNIQUES]
        technique["subtechnique"] = {"id": subs, "name": names}
    tactic = {"id": tactics, "name": [TACTICS[one] for one in tactics]}
    return {"threat": {"framework": "MITRE ATLAS", "tactic": tactic, "technique": technique}}


def _who(entity: Entity) -> Document:
    """The names that a SIEM pivots on. Only a client is a user; a subnet or a ring is nobody's `user.id`."""
    who: Document = {}
    users = entity.members or ()
    if entity.kind == PERSON:
        return {"user": {"name": entity.id}, "related": {"user": [entity.id]}}
    if entity.kind == "client":
        who["user"] = {"id": entity.id}
        users = (entity.id, *users)
    elif entity.kind in ORGANISATIONS:
        who["organization"] = {"id": entity.id}
    if users:
        who["related"] = {"user": list(dict.fromkeys(users))}
    return who


def _ours(alert: Alert) -> Document:
    audited = {} if alert.audit is UNSET else {"audit": msgspec.to_builtins(alert.audit)}
    return {
        **audited,
        "schema": alert.schema,
        "kind": alert.kind,
        "action": alert.action,
        "severity": alert.severity,
        "case_id": alert.case_id,
        "model": alert.model,
        "entity": msgspec.to_builtins(alert.entity),
        "score": alert.score,
        "threshold": alert.threshold,
        "queries": alert.queries,
        "query_id": alert.query_id,
        "promise": msgspec.to_builtins(alert.promise),
        "reasons": msgspec.to_builtins(alert.reasons),
        "profile": alert.profile,
        "policy": alert.policy,
    }
