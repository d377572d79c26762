"""A module opens with one sentence: what it knows that no other module knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

# An empty package needs no words.
MODULES = sorted(
    path
    for room in ("detector", "features", "sinks", "bench")
    for path in (ROOT / room).rglob("*.py")
    if path.stat().st_size
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_opens_with_one_sentence(path: Path) -> None:
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert told, "no docstring"
    first = told.split("\n\n")[0].strip()
    assert first[-1] in ".:?", f"not a sentence: {first!r}"
