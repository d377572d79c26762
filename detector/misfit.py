"""Where a document does not fit its type, said so that a person can put it right, without showing a value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import inspect

from detector.errors import nearest_name
from detector.secret import Secret

_FOUND = {bool: "a boolean", int: "a number", float: "a number", str: "text", dict: "a table", list: "an array"}
_BOUNDS = (("gt", "greater than"), ("ge", "at least"), ("lt", "less than"), ("le", "at most"))
_REFERENCE = 'secrets are never written here: use { env = "NAME" } or { file = "PATH" }'


def misfit(document: Any, type_: Any) -> str | None:
    """The first place where `document` is not a `type_`: dotted place, what was found and what is expected.

    None when nothing is found to be wrong. What is shown of the document are its keys, numbers that are out of range,
    and words that stand where one of a few words is expected.

    >>> from detector.policy import Budget
    >>> misfit({"soft": 5, "hrad": 6}, Budget)
    'hrad: unknown key; did you mean "hard"?'
    """
    return next(_misfits(document, inspect.type_info(type_), ""), None)


def type_at(document: Any, type_: Any, parts: Sequence[str]) -> inspect.Type | None:
    """The type of what belongs at `parts` of `document`; None where nothing does."""
    info: inspect.Type | None = inspect.type_info(type_)
    for part in parts:
        info = _narrowed(document, info) if info is not None else None
        if isinstance(info, inspect.StructType):
            info = {field.encode_name: field.type for field in info.fields}.get(part)
            document = document.get(part) if isinstance(document, Mapping) else None
        elif isinstance(info, inspect.DictType):
            info, document = info.value_type, None
        elif isinstance(info, inspect.ListType | inspect.VarTupleType):
            there = isinstance(document, list) and part.isdecimal() and int(part) < len(document)
            info, document = info.item_type, document[int(part)] if there else None
        else:
            return None
    return info


def is_text(info: inspect.Type | None) -> bool:
    """True for what is text and nothing else (or unset): `123` is a name there, not a number."""
    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    return all(isinstance(kind, inspect.StrType | inspect.LiteralType | inspect.NoneType) for kind in kinds)


def _misfits(value: Any, info: inspect.Type, place: str) -> Iterator[str]:
    if value is None and isinstance(info, inspect.UnionType) and info.includes_none:
        return
    info = _narrowed(value, info)
    if isinstance(info, inspect.UnionType):
        yield from _of_union(value, info, place)
    elif isinstance(info, inspect.StructType):
        yield from _of_struct(value, info, place)
    elif isinstance(info, inspect.DictType):
        yield from _of_dict(value, info, place)
    elif isinstance(info, inspect.ListType | inspect.VarTupleType):
        if not isinstance(value, list | tuple):
            yield f"{place}: expected an array, found {_found(value)}"
        else:
            for index, item in enumerate(value):
                yield from _misfits(item, info.item_type, f"{place}[{index}]")
    else:
        yield from _of_leaf(value, info, place)


def _narrowed(value: Any, info: inspect.Type) -> inspect.Type:
    """Out of a union: what is meant beside null, or the struct that the document's tag names."""
    if not isinstance(info, inspect.UnionType):
        return info
    kinds = [kind for kind in info.types if not isinstance(kind, inspect.NoneType)]
    if len(kinds) == 1:
        return kinds[0]
    if isinstance(value, Mapping):
        for kind in kinds:
            if isinstance(kind, inspect.StructType) and kind.tag_field and value.get(kind.tag_field) == kind.tag:
                return kind
    return info


def _of_union(value: Any, info: inspect.UnionType, place: str) -> Iterator[str]:
    tagged = {str(kind.tag): kind.tag_field for kind in info.types if isinstance(kind, inspect.StructType) and kind.tag}
    if not tagged:
        kinds = [kind for kind in info.types if not isinstance(kind, inspect.NoneType)]
        wrong = [next(_misfits(value, kind, place), None) for kind in kinds]
        if None not in wrong:
            yield min((str(text) for text in wrong), key=len)
    elif not isinstance(value, Mapping):
        yield f"{place}: expected a table, found {_found(value)}"
    else:
        field = next(iter(tagged.values()))
        given = value.get(str(field))
        if given is None:
            yield f"{place}.{field}: is missing; " + nearest_name("", tagged)
        elif isinstance(given, str):
            yield f'{place}.{field}: unknown {field} "{given}"; {nearest_name(given, tagged)}'
        else:
            yield f"{place}.{field}: expected text, found {_found(given)}"


def _of_struct(value: Any, info: inspect.StructType, place: str) -> Iterator[str]:
    secret = info.cls is Secret
    if not isinstance(value, Mapping):
        expected = _REFERENCE if secret else "expected a table"
        yield f"{place}: {expected}, found {_found(value)}"
        return
    fields = {field.encode_name: field for field in info.fields}
    names = {*fields, info.tag_field} if info.tag_field else set(fields)
    for key in value:
        if key not in names:
            yield f"{_join(place, key)}: unknown key; {nearest_name(key, (str(name) for name in names))}"
    for name, field in fields.items():
        if name in value:
            yield from _misfits(value[name], field.type, _join(place, name))
        elif field.required:
            yield f"{_join(place, name)}: is missing"


def _of_dict(value: Any, info: inspect.DictType, place: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{place}: expected a table, found {_found(value)}"
        return
    for key, item in value.items():
        if isinstance(info.key_type, inspect.LiteralType) and key not in info.key_type.values:
            yield f"{_join(place, key)}: unknown key; {nearest_name(key, map(str, info.key_type.values))}"
        yield from _misfits(item, info.value_type, _join(place, key))


def _of_leaf(value: Any, info: inspect.Type, place: str) -> Iterator[str]:
    if isinstance(info, inspect.LiteralType):
        if not isinstance(value, str):
            yield f"{place}: expected text, found {_found(value)}"
        elif value not in info.values:
            yield f'{place}: unknown value "{value}"; {nearest_name(value, map(str, info.values))}'
    elif isinstance(info, inspect.IntType | inspect.FloatType):
        yield from _of_number(value, info, place)
    elif isinstance(info, inspect.BoolType):
        if not isinstance(value, bool):
            yield f"{place}: expected true or false, found {_found(value)}"
    elif isinstance(info, inspect.StrType):
        if not isinstance(value, str):
            yield f"{place}: expected text, found {_found(value)}"
    elif isinstance(info, inspect.DateTimeType) and not _is_moment(value):
        yield f"{place}: expected an RFC 3339 time with its offset (2026-01-31T00:00:00Z), found {_found(value)}"


def _of_number(value: Any, info: inspect.IntType | inspect.FloatType, place: str) -> Iterator[str]:
    whole = isinstance(info, inspect.IntType)
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield f"{place}: expected a {'whole ' if whole else ''}number, found {_found(value)}"
    elif not math.isfinite(value):
        yield f"{place}: expected a finite number, found {value}"
    elif whole and value != value // 1:
        yield f"{place}: expected a whole number, found {value}"
    else:
        for name, words in _BOUNDS:
            bound = getattr(info, name)
            if bound is not None and not _within(value, name, bound):
                yield f"{place}: must be {words} {bound:g}, found {value}"


def _within(value: float, name: str, bound: float) -> bool:
    return {"gt": value > bound, "ge": value >= bound, "lt": value < bound, "le": value <= bound}[name]


def _is_moment(value: Any) -> bool:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return False
    return isinstance(value, datetime) and value.tzinfo is not None


def _found(value: Any) -> str:
    return _FOUND.get(type(value), "a time" if isinstance(value, datetime) else f"a {type(value).__name__}")


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
