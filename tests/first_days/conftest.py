"""The command line, as its own tests drive it."""

from __future__ import annotations

from tests.test_cli import as_before, call

__all__ = ["as_before", "call"]
