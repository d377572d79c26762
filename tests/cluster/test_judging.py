"""Whoever has a partition, for however short a time: each message is applied once, and nobody ends for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any, cast

import msgspec
import pytest
from aiokafka.errors import ProducerFenced

from detector.cluster.forgetting import Forget
from detector.cluster.inbox import MOST_BYTES, Inbox, Message
from detector.cluster.journal import Journal
from detector.cluster.judging import TELL_S, Judging
from detector.cluster.ledger import Ledger
from detector.cluster.partition import TOLD, Found, Partition
from detector.cluster.passing import Parcel
from detector.cluster.policies import Entry, Policies, begun
from detector.cluster.stages import Stage
from detector.pipeline import Step
from detector.policy import Policy

GIVEN = [f"message {i}".encode() for i in range(12)]
SCORES = [b"score 1", b"score 2"]


class Collected:
    """Work that keeps what it was given, in its order."""

    decided = known = 0

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def follow(self, policies: Policies) -> None:
        pass

    def concerned(self, one: Forget) -> bool:
        return False

    def forget(self, one: Forget) -> None:
        raise AssertionError

    def words(self) -> Iterator[Parcel]:
        yield from ()

    def erased(self) -> list[bytes]:
        return []

    def enters(self, policies: Policies) -> list[Entry]:
        return []

    def reach(self, value: bytes) -> int:
        return 0

    def take(self, value: bytes) -> Found:
        self.taken.append(value)
        found = [cast("Any", value)]
        return Found(Step(points=found) if value in SCORES else Step(alerts=found), [])

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        yield from ()

    def settled(self) -> None:
        pass

    def restore(self, key: bytes, value: bytes | None) -> None:
        raise AssertionError

    def body(self) -> bytes:
        return msgspec.msgpack.encode(self.taken)

    def resume(self, body: bytes) -> None:
        self.taken = msgspec.msgpack.decode(body, type=list[bytes])


class Shelf:
    """What is durable of one partition, its topic, and who opened it last."""

    stage = Stage("judge", "queries", "state", 1, lambda number: Partition("p", 1, Collected()))

    def __init__(self, topic: Sequence[bytes]) -> None:
        self.topic, self.opened, self.told = list(topic), 0, list[bytes]()
        self.entries: dict[bytes, bytes] = {}
        self.all_told = asyncio.Event()

    async def open(self, number: int) -> Held:
        self.opened += 1
        partition = self.stage.made(number)
        for key, value in self.entries.items():
            partition.restore(key, value)
        partition.restored()
        return Held(self, partition)

    async def between(self, number: int, offsets: range) -> AsyncGenerator[list[Message], None]:
        for offset in offsets:
            yield [(offset, self.topic[offset])]


class Held:
    """Of one owner."""

    number = 0

    def __init__(self, shelf: Shelf, partition: Partition) -> None:
        self.partition, self._shelf, self._turn = partition, shelf, shelf.opened

    async def tell(self) -> None:
        await asyncio.sleep(0)
        if self._turn != self._shelf.opened:
            raise ProducerFenced
        self._shelf.told += cast("list[bytes]", self.partition.telling.points + self.partition.telling.alerts)
        self._shelf.entries[TOLD] = msgspec.msgpack.encode(max(self.partition.applied, self.partition.told))
        self.partition.all_told()
        if len(self._shelf.told) >= len(self._shelf.topic):
            self._shelf.all_told.set()

    async def snapshot(self) -> int:
        await self.tell()
        self._shelf.entries |= dict(self.partition.entries())
        self.partition.settled()
        return 1

    async def still_ours(self) -> bool:
        return self._turn == self._shelf.opened

    async def close(self) -> None:
        pass


class Known(Journal):
    """A journal with one policy."""

    def __init__(self) -> None:
        self.policies, self.more = Policies(), asyncio.Event()
        self.policies.take(*begun(Policy("first", {})))

    async def caught_up(self) -> None:
        pass


def worker(shelf: Shelf, monotonic: Callable[[], float] = lambda: 0.0) -> Judging:
    return Judging(cast("Ledger", shelf), Known(), ["judge-0"], 1e9, lambda step: None, monotonic=monotonic)


async def put(judging: Judging, offsets: range, generation: int = 1) -> None:
    for offset in offsets:
        await judging.put(generation, 0, offset, GIVEN[offset])


async def until(true: Callable[[], bool], serving: asyncio.Task[None]) -> None:
    while not true():
        assert not serving.done(), serving
        await asyncio.sleep(0)


async def until_told(shelf: Shelf, *workers: Judging) -> None:
    """All messages of the topic; then each was told once, in its order."""
    serving = [asyncio.create_task(one.serve(0)) for one in workers]
    try:
        done, _ = await asyncio.wait(
            [*serving, asyncio.create_task(shelf.all_told.wait())], timeout=10, return_when=asyncio.FIRST_COMPLETED
        )
        assert done
        for task in done:
            task.result()
    finally:
        for task in serving:
            task.cancel()
    assert shelf.told == shelf.topic


def test_who_is_given_a_partition_back_behind_a_hole_reads_what_is_missing() -> None:
    """It had it, another had it and made nothing durable, and Kafka goes on where the first one was."""

    async def tried() -> None:
        shelf = Shelf(GIVEN)
        ours = worker(shelf)
        await put(ours, range(4))
        serving = asyncio.create_task(ours.serve(0))
        await until(lambda: len(shelf.told) >= 4, serving)
        await shelf.open(0)  # by another
        await put(ours, range(4, 12))
        serving.cancel()
        await until_told(shelf, ours)

    asyncio.run(tried())


def test_who_was_shut_out_goes_on_though_nothing_else_comes() -> None:
    """A worker that was late opened the partition, heard that it is not its own, and lets it lie."""

    async def tried() -> None:
        shelf = Shelf(GIVEN)
        ours = worker(shelf)
        serving = asyncio.create_task(ours.serve(0))
        await put(ours, range(6))
        await until(lambda: len(shelf.told) >= 6, serving)
        await put(ours, range(6, 12))
        await shelf.open(0)
        serving.cancel()
        await until_told(shelf, ours)

    asyncio.run(tried())


def test_two_who_both_take_it_for_theirs_tell_everything_once() -> None:
    async def tried() -> None:
        shelf = Shelf(GIVEN)
        first, second = worker(shelf), worker(shelf)
        await put(first, range(12))
        await put(second, range(3, 12))
        await until_told(shelf, first, second)

    asyncio.run(tried())


def test_nothing_of_an_assignment_that_is_over_is_applied() -> None:
    """Or a partition would be opened that another has by now."""

    async def tried() -> None:
        shelf = Shelf(GIVEN)
        late, owner = worker(shelf), worker(shelf)
        await put(late, range(6), generation=1)
        late.revoked({0}, 1)
        await put(late, range(6, 12), generation=1)
        serving = asyncio.create_task(late.serve(0))
        await put(owner, range(12), generation=2)
        await until_told(shelf, owner)
        serving.cancel()
        assert shelf.opened == 1

    asyncio.run(tried())


def test_scores_are_told_with_an_alert_or_when_they_have_waited() -> None:
    """A transaction for each would cost more than judging them."""

    async def tried() -> None:
        shelf, now = Shelf([*SCORES, b"alert"]), 0.0
        ours = worker(shelf, lambda: now)
        serving = asyncio.create_task(ours.serve(0))

        async def told(*expected: bytes) -> None:
            async with asyncio.timeout(10):
                while shelf.told != list(expected):
                    await ours.look({0})
                    await asyncio.sleep(0)

        async def given(offset: int) -> None:
            await ours.put(1, 0, offset, shelf.topic[offset])
            while not ours.owned or ours.owned[0].partition.applied < offset:
                await asyncio.sleep(0)
            await ours.look({0})

        await given(0)
        assert shelf.told == []
        now = TELL_S
        await told(*SCORES[:1])
        await given(1)
        assert shelf.told == SCORES[:1]
        await given(2)
        await told(*SCORES, b"alert")
        serving.cancel()

    asyncio.run(tried())


def test_an_inbox_says_where_messages_are_missing_and_what_it_has_given_out() -> None:
    async def tried() -> None:
        inbox = Inbox()
        for offset in (3, 4, 4, 3, 7):
            await inbox.put(offset, b"")
        assert list(inbox.pieces(1)) == [range(2, 3), [(3, b""), (4, b"")], range(5, 7), [(7, b"")]]
        assert list(inbox.pieces(7)) == []
        assert list(inbox.pieces(4)) == [range(5, 8)]
        inbox.clear()
        assert list(inbox.pieces(1)) == []

    asyncio.run(tried())


def test_a_full_inbox_takes_no_more_and_what_waited_before_it_is_dropped_with_it() -> None:
    async def tried() -> None:
        inbox = Inbox()
        await inbox.put(0, bytes(MOST_BYTES + 1))
        waiting = asyncio.create_task(inbox.put(1, b""))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.01)
        inbox.clear()
        await waiting
        assert list(inbox.pieces(-1)) == []

    asyncio.run(tried())
