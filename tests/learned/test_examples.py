"""The examples in the docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import detector.learned as room


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(room.__path__)])
def test_examples_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"detector.learned.{name}")).failed == 0
