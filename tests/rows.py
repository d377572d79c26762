"""Made-up rows of a table: applicants of a few kinds, whose columns depend on each other."""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = ("student", "clerk", "baker", "nurse")
TOWNS = tuple(f"town-{i}" for i in range(30))

Row = dict[str, Any]


def natural(rng: np.random.Generator, n: int, mix: np.ndarray | None = None) -> list[Row]:
    """Age, hours and income follow from the job, schooling from age."""
    jobs = rng.choice(len(KINDS), n, p=mix)
    rows = []
    for job in jobs.tolist():
        age = int(rng.normal([21, 45, 38, 33][job], 3))
        hours = int(rng.choice([[0, 10], [40, 38], [45, 50], [36, 24]][job]))
        rows.append(
            {
                "age": age,
                "job": KINDS[job],
                "hours": hours,
                "income": float(np.round(hours * [8, 30, 18, 26][job] * rng.lognormal(0, 0.1), 2)),
                "school": "none yet" if age < 20 else ["abroad", "here"][int(rng.random() < 0.8)],
                "town": TOWNS[int(rng.exponential(4)) % 30],
                "insured": bool(rng.random() < [0.3, 0.9, 0.6, 0.95][job]) if rng.random() < 0.9 else None,
            }
        )
    return rows


def resampled(rng: np.random.Generator, rows: list[Row], n: int) -> list[Row]:
    """Each column by itself from its own values."""
    return [{name: rows[int(rng.integers(len(rows)))][name] for name in rows[0]} for _ in range(n)]


def uniform(rng: np.random.Generator, n: int) -> list[Row]:
    """Each column evenly over its range."""
    return [
        {
            "age": int(rng.integers(10, 70)),
            "job": KINDS[int(rng.integers(4))],
            "hours": int(rng.integers(0, 60)),
            "income": float(np.round(rng.uniform(0, 2_000), 2)),
            "school": ["none yet", "abroad", "here"][int(rng.integers(3))],
            "town": TOWNS[int(rng.integers(30))],
            "insured": [True, False, None][int(rng.integers(3))],
        }
        for _ in range(n)
    ]


def blends(rng: np.random.Generator, rows: list[Row], n: int) -> list[Row]:
    """Between two rows: numbers by a common share, every other value from one of the two."""
    found = []
    for _ in range(n):
        one, other, share = rows[int(rng.integers(len(rows)))], rows[int(rng.integers(len(rows)))], rng.random()
        found.append({name: _between(one[name], other[name], share, rng) for name in one})
    return found


def _between(one: Any, other: Any, share: float, rng: np.random.Generator) -> Any:
    if isinstance(one, int | float) and not isinstance(one, bool):
        return one + share * (other - one)
    return other if rng.random() < share else one
