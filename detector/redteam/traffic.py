"""Simulated queries as columns, and as the JSON lines of querywarden's `native` log format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.query import F64, I32, I64

CHUNK = 2048


@dataclass(frozen=True)
class Account:
    """One client name in the log. `truth` is "honest" or the campaign; accounts of one `ring` share one attack."""

    client: str
    organisation: str
    truth: str
    ring: str | None = None


@dataclass(frozen=True)
class Traffic:
    """n queries in the order of time, as they are logged: inputs rounded to `decimals`, probabilities to 6.

    accounts       by number, honest ones first
    account        (n,) int32      number of the account that asked
    ordinal        (n,) int32      how many queries the account had asked before
    at             (n,) int64      microseconds since 1970, UTC; strictly increasing within an account
    inputs         (n, d) float32  in [0, 1], unless they were brought to the units of a user's model
    probabilities  (n, k) float64
    labels_only    the log holds no probabilities, since the model gives none
    names          what the log calls the k classes; none: by their numbers
    """

    model: str
    accounts: tuple[Account, ...]
    account: I32
    ordinal: I32
    at: I64
    inputs: NDArray[np.float32]
    probabilities: F64
    decimals: int = 4
    labels_only: bool = False
    names: tuple[str | int, ...] = ()

    def __len__(self) -> int:
        return len(self.at)

    @property
    def truth(self) -> dict[str, str]:
        """Client -> "honest" or the campaign's name."""
        return {a.client: a.truth for a in self.accounts}

    @property
    def rings(self) -> dict[str, str]:
        """Client -> ring, for the accounts that share an attack."""
        return {a.client: a.ring for a in self.accounts if a.ring is not None}

    @property
    def labels(self) -> I32:
        """(n,) predicted classes."""
        codes: I32 = self.probabilities.argmax(axis=1).astype(np.int32)
        return codes

    def rows(self) -> dict[str, I64]:
        """Client -> its rows, in order; accounts in the order of `accounts`."""
        order = np.argsort(self.account, kind="stable")
        ends = np.searchsorted(self.account[order], np.arange(1, len(self.accounts)))
        return {a.client: rows for a, rows in zip(self.accounts, np.split(order, ends), strict=True)}

    def of(self, client: str) -> I64:
        """Rows of one client, in order."""
        number = next(i for i, a in enumerate(self.accounts) if a.client == client)
        return np.flatnonzero(self.account == number)

    def lines(self) -> Iterator[bytes]:
        """The log, one JSON object a line, each with its newline."""
        encode = msgspec.json.Encoder().encode
        labels = self.labels.tolist()
        for start in range(0, len(self), CHUNK):
            rows = slice(start, start + CHUNK)
            inputs = np.round(self.inputs[rows].astype(np.float64), self.decimals).tolist()
            said = labels[rows] if not self.names else [self.names[label] for label in labels[rows]]
            chunk = zip(
                self.account[rows].tolist(),
                self.ordinal[rows].tolist(),
                self.at[rows].tolist(),
                inputs,
                said,
                self.probabilities[rows].tolist(),
                strict=True,
            )
            for number, ordinal, at, x, label, p in chunk:
                who = self.accounts[number]
                record = {
                    "id": f"{who.client[2:]}-{ordinal:05d}",
                    "at": _rfc3339(at),
                    "client": who.client,
                    "groups": {"organisation": who.organisation},
                    "model": self.model,
                    "input": x,
                    "output": {"label": label} if self.labels_only else {"label": label, "probabilities": p},
                }
                yield encode(record) + b"\n"

    def write(self, path: Path) -> None:
        """The log as a file of JSON lines."""
        with path.open("wb") as file:
            file.writelines(self.lines())


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _rfc3339(at: int) -> str:
    return (_EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
