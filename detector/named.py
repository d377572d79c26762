"""Code of the user's own that he names on the command line: `python:package.module:attribute`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from detector.errors import SettingsError

PYTHON = "python:"


def named(text: str) -> Any:
    """What `python:package.module:attribute` names, looked for in the working folder, too; something to be called.

    The user's own program, run as he would run it: nothing that comes from data ever gets here. Raises SettingsError
    where there is no such thing; what his module raises when it is imported is his to see.
    """
    module, _, attribute = text.removeprefix(PYTHON).partition(":")
    if not module or not attribute:
        raise SettingsError(f"{text!r} names nothing: write {PYTHON}package.module:name")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise SettingsError(f"{text}: {error}") from error
    except AttributeError as error:
        raise SettingsError(f"{text}: the module {module} has no {attribute}") from error
    if not callable(found):
        raise SettingsError(f"{text} cannot be called")
    return found
