"""Every error that querywarden raises on purpose, and whether trying again can help.

QuerywardenError
|-- SettingsError        what the operator wrote cannot be used; says where, and the nearest right name
|-- MissingExtra         a part was asked for whose packages are not installed; says which extra
|-- DecodeError          one record cannot be read: it goes to the dead letters, the rest goes on
|-- ProfileError         a profile cannot be made, read, or used here
|   `-- PromiseRefused   the honest log cannot carry the promise that was asked for
|-- StoreError           the store cannot be used
|   `-- StoreLocked      another process writes it
|-- SourceError
|   |-- SourceBusy       try again later (broker away, file not there yet)
|   `-- SourceRefused    never: wrong password, no such topic, positions that are gone
`-- SinkError
    |-- SinkBusy         try again later, after `retry_after_s` where the sink said so
    `-- SinkRefused      not until a human acts (bad credentials, no such index): hold the queue, drop nothing
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class QuerywardenError(Exception):
    """The root. The message is for a person: what was found, where, and what to do."""


class SettingsError(QuerywardenError):
    pass


class MissingExtra(QuerywardenError):
    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra [{extra}]: pip install 'querywarden[{extra}]'")


class DecodeError(QuerywardenError):
    """`reason` is one of a small fixed set (a metric label); the message says what was found.

    client, at, model, version: who asked, when (microseconds), and what, where that can be read all the same. answered:
    False where the record says that no answer was given.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        client: str | None = None,
        at: int | None = None,
        model: str | None = None,
        version: str | None = None,
        answered: bool = True,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.client = client
        self.at = at
        self.model = model
        self.version = version
        self.answered = answered


class ProfileError(QuerywardenError):
    pass


class PromiseRefused(ProfileError):
    pass


class StoreError(QuerywardenError):
    pass


class StoreLocked(StoreError):
    pass


class SourceError(QuerywardenError):
    pass


class SourceBusy(SourceError):
    pass


class SourceRefused(SourceError):
    pass


class SinkError(QuerywardenError):
    pass


class SinkBusy(SinkError):
    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SinkRefused(SinkError):
    pass


def nearest_name(wrong: str, right: Iterable[str]) -> str:
    """A sentence part for an unknown name: the nearest right one, else all of them.

    >>> nearest_name("brokrs", ["brokers", "topic"])
    'did you mean "brokers"?'
    """
    names = sorted(right)
    close = difflib.get_close_matches(wrong, names, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    return "known names: " + ", ".join(names)
