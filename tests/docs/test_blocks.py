"""What the documents show is run, loaded or validated, so that it keeps being true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from detector.alert import Alert
from detector.schema import schemas
from detector.settings import load
from tests.docs.pages import PAGES, ROOT, Block, blocks, blocks_of
from tests.reading import decode_all

KINDS = {"sh", "toml", "python", "json", "json log", "json alert", "mermaid", "text", "make"}
NOT_RUN = "# not run: "
SCHEMAS = schemas()


def named(block: Block) -> str:
    return block.name


def runs(page: Path) -> bool:
    return any(block.kind == "sh" and not block.body.startswith(NOT_RUN) for block in blocks(page))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if runs(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_code_run_in_the_order_of_the_page(page: Path, demo: Path, tmp_path: Path) -> None:
    """In a folder where `make demo` was run. Files that the page names are there from then on."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "demo").symlink_to(demo)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}  # pages run side by side
    for block in blocks(page):
        if block.file is not None:
            (tmp_path / block.file).write_text(block.body)
        if block.kind not in ("sh", "python") or block.body.startswith(NOT_RUN):
            continue
        program = ["bash", "-euo", "pipefail", "-c"] if block.kind == "sh" else [sys.executable, "-c"]
        done = subprocess.run([*program, block.body], cwd=tmp_path, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, f"{block.name}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"


@pytest.mark.parametrize("block", blocks_of("toml"), ids=named)
def test_settings_load(block: Block, tmp_path: Path) -> None:
    """A block that shows one section is completed by a source."""
    source = "" if "source" in tomllib.loads(block.body) else '\n[source]\ntype = "stdin"\n'
    file = tmp_path / "querywarden.toml"
    file.write_text(block.body + source)
    load(file, {})


def test_the_example_settings_load() -> None:
    load(ROOT / "deploy" / "querywarden.toml", {})


@pytest.mark.parametrize("block", blocks_of("json alert"), ids=named)
def test_alerts_are_alerts(block: Block) -> None:
    jsonschema.validate(json.loads(block.body), SCHEMAS["alert"])
    msgspec.json.decode(block.body, type=Alert, strict=True)


@pytest.mark.parametrize("block", blocks_of("json log"), ids=named)
def test_records_are_records(block: Block) -> None:
    record: dict[str, Any] = json.loads(block.body)
    jsonschema.validate(record, SCHEMAS["log"])
    assert set(record) <= set(SCHEMAS["log"]["properties"])
    decode_all(block.body.encode())


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    odd = [block.name for page in PAGES for block in blocks(page) if block.kind not in KINDS]
    assert not odd
