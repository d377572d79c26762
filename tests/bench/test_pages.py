"""What the benchmarks wrote is whole: a page, its figures, and the plots it shows."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import msgspec
import pytest

from bench import speed
from bench.results import HERE

PAGES = sorted(HERE.glob("*.md"))
PICTURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_lies_beside_its_figures_and_its_script(page: Path) -> None:
    figures = msgspec.json.decode(page.with_suffix(".json").read_bytes())
    assert set(figures["machine"]) >= {"processor", "python", "numpy", "numba"}
    assert f"`python -m bench.{page.stem}`" in page.read_text()
    script = importlib.import_module(f"bench.{page.stem}")
    assert callable(script.main)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_pictures_of_a_page_are_there(page: Path) -> None:
    for name in PICTURE.findall(page.read_text()):
        assert (HERE / name).read_bytes().startswith(b"\x89PNG")


def test_every_file_belongs_to_a_page() -> None:
    assert {path.stem for path in HERE.iterdir()} == {page.stem for page in PAGES}


def test_what_the_speed_of_stages_is_taken_of_is_there() -> None:
    assert all(callable(getattr(owner, name)) for owner, name, _ in speed.TIMED)
