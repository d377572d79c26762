"""A policy with a draft's change put over it, checked as settings are."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from msgspec import UNSET

from detector.alert import SEVERITIES, stable_id
from detector.dashboard.shapes import Allowed, Change, PolicyWord, ThresholdAt
from detector.errors import SettingsError, nearest_name
from detector.policy import Dated, Policy, Suppression, Threshold


def changed(policy: Policy, change: Change, levels: Collection[str]) -> Policy:
    """What is not given stays. Its version is a hash of its content, as that of the settings' policy is.

    Raises SettingsError for a level that is not judged, or when a higher severity would be reached at a lower score.
    """
    found = policy
    if change.thresholds is not UNSET:
        given = {level: _ascending(level, of, levels) for level, of in change.thresholds.items()}
        found = msgspec.structs.replace(found, thresholds={**found.thresholds, **given})
    if change.cool_down_s is not UNSET:
        found = msgspec.structs.replace(found, cool_down_s=change.cool_down_s)
    if change.suppressions is not UNSET:
        suppressed = tuple(Suppression(one.kind, one.id, one.until, one.reason) for one in change.suppressions)
        found = msgspec.structs.replace(found, suppressions=suppressed)
    if found == policy:
        return policy
    content = msgspec.json.encode(msgspec.structs.replace(found, version=""), order="deterministic").decode()
    return msgspec.structs.replace(found, version=stable_id(content)[:12])


def _ascending(level: str, given: tuple[ThresholdAt, ...], levels: Collection[str]) -> tuple[Threshold, ...]:
    if level not in levels:
        raise SettingsError(f"thresholds.{level}: unknown level; {nearest_name(level, levels)}")
    ordered = sorted(given, key=lambda one: (one.score, SEVERITIES.index(one.severity)))
    ranks = [SEVERITIES.index(one.severity) for one in ordered]
    if len(set(ranks)) < len(ranks):
        raise SettingsError(f"thresholds.{level}: a severity has two thresholds")
    if ranks != sorted(ranks):
        order = ", ".join(f"{one.severity} at {one.score:g}" for one in ordered)
        raise SettingsError(f"thresholds.{level}: scores must rise with the severity, found {order}")
    return tuple(Threshold(one.severity, one.score) for one in ordered)


def told(dated: Dated, *, in_force: bool) -> PolicyWord:
    """A policy of the journal as it goes over the wire."""
    policy = dated.policy
    return PolicyWord(
        version=policy.version,
        since=dated.since,
        thresholds={
            level: tuple(ThresholdAt(one.severity, one.score) for one in of) for level, of in policy.thresholds.items()
        },
        cool_down_s=policy.cool_down_s,
        suppressions=tuple(Allowed(one.kind, one.id, one.until, one.reason) for one in policy.suppressions),
        in_force=in_force,
    )
