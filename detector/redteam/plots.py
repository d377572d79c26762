"""Plots of the report as inline SVG, and the table that stands behind each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from detector.redteam.outcome import Attacked

WIDE, HIGH = 340, 190  # of a panel, in its own units; text in it is 11 of them
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 12, 34
TICKS = (1, 10, 100, 1_000, 10_000)
COLOURS = 6  # in style.CSS
DASHES = ("none", "6 3", "2 3", "8 3 2 3")  # a second sign beside the colour


class Dot(NamedTuple):
    """One mark of a row, `at` in [0, 1]; `series` chooses its colour."""

    at: float
    series: int
    text: str


def curves(one: Attacked) -> str:
    """Share of the accounts that each detector had named after so many of their own queries."""
    most = max(math.ceil(one.budget / one.accounts), 2)

    def x(queries: float) -> float:
        return LEFT + (WIDE - LEFT - RIGHT) * math.log(max(queries, 1)) / math.log(most)

    def y(share: float) -> float:
        return HIGH - BOTTOM - (HIGH - TOP - BOTTOM) * share

    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDE - RIGHT}" y1="{y(s):.1f}" y2="{y(s):.1f}"/>' for s in (0, 0.5, 1)
    ]
    parts += [f'<text x="{LEFT - 6}" y="{y(s) + 4:.1f}" text-anchor="end">{s:.0%}</text>' for s in (0, 0.5, 1)]
    ticks = [tick for tick in TICKS if tick <= most] if most >= TICKS[1] else [1, most]
    for tick in ticks:
        parts.append(f'<text x="{x(tick):.1f}" y="{HIGH - BOTTOM + 15}" text-anchor="middle">{tick:,}</text>')
    parts.append(f'<text x="{(WIDE + LEFT) / 2:.0f}" y="{HIGH - 4}" text-anchor="middle">queries of an account</text>')
    for series, against in reversed(list(enumerate(one.against))):
        path, height = [f"M{x(1):.1f} {y(0):.1f}"], 0.0
        for number, queries in enumerate(against.each, 1):
            path.append(f"H{x(queries):.1f}")
            height = number / max(against.named.of, 1)
            path.append(f"V{y(height):.1f}")
        path.append(f"H{x(most):.1f}")
        parts.append(
            f'<path class="line {_mark(series)}" d="{"".join(path)}" stroke-dasharray="{_dash(series)}">'
            f"<title>{escape(against.detector)}: {height:.0%}</title></path>"
        )
    label = "; ".join(f"{a.detector} {a.named.share:.0%}" for a in one.against)
    return (
        f"<figure><figcaption>{escape(one.title)}<small>{escape(one.campaign)}</small></figcaption>"
        f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg></figure>'
    )


def dumbbells(rows: Sequence[tuple[str, Sequence[Dot]]]) -> str:
    """A line for each row from its least to its greatest dot, on a scale from 0 to 100%."""
    lines = []
    for name, dots in rows:
        low, high = min(dot.at for dot in dots), max(dot.at for dot in dots)
        marks = "".join(
            f'<circle class="dot {_mark(dot.series)}" cx="{dot.at:.2%}" cy="11" r="5">'
            f"<title>{escape(dot.text)}</title></circle>"
            for dot in dots
        )
        label = "; ".join(dot.text for dot in dots)
        lines.append(
            f'<div class="row"><span>{escape(name)}</span><svg height="22" role="img" aria-label="{escape(label)}">'
            f'<line class="grid" x1="0" x2="100%" y1="11" y2="11"/>'
            f'<line class="span" x1="{low:.2%}" x2="{high:.2%}" y1="11" y2="11"/>{marks}</svg></div>'
        )
    scale = '<div class="row scale"><span></span><div><i>0%</i><i>50%</i><i>100%</i></div></div>'
    return f'<div class="bells">{"".join(lines)}{scale}</div>'


def legend(names: Sequence[str]) -> str:
    """`names` by series, in the order of the plot."""
    items = [
        f'<span><svg width="30" height="12"><line class="line {_mark(series)}" x1="1" x2="29" y1="6" y2="6" '
        f'stroke-dasharray="{_dash(series)}"/></svg>{escape(name)}</span>'
        for series, name in enumerate(names)
    ]
    return f'<p class="legend">{"".join(items)}</p>'


def keys(names: Sequence[tuple[int, str]]) -> str:
    """A legend of dots: (series, name)."""
    items = [
        f'<span><svg width="14" height="14"><circle class="dot {_mark(series)}" cx="7" cy="7" r="5"/></svg>'
        f"{escape(name)}</span>"
        for series, name in names
    ]
    return f'<p class="legend">{"".join(items)}</p>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Text first, figures behind; wider than the page, it moves by itself."""
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return f'<div class="wide" tabindex="0"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def behind(summary: str, inside: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{inside}</details>"


def _mark(series: int) -> str:
    """The class of its colour; below 0: of no detector."""
    return f"s{series % COLOURS}" if series >= 0 else "end"


def _dash(series: int) -> str:
    return DASHES[series % len(DASHES)]
