"""The data that the served model learned from: numbers (`training.npz`), or rows of named values (`.csv`, `.jsonl`)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector import columns
from detector.errors import ProfileError
from detector.profile.artefact import UNREADABLE, read_arrays
from detector.profile.table import Row

LABEL = ("label", "target", "class")  # columns that may hold the answer


class Training(NamedTuple):
    """inputs (n, d); labels (n,) codes. Of a table the rows instead, as they were written, and no inputs."""

    inputs: NDArray[np.float64]
    labels: NDArray[np.int32]
    rows: Sequence[Row] = ()


def training_from(path: str) -> Training:
    """Raises ProfileError with what was found where."""
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return _table(path, _csv_rows)
    if suffix in (".jsonl", ".ndjson"):
        return _table(path, _json_rows)
    return _numbers(path)


def as_logged(rows: Sequence[Row], logged: Sequence[Row]) -> list[Row]:
    """The rows with the names that the log uses, and values of the kinds that it writes: a file may say "39" for 39.

    Raises ProfileError when they have no name in common.
    """
    kinds: dict[str, type] = {}
    for row in logged:
        for name, value in row.items():
            if value is not None:
                kinds.setdefault(name, str if isinstance(value, str) else bool if isinstance(value, bool) else float)
    names = [name for name in rows[0] if name in kinds]
    if not names:
        theirs, ours = ", ".join(list(rows[0])[:8]), ", ".join(list(kinds)[:8])
        raise ProfileError(f"the training data name {theirs}; the log names {ours}: none in common")
    return [{name: _of_kind(row.get(name), kinds[name]) for name in names} for row in rows]


def _of_kind(value: Any, kind: type) -> Any:
    if value is None or value == "":
        return None
    if kind is str:
        return str(value)
    try:
        number = float(value)
    except ValueError:
        return {"true": True, "false": False}.get(str(value).lower(), str(value)) if kind is bool else str(value)
    return bool(number) if kind is bool else number


def _table(path: str, read: Any) -> Training:
    try:
        rows = read(path)
    except (OSError, UnicodeDecodeError, csv.Error, msgspec.MsgspecError) as error:
        raise ProfileError(f"the training data {path} cannot be read: {error}") from error
    if not rows or not rows[0]:
        raise ProfileError(f"the training data {path} hold no row of named values")
    label = next((name for name in rows[0] if name.lower() in LABEL), None)
    labels = columns.label_codes([row.get(label) if label else None for row in rows])
    return Training(np.empty((0, 0)), labels, rows)


def _csv_rows(path: str) -> list[dict[str, Any]]:
    """The first line names the columns."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True, restkey="", restval="")
        return [{name: value for name, value in row.items() if name} for row in reader]


def _json_rows(path: str) -> list[dict[str, Any]]:
    """An object a line: the row, or a record of the log with its row as `input`."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with open(path, "rb") as file:
        found = [decode(line) for line in file if line.strip()]
    return [row["input"] if isinstance(row.get("input"), dict) else row for row in found]


def _numbers(path: str) -> Training:
    """`inputs` (n, d) or (n, ...), and optionally `labels` (n,)."""
    try:
        arrays = read_arrays(Path(path))
        if "inputs" not in arrays:
            raise ProfileError(f"{path} holds {', '.join(arrays) or 'nothing'}, but no array named inputs")
        inputs = np.asarray(arrays["inputs"], np.float64)
    except UNREADABLE as error:
        raise ProfileError(f"the training data {path} cannot be read: {error}") from error
    if inputs.ndim < 2 or not inputs.size:
        raise ProfileError(f"the training data {path} hold inputs of the shape {inputs.shape}, not (n, d) or (n, ...)")
    if not np.isfinite(inputs).all():
        raise ProfileError(f"the training data {path} hold numbers that are not finite")
    labels = arrays.get("labels", np.full(len(inputs), None))
    if labels.shape != (len(inputs),):
        raise ProfileError(f"the training data {path} hold {len(inputs)} inputs and labels of the shape {labels.shape}")
    return Training(inputs.reshape(len(inputs), -1), columns.label_codes(labels.tolist()))
