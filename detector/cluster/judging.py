"""Stage 2: the partitions that this worker owns, what is applied to them, and when it becomes durable.

Each partition is served by itself: while one waits for its transaction, the others go on. What came for a partition
meanwhile is taken together, so there is one transaction for more where there is more to do. Alerts, and what goes to
other partitions, are told at once; scores and letters with them, or a second later.

Which partitions are ours is Faust's to say. What we were sent may be of an assignment that is over, and where we are
sent to go on may lie behind what is durable: another worker had the partition for a while, or opened it late. So what
is missing is read again from the topic, and the process need not end for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection
from concurrent.futures import Executor
from contextlib import aclosing

import structlog

from detector.cluster.inbox import Inbox, Message
from detector.cluster.journal import Journal
from detector.cluster.ledger import Ledger, Owned, ProducerFenced
from detector.cluster.partition import Limit, Partition
from detector.cluster.passing import TOWN
from detector.cluster.policies import decided
from detector.cluster.stages import Stage, place_of
from detector.pipeline import Step

log = structlog.get_logger(__name__)

GATHER_S = 0.02  # what was shared out at once comes one after the other
TELL_S = 1.0  # scores may wait for so long
MOST_BEHIND = 5_000  # messages of a partition that wait for a decision, before it holds up its neighbours


class Judging:
    """The partitions of one stage that a worker has, opened when the first message of each comes. One event loop uses
    it. journal: which policies hold; places: all partitions that answer to a proposal. counted: is given every step.
    hand: what messages are applied by. heard_s: after so long a worker that went on without its group knows of it.
    """

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        places: Collection[str],
        snapshot_s: float,
        counted: Callable[[Step], None],
        *,
        hand: Executor | None = None,
        heard_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owned: dict[int, Owned] = {}
        self._journal, self._places = journal, places
        self._ledger, self._snapshot_s, self._counted = ledger, snapshot_s, counted
        self._now, self._hand, self._heard_s = monotonic, hand, heard_s
        self._suspects: set[int] = set()  # revoked since we last looked at who wrote them
        self._over: int | None = None  # the generation of which nothing counts any more
        self._due: dict[int, float] = {}
        self._told: dict[int, float] = {}
        self._inboxes: dict[int, Inbox] = {}
        self._behind: dict[int, list[Message]] = {}  # not applied yet
        self._locks: dict[int, asyncio.Lock] = {}

    @property
    def stage(self) -> Stage:
        return self._ledger.stage

    async def put(self, generation: int, number: int, offset: int, value: bytes) -> None:
        """Takes a message of a partition, which `serve` is to apply; waits where too many wait already."""
        if generation != self._over:
            await self._inbox(number).put(offset, value)

    def revoked(self, numbers: Collection[int], generation: int) -> None:
        """These were taken from us, if only for a moment: another may write them. What came in this generation of the
        group comes again to whoever has them next.
        """
        self._over = generation
        self._suspects.update(numbers)
        for number in numbers:
            self._inbox(number).clear()

    def assigned(self) -> None:
        self._over = None

    async def serve(self, number: int) -> None:
        """Applies what comes for a partition, for ever.

        Raises StoreError when messages are missing: the process must end then.
        """
        inbox = self._inbox(number)
        while True:
            await inbox.filled()
            await asyncio.sleep(GATHER_S)
            if not await self._take(number, inbox):
                # Either we are late to hear that it was given away, or another was, who wrote to it for the last time.
                await asyncio.sleep(self._heard_s)
                inbox.look_again()

    async def _take(self, number: int, inbox: Inbox) -> bool:
        """Applies what has come, in its order, and makes durable what it gave; False when another worker has opened the
        partition. What must wait for what is decided of a policy is kept, and does not hold up other partitions.
        """
        async with self._lock(number):
            if not inbox.upto:  # it was taken from us while we waited
                return True
            try:
                own = await self._owner(number)
                async with aclosing(self._whole(own, inbox)) as whole:
                    async for messages in whole:
                        self._behind.setdefault(number, []).extend(messages)
                        await self._go_on(own)
                        if self.owned.get(number) is not own:
                            return False
            except ProducerFenced:  # while we opened it
                return False
            except asyncio.CancelledError:  # its thread may still apply: what is durable is right, this may not be
                self._forget(number)
                raise
        return True

    async def _whole(self, own: Owned, inbox: Inbox) -> AsyncGenerator[list[Message], None]:
        """What has come, without holes: what is missing before it is read again."""
        behind = self._behind.get(own.number)
        at = behind[-1][0] if behind else own.partition.applied
        for messages in inbox.pieces(at):
            if not isinstance(messages, range):
                yield messages
                continue
            said = {"partition": own.number, "messages": len(messages)}
            log.info("What is missing is read again", stage=self.stage.name, **said)
            async with aclosing(self._ledger.between(own.number, messages)) as missing:
                async for found in missing:
                    yield found

    async def look(self, assigned: Collection[int]) -> None:
        """Goes on with what waited, saves what is due and was not saved by `take`, lets go of partitions that others
        have now, and answers for those for which nothing comes. A partition that is being taken care of is left alone.
        """
        asked = assigned if self._journal.policies.pending or self._journal.policies.forget else ()
        for number in {*self.owned, *asked}:
            if self._lock(number).locked():
                continue
            async with self._lock(number):
                try:
                    own = await self._owner(number) if number in asked else self.owned.get(number)
                except ProducerFenced:  # another opened it meanwhile
                    continue
                if own is None:
                    continue
                if number in self._suspects and number not in assigned:
                    await self._drop(own)
                    continue
                try:
                    await self._go_on(own)
                except asyncio.CancelledError:
                    self._forget(number)
                    raise
                if self.owned.get(number) is not own:
                    self._inbox(number).look_again()

    def _inbox(self, number: int) -> Inbox:
        return self._inboxes.setdefault(number, Inbox())

    def _lock(self, number: int) -> asyncio.Lock:
        return self._locks.setdefault(number, asyncio.Lock())

    async def _go_on(self, own: Owned) -> None:
        """Applies what is behind, as far as it may be; keeps and answers in any case."""
        while await self._answer(own):
            if not await self._forget_asked(own):
                return
            applied, behind = own.partition.applied, self._behind.get(own.number, [])
            # Both as they are now: the journal may read on while messages are applied.
            own.partition.follow(self._journal.policies)
            limit = own.partition.limit(self._journal.policies, place_of(self.stage, own.number))
            loop = asyncio.get_running_loop()
            steps, behind = await loop.run_in_executor(self._hand, _apply, own.partition, behind, limit)
            self._behind[own.number] = behind
            for step in steps:
                self._counted(step)
            if not await self._keep(own) or not behind:
                return
            if own.partition.applied == applied:  # nothing may be applied as yet
                if len(behind) < MOST_BEHIND:
                    return
                await self._journal.more.wait()

    async def _answer(self, own: Owned) -> bool:
        """Answers what is proposed, and decides where that is ours; False when the partition went to another worker."""
        policies, place = self._journal.policies, place_of(self.stage, own.number)
        entries = own.partition.answers(policies, place)
        if self.stage.name == TOWN:
            entries += [decided(id_, decision) for id_, decision in policies.ready(self._places)]
        if not entries:
            return True
        try:
            await own.enter(entries)
        except ProducerFenced:
            await self._lost(own)
            return False
        return True

    async def _forget_asked(self, own: Owned) -> bool:
        """Forgets whom it is asked to; it is durable when this returns. False when the partition went to another."""
        own.partition.follow(self._journal.policies)
        due = own.partition.concerns(self._journal.policies)
        if not due:
            return True
        try:
            await own.forget(due)
        except ProducerFenced:
            await self._lost(own)
            return False
        self._due[own.number] = self._now() + self._snapshot_s
        requests = [one.id for one in due]
        log.info("Entities were forgotten", stage=self.stage.name, partition=own.number, requests=requests)
        return True

    async def _lost(self, own: Owned) -> None:
        """Another worker has opened the partition, and goes on from what is durable."""
        log.info("A partition went to another worker", stage=self.stage.name, partition=own.number)
        await self._drop(own)

    async def _keep(self, own: Owned) -> bool:
        """False when the partition went to another worker."""
        now, partition = self._now(), own.partition
        try:
            if now >= self._due[own.number] and not partition.saved:
                began = self._now()
                entries = await own.snapshot()
                self._due[own.number] = self._now() + self._snapshot_s
                told = {"entries": entries, "took_s": round(self._now() - began, 2)}
                log.debug("A partition is saved", stage=self.stage.name, partition=own.number, **told)
                self._told[own.number] = self._now()
            elif partition.urgent or (partition.telling and now - self._told[own.number] >= TELL_S):
                await own.tell()
                self._told[own.number] = self._now()
        except ProducerFenced:
            await self._lost(own)
            return False
        return True

    async def _owner(self, number: int) -> Owned:
        """The partition as we hold it when nobody wrote it since, else as it is durable."""
        own = self.owned.get(number)
        if own is not None and number in self._suspects and not await own.still_ours():
            await self._drop(own)
            own = None
        self._suspects.discard(number)
        if own is None:
            began = self._now()
            own = await self._ledger.open(number)
            await self._journal.caught_up()
            self.owned[number] = own
            self._due[number] = self._now() + self._snapshot_s
            self._told[number] = self._now()
            log.info(
                "A partition is open",
                stage=self.stage.name,
                partition=number,
                entities=own.partition.work.known,
                applied=own.partition.applied,
                took_s=round(self._now() - began, 2),
            )
        return own

    def _forget(self, number: int) -> None:
        self.owned.pop(number, None)
        self._behind.pop(number, None)

    async def _drop(self, own: Owned) -> None:
        self._forget(own.number)
        await own.close()


def _apply(partition: Partition, messages: list[Message], limit: Limit) -> tuple[list[Step], list[Message]]:
    """Applies what may be applied; returns the rest, too."""
    steps: list[Step] = []
    for i, (offset, value) in enumerate(messages):
        if offset <= partition.applied:
            continue
        if partition.stops(offset, value, limit):
            return steps, messages[i:]
        steps.append(partition.apply(offset, value))
    return steps, []
