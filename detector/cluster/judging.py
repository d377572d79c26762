"""Stage 2: the partitions that this worker owns, what is applied to them, and when it becomes durable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

import structlog

from detector.cluster import wire
from detector.cluster.ledger import Ledger, Owned, ProducerFenced
from detector.pipeline import Step

log = structlog.get_logger(__name__)

Message = tuple[int, bytes]  # its offset in the partition, and what it holds


class Judging:
    """The partitions of one worker, opened when the first message of each comes. One event loop uses it.

    profile: id of the profile that must have shared out the records. counted: is given every step.
    """

    def __init__(
        self,
        ledger: Ledger,
        profile: str,
        snapshot_s: float,
        counted: Callable[[Step], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owned: dict[int, Owned] = {}
        self._ledger, self._profile, self._snapshot_s, self._counted = ledger, profile, snapshot_s, counted
        self._now = monotonic
        self._suspects: set[int] = set()  # revoked since we last looked at who wrote them
        self._due: dict[int, float] = {}
        self._locks: dict[int, asyncio.Lock] = {}

    def suspect(self, numbers: Collection[int]) -> None:
        """These were taken from us, if only for a moment: another may have written them."""
        self._suspects.update(numbers)

    async def take(self, number: int, messages: Sequence[Message]) -> None:
        """Applies messages of a partition in their order, and makes durable what they gave.

        Raises StoreError when messages are missing: the process must end then.
        """
        async with self._lock(number):
            try:
                own = await self._owner(number)
                for step in await asyncio.to_thread(self._apply, own, messages):
                    self._counted(step)
                await self._keep(own)
            except asyncio.CancelledError:  # its thread may still apply: what is durable is right, this may not be
                self.owned.pop(number, None)
                raise

    async def look(self, assigned: Collection[int]) -> None:
        """Saves what is due and was not saved by `take`, and lets go of partitions that are others' now."""
        for number in list(self.owned):
            async with self._lock(number):
                own = self.owned.get(number)
                if own is None:
                    continue
                if number in self._suspects and number not in assigned:
                    await self._drop(own)
                    continue
                try:
                    await self._keep(own)
                except asyncio.CancelledError:
                    self.owned.pop(number, None)
                    raise

    def _lock(self, number: int) -> asyncio.Lock:
        return self._locks.setdefault(number, asyncio.Lock())

    def _apply(self, own: Owned, messages: Sequence[Message]) -> list[Step]:
        partition = own.partition
        return [
            partition.apply(offset, wire.read(value, self._profile))
            for offset, value in messages
            if offset > partition.applied
        ]

    async def _keep(self, own: Owned) -> None:
        due = self._now() >= self._due[own.number] and not own.partition.saved
        try:
            if due:
                began = self._now()
                entries = await own.snapshot()
                self._due[own.number] = self._now() + self._snapshot_s
                took_s = round(self._now() - began, 2)
                log.debug("A partition is saved", partition=own.number, entries=entries, took_s=took_s)
            elif own.partition.telling:
                await own.tell()
        except ProducerFenced:  # another worker has opened the partition, and goes on from what is durable
            log.info("A partition went to another worker", partition=own.number)
            await self._drop(own)

    async def _owner(self, number: int) -> Owned:
        """The partition as we hold it when nobody wrote it since, else as it is durable."""
        own = self.owned.get(number)
        if own is not None and number in self._suspects and not await own.still_ours():
            await self._drop(own)
            own = None
        self._suspects.discard(number)
        if own is None:
            began = self._now()
            own = self.owned[number] = await self._ledger.open(number)
            # A new partition is saved at once: nothing is told before it is known under which policy.
            self._due[number] = began if own.partition.new else self._now() + self._snapshot_s
            log.info(
                "A partition is open",
                partition=number,
                clients=len(own.partition.pipeline.clients),
                applied=own.partition.applied,
                took_s=round(self._now() - began, 2),
            )
        return own

    async def _drop(self, own: Owned) -> None:
        self.owned.pop(own.number, None)
        await own.close()
