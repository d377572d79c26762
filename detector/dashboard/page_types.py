"""The JSON Schema of `shapes`, as an OpenAPI document without routes: the page's types are made from it."""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec

from detector.dashboard import shapes


def described() -> bytes:
    """JSON, ready to be written to page/shapes.openapi.json."""
    found = [one for one in vars(shapes).values() if inspect.isclass(one) and issubclass(one, msgspec.Struct)]
    structs = [one for one in found if one is not shapes.Page]  # generic: the page has its own
    _, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "querywarden", "version": "1"},
        "paths": {},
        "components": {"schemas": components},
    }
    text = msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=1).decode()
    return (_named_plainly(text) + "\n").encode()


def _named_plainly(text: str) -> str:
    """Two structs called `Reason` are told apart by their modules: `AlertReason`, `ShapesReason`."""
    return re.sub(r"\bdetector\.(?:\w+\.)*(\w+)\.(\w+)\b", lambda found: found[1].capitalize() + found[2], text)


if __name__ == "__main__":
    import sys

    sys.stdout.buffer.write(described())
