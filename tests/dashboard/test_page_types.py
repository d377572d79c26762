"""The page's types are those of the API's shapes."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from detector.dashboard.api.page import STATIC
from detector.dashboard.page_types import described

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "detector" / "dashboard" / "page"


def test_the_pages_types_are_made_from_the_shapes_as_they_are() -> None:
    """The second half, from this file to src/api/shapes.ts, is checked by the page's own tests."""
    assert (PAGE / "shapes.openapi.json").read_bytes() == described(), "make page-types"


def test_what_is_built_loads_nothing_from_elsewhere_and_has_nothing_inline() -> None:
    source = (PAGE / "index.html").read_text()
    assert "http" not in source
    assert "style=" not in source
    assert all("src=" in tag for tag in source.split("<script")[1:])


@pytest.mark.server
def test_the_wheel_carries_the_built_page_and_not_its_source(tmp_path: Path) -> None:
    assert (STATIC / "index.html").exists(), "make page"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, env=dict(os.environ))
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "detector/dashboard/static/index.html" in names
    assert any(name.startswith("detector/dashboard/static/assets/") and name.endswith(".js") for name in names)
    assert not [name for name in names if name.startswith("detector/dashboard/page/")]
