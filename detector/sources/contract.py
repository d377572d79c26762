"""What a source promises to the runner: chunks of records that can be found again by stream and offset."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from detector.query import Chunk


class Source(Protocol):
    """Where the inference log is read from. One thread calls it.

    The position that counts is the one the *store* holds (it is written with the state that it belongs to); what a
    source tells its broker in `commit` is for monitoring tools only.
    """

    def open(self, positions: Mapping[str, int]) -> None:
        """Connects and starts every known stream at the offset given, others where the settings say.

        Raises SourceBusy (try again) or SourceRefused (never; also when a given offset is gone from the log).
        """
        ...

    def read(self, timeout_s: float) -> list[Chunk]:
        """The next records, at most about `batch_size` in all, waiting up to `timeout_s` for the first one.

        Offsets of a stream grow and have no hole. A stream of which nothing came gives no chunk.
        """
        ...

    def streams(self) -> list[str]:
        """All streams being read, those that are idle too: the watermark waits for the slowest of them."""
        ...

    def positions(self) -> dict[str, int]:
        """Where every stream stands, idle ones too: stored with each snapshot, so that a stream that never gave
        anything is not read from elsewhere after a restart.
        """
        ...

    def drained(self, streams: Collection[str]) -> set[str]:
        """Those of `streams` of which nothing is left to read. Asks the log and may wait for its answer, so that an
        outage is not taken for silence; a stream that cannot be asked about is not drained.
        """
        ...

    def commit(self, positions: Mapping[str, int]) -> None:
        """The store holds everything before these offsets."""
        ...

    def lag(self) -> dict[str, int]:
        """Records (Kafka) or bytes (files) not yet read, per stream, as far as known without waiting."""
        ...

    @property
    def exhausted(self) -> bool:
        """True once a bounded source (not followed) has given everything."""
        ...

    def close(self) -> None: ...


class SourceSettings(Protocol):
    """The settings of a source *are* a frozen struct whose tag is its `type`; `connect` makes the source. No I/O."""

    def connect(self) -> Source: ...
