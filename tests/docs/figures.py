"""The tables of figures in the documents, made from docs/bench/*.json by `python -m tests.docs.figures`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import Any

from tests.docs.pages import ROOT

BENCH = ROOT / "docs" / "bench"
MARKED = re.compile(r"(?<=<!-- figures: )(\w+)( -->\n).*?(?=\n<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """The text with every marked table as the measurements say it."""
    return MARKED.sub(lambda match: f"{match[1]}{match[2]}{TABLES[match[1]]()}", text)


def detection() -> str:
    found = json.loads((BENCH / "detect.json").read_text())
    lines = ["| attack | named | after queries (median) | PRADA, same promise |", "|---|---:|---:|---:|"]
    for row in found["attacks"].values():
        ours, theirs = row["querywarden"], row["prada"]
        lines.append(f"| {row['title']} | {ours['share']:.0%} | {_median(ours)} | {_found(theirs)} |")
    honest = found["honest"]
    ours, theirs = honest["querywarden"], honest["prada"]
    lines.append(f"| honest clients, {ours['accounts']:,} of them | {ours['share']:.1%} | | {theirs['share']:.1%} |")
    return "\n".join(lines)


def _median(row: dict[str, Any]) -> str:
    return "" if row["median"] is None else f"{row['median']:g}"


def _found(row: dict[str, Any]) -> str:
    return f"{row['share']:.0%}" + (f" / {_median(row)}" if row["median"] is not None else "")


def tables(page: str) -> list[str]:
    """The tables of docs/bench/<page>.md, which is made from the JSON beside it."""
    found: list[list[str]] = [[]]
    for line in (BENCH / f"{page}.md").read_text().splitlines():
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return ["\n".join(table) for table in found if table]


TABLES: dict[str, Callable[[], str]] = {
    "detection": detection,
    "ablation": lambda: tables("ablation")[0],
    "promise": lambda: tables("promise")[0],
    "volumes": lambda: tables("promise")[1],
    "text": lambda: tables("text")[0],
    "unseen_text": lambda: tables("text")[1],
    "adaptive_text": lambda: tables("text")[2],
    "hidden_text": lambda: tables("text")[3],
    "windows": lambda: tables("windows")[0],
    "tabular": lambda: tables("tabular")[0],
    "rings": lambda: tables("rings")[0],
}


def main() -> None:
    for page in sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text()
        if (now := filled(text)) != text:
            page.write_text(now)
            sys.stdout.write(f"{page.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
