"""Says an alert in the words of Splunk's Common Information Model: data model *Alerts*, and *Change* for the audit.

Source: Splunk CIM 6 manual, "Alerts" and "Change". Where an alert has a field of the same name with the same meaning
(`id`, `severity`), it stands for both. A client is the `user`; `src` is whoever asked, of any level.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from detector.alert import Alert, Audited
from sinks.ecs import FAILED, RULES

APP = "querywarden"


def event(alert: Alert) -> dict[str, Any]:
    """Every field of the alert under its own name, and the fields of *Alerts*.

    A health alert is about querywarden itself: nobody asked, so it has neither `src` nor `user`. Techniques stay a
    list; Splunk calls its values `mitre_technique_id{}`, and the app's props.conf gives them CIM's name.
    """
    if alert.audit is not UNSET:
        return _change(alert, alert.audit)
    ours: dict[str, Any] = msgspec.to_builtins(alert)
    return {**ours, **_model(alert), **_who(alert)}


def _change(alert: Alert, audited: Audited) -> dict[str, Any]:
    return {
        "at": alert.at,
        "id": alert.id,
        **msgspec.to_builtins(audited),
        "app": APP,
        "action": "modified",
        "change_type": audited.what,
        "description": alert.message,
        "dest": alert.model,
        "object": audited.subject,
        "object_category": audited.what.partition(".")[0],
        "status": "failure" if audited.what.endswith(FAILED) else "success",
        "user": audited.who,
    }


def _model(alert: Alert) -> dict[str, Any]:
    return {
        "app": APP,
        "type": "alert",
        "signature": RULES[alert.kind],
        "signature_id": f"{APP}.{alert.kind}",
        "description": alert.message,
        "dest": alert.model,
        "mitre_technique_id": list(alert.techniques),
    }


def _who(alert: Alert) -> dict[str, str]:
    if alert.kind == "health":
        return {}
    who = {"src": alert.entity.id}
    if alert.entity.kind == "client":
        who["user"] = alert.entity.id
    return who
