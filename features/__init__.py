"""The signal families, by the kind of input that they read."""

from __future__ import annotations

from features import (
    boundary,
    conduct,
    coverage,
    distance,
    entropy,
    follow,
    joint,
    matter,
    pursuit,
    spacing,
    table,
    timing,
    wording,
)
from features.kit import Kit

NUMBERS = Kit(
    "numbers",
    distance.FEATURE,
    spacing.FEATURE,
    boundary.FEATURE,
    joint.FEATURE,
    entropy.FEATURE,
    coverage.FEATURE,
    pursuit.FEATURE,
    timing.FEATURE,
    conduct.FEATURE,
)
TEXT = Kit(
    "text",
    follow.FEATURE,
    wording.FEATURE,
    matter.FEATURE,
    timing.FEATURE,
    conduct.FEATURE,
)
TABLE = Kit(
    "table",
    distance.FLAT,
    table.FEATURE,
    spacing.FEATURE,
    boundary.FEATURE,
    joint.FEATURE,
    entropy.FEATURE,
    coverage.FEATURE,
    pursuit.FEATURE,
    timing.FEATURE,
    conduct.FEATURE,
)
KITS = {kit.name: kit for kit in (NUMBERS, TEXT, TABLE)}
