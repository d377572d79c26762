"""Figures in the documents are those of docs/bench."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.figures import MARKED, filled
from tests.docs.pages import PAGES, ROOT


@pytest.mark.parametrize(
    "page", [page for page in PAGES if MARKED.search(page.read_text())], ids=lambda page: str(page.relative_to(ROOT))
)
def test_tables_are_what_was_measured(page: Path) -> None:
    text = page.read_text()
    assert filled(text) == text, "run: make docs"
