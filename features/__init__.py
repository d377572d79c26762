"""The signal families, by the kind of input that they read."""

from __future__ import annotations

from features import boundary, conduct, coverage, distance, entropy, joint, spacing, timing
from features.kit import Kit

NUMBERS = Kit(
    "numbers",
    distance.FEATURE,
    spacing.FEATURE,
    boundary.FEATURE,
    joint.FEATURE,
    entropy.FEATURE,
    coverage.FEATURE,
    timing.FEATURE,
    conduct.FEATURE,
)
KITS = {kit.name: kit for kit in (NUMBERS,)}
