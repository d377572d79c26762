"""The project's documents, cut into what can be checked: fenced blocks, links, headings and tables."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = tuple(
    sorted(
        page for pattern in ("*.md", "docs/*.md", "docs/bench/*.md", "deploy/**/*.md") for page in ROOT.glob(pattern)
    )
)

_FENCE = re.compile(
    r"(?:^<!-- file: (?P<file>\S+) -->\n)?^(?P<indent> *)```(?P<kind>[^\n]*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block. `file`: the name that the document gives it for the blocks that follow."""

    page: Path
    line: int
    kind: str
    body: str
    file: str | None

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("kind")) + 1
        yield Block(page, line, match["kind"].strip(), textwrap.dedent(match["body"]), match["file"])


def blocks_of(*kinds: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.kind in kinds]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The names under which headings can be linked to, as the usual hosts make them."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(prose(page))}


def first_cells(page: Path, head: str) -> list[str]:
    """The first column of the table whose head begins with `head`, without backquotes."""
    rows = page.read_text(encoding="utf-8").split(f"| {head} |", 1)[1].splitlines()[2:]
    cells = []
    for row in rows:
        if not row.startswith("|"):
            break
        cells.append(row.split("|")[1].strip().strip("`"))
    return cells
