"""Compiled kernels are kept under a name that changes with every source that they were compiled from."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import detector

ROOT = Path(detector.__file__).parent.parent


def modules_with_kernels() -> list[Path]:
    files = [*ROOT.glob("detector/**/*.py"), *ROOT.glob("features/*.py")]
    return [file for file in files if file.name != "__init__.py" and "@numba.njit" in file.read_text()]


def sources_of_constants(file: Path) -> Iterator[Path]:
    """The files whose values a kernel of this one may freeze: those that capitals or functions are imported from."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("detector", "features"):
            names = [alias.name for alias in node.names]
            if any(name.isupper() for name in names):
                yield ROOT / (node.module.replace(".", "/") + ".py")


@pytest.mark.parametrize("file", modules_with_kernels(), ids=lambda file: file.stem)
def test_whatever_a_kernel_may_freeze_is_in_the_name_of_its_cache(file: Path) -> None:
    covered = [ROOT / place for place in detector._KERNELS]
    for source in (file, *sources_of_constants(file)):
        assert any(source == place or place in source.parents for place in covered), source
