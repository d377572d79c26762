"""Prompts and answers: those that a thief makes his sweeps of, and those of honest clients in a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from detector.errors import SettingsError
from detector.logs.contract import Decode
from detector.query import Chunk

ASKED = ("prompt", "instruction", "question", "input", "text")  # keys of a line that hold what is asked, the first wins
ANSWER = ("answer", "output", "response", "completion")
LEAST = 50  # texts that sweeps can be made of


class Exchange(NamedTuple):
    """A prompt and its answer."""

    asked: str
    answer: str


class Said(NamedTuple):
    """An exchange and when it was had, microseconds."""

    at: int
    exchange: Exchange


def read_texts(path: Path) -> list[Exchange]:
    """One a line: text as it is, or a JSON object that names what is asked (ASKED), and perhaps the ANSWER.

    Raises SettingsError for a file that cannot be read, and for too few texts.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--texts {path} cannot be read: {error}") from error
    found = [one for line in lines if line.strip() and (one := _exchange(line)).asked.strip()]
    if len(found) < LEAST:
        raise SettingsError(f"--texts {path} holds {len(found)} texts; sweeps are made of {LEAST} or more")
    return found


def spoken(chunks: Iterator[Chunk], decode: Decode) -> dict[str, list[Said]]:
    """Client -> what it asked and was answered, in order, from a log of text. Other records are left out."""
    found: dict[str, list[Said]] = {}
    for chunk in chunks:
        queries, _, _ = decode(chunk.payloads)
        for query in queries:
            if query.client is not None and query.answered and isinstance(query.input, str) and query.input.strip():
                said = Said(query.at, Exchange(query.input, query.text or ""))
                found.setdefault(query.client, []).append(said)
    return {client: sorted(said, key=lambda one: one.at) for client, said in found.items()}


def _exchange(line: str) -> Exchange:
    if line.lstrip()[:1] != "{":
        return Exchange(line.strip(), "")
    try:
        record = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return Exchange(line.strip(), "")
    return Exchange(_first(record, ASKED), _first(record, ANSWER))


def _first(record: dict[str, Any], names: Sequence[str]) -> str:
    return next((record[name] for name in names if isinstance(record.get(name), str) and record[name].strip()), "")
