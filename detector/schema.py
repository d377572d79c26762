"""What operators read about the log, the alert and the settings, made from the types: docs/*.schema.json, settings.md.

python -m detector.schema docs
"""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import inspect

from detector.alert import Alert
from detector.logs.schema import Schema, log_schema
from detector.secret import Secret
from detector.settings import PREFIX, Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# Keys of many sinks and sources, for those whose own words say nothing of them.
_COMMON = {
    "name": "How logs, metrics and the dashboard call it; no two sinks may share a name.",
    "batch_size": "The most that are handed over at a time.",
    "username": "With the password.",
    "password": "With the username.",
    "client_id": "How the other side's logs call us.",
}


def schemas() -> dict[str, Schema]:
    """By name: `log` (a record of the native log), `alert` (what sinks are given), `settings` (the settings file)."""
    return {"log": log_schema(), "alert": alert_schema(), "settings": settings_schema()}


def alert_schema() -> Schema:
    return _of_type(Alert, "querywarden alert")


def settings_schema() -> Schema:
    return _of_type(Settings, "querywarden settings")


def pages() -> dict[str, str]:
    """Everything that is written out, by file name."""
    written = {f"{name}.schema.json": text_of(schema) for name, schema in schemas().items()}
    return {**written, "settings.md": settings_page()}


def text_of(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _of_type(type_: Any, title: str) -> Schema:
    (top,), definitions = msgspec.json.schema_components([type_], ref_template="#/$defs/{name}")
    return {"$schema": DIALECT, "title": title, **top, "$defs": definitions}


def settings_page() -> str:
    """A table of key, type, default and meaning for each section; docs/settings.md."""
    hints = get_type_hints(Settings)
    parts = [_INTRODUCTION]
    for field in msgspec.structs.fields(Settings):
        hint = hints[field.name]
        many = getattr(hint, "__origin__", None) is tuple
        heading = f"[[{field.name}]]" if many else f"[{field.name}]"
        for struct in _structs(hint):
            tag = struct.__struct_config__.tag
            parts.append(f"## `{heading}`" + (f' `type = "{tag}"`' if tag else ""))
            parts.extend(_section(struct))
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = f"""# Settings

One TOML file. Made from the code by `python -m detector.schema docs`; do not edit.

- An unknown section or key is an error that names the nearest right one.
- `{PREFIX}<SECTION>__<KEY>` in the environment overrides the file: `{PREFIX}STORE__PATH=/var/lib/querywarden`,
  `{PREFIX}SINKS__0__URL=...`. Values are read as TOML where they can be, else as text.
- Secrets are references, `{{ env = "NAME" }}` or `{{ file = "/run/secrets/name" }}`; a secret written into the file is
  refused.
- Times are RFC 3339 with their offset."""


def _structs(hint: Any) -> list[type[msgspec.Struct]]:
    """The structs that a hint names, through unions and tuples, in the order of the source."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return [hint]
    return [struct for inner in get_args(hint) for struct in _structs(inner)]


def _section(struct: type[msgspec.Struct]) -> Iterator[str]:
    told = meanings(struct)
    paragraphs = [" ".join(paragraph.split()) for paragraph in _docstring(struct).split("\n\n")]
    # A docstring that speaks of the keys together cannot be cut into cells: it is shown whole.
    yield from paragraphs[:1] if all(told.values()) else paragraphs
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    rows = [
        f"| `{field.encode_name}` | {_type_words(field.type)} | {_default(field)} | {told[field.encode_name]} |"
        for field in info.fields
    ]
    yield "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])
    for name, hint in get_type_hints(struct).items():
        for inner in _structs(hint) if isinstance(hint, types.GenericAlias) else ():
            keys = "; ".join(f"`{key}`: {meaning.rstrip('.')}" for key, meaning in meanings(inner).items())
            yield f"Each of `{name}`: {keys}."


def meanings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """What the docstring says of each key as `key: meaning`; empty, but for the common keys, unless it says all."""
    names = [field.encode_name for field in msgspec.structs.fields(struct)]
    anyone = "|".join(map(re.escape, names))
    mark = re.compile(rf"(?:^|(?<=[.;] )|(?<=\n))`?((?:{anyone})(?:, (?:{anyone}))*)`?: ")
    told: dict[str, str] = {}
    for paragraph in _docstring(struct).split("\n\n"):
        pieces = mark.split(paragraph)
        for keys, meaning in zip(pieces[1::2], pieces[2::2], strict=True):
            told |= dict.fromkeys(keys.split(", "), " ".join(meaning.split()).rstrip(";").replace("|", "\\|"))
    complete = {*told, *_COMMON} >= set(names)
    return {name: (told.get(name, "") if complete else "") or _COMMON.get(name, "") for name in names}


def _docstring(struct: type[msgspec.Struct]) -> str:
    lines = (struct.__doc__ or "").split(">>>")[0].strip().splitlines()
    return "\n".join(line.strip() for line in lines)


def _default(field: inspect.Field) -> str:
    if field.required:
        return "**required**"
    if field.default_factory is not msgspec.NODEFAULT:
        return "none"
    value = field.default
    if value is None or value == () or isinstance(value, msgspec.Struct):
        return "none"
    return f"`{json.dumps(value)}`"


def _type_words(info: inspect.Type) -> str:
    match info:
        case inspect.UnionType():
            return " or ".join(_type_words(kind) for kind in info.types if not isinstance(kind, inspect.NoneType))
        case inspect.StructType():
            return "secret" if info.cls is Secret else f"table ({', '.join(f.encode_name for f in info.fields)})"
        case inspect.ListType() | inspect.VarTupleType():
            return f"array of {_type_words(info.item_type)}"
        case inspect.DictType():
            return f"table of {_type_words(info.value_type)}"
        case inspect.LiteralType():
            return "one of " + ", ".join(f"`{value}`" for value in info.values)
        case inspect.IntType() | inspect.FloatType():
            return "whole number" if isinstance(info, inspect.IntType) else "number"
        case inspect.BoolType():
            return "true or false"
        case inspect.DateTimeType():
            return "RFC 3339 time"
        case _:
            return "text"


def main(folder: Path) -> None:
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
