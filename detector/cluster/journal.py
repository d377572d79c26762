"""The topic of policies as this worker has read it so far, and who is waiting for more of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from detector.cluster.entry import Entry
from detector.cluster.names import Names
from detector.cluster.policies import Policies
from detector.reasons import rfc3339

READ_MS = 200
LOOK_S = 0.02

log = structlog.get_logger(__name__)


class Journal:
    """`run` reads until the worker ends. more: another one after each time that something came."""

    def __init__(self, entry: Entry, names: Names) -> None:
        self.policies = Policies()
        self.more = asyncio.Event()
        self._entry, self._tp = entry, TopicPartition(names.policies, 0)
        self._reached = -1
        self._said: set[str] = set()

    async def run(self, stopping: Callable[[], bool]) -> None:
        consumer: Any = AIOKafkaConsumer(**self._entry, isolation_level="read_committed")
        async with consumer:
            consumer.assign([self._tp])
            await consumer.seek_to_beginning(self._tp)
            while not stopping():
                got = await consumer.getmany(self._tp, timeout_ms=READ_MS)
                for record in got.get(self._tp, ()):
                    self.policies.take(record.key, record.value)
                self._reached = await consumer.position(self._tp)
                if got:
                    self._say()
                    came, self.more = self.more, asyncio.Event()
                    came.set()

    async def caught_up(self) -> None:
        """Until all is read that is there now: what earlier owners of a partition have answered binds the next one."""
        consumer: Any = AIOKafkaConsumer(**self._entry)  # of transactions that are open, too
        async with consumer:
            end = (await consumer.end_offsets([self._tp]))[self._tp]
        while self._reached < end:
            await asyncio.sleep(LOOK_S)

    def _say(self) -> None:
        for id_, decision in self.policies.decisions.items():
            if id_ in self._said or id_ not in self.policies.proposals:
                continue
            self._said.add(id_)
            version = self.policies.proposals[id_].policy.version
            if decision.since is None:
                log.warning("A policy is refused", policy=version, reason=decision.why)
            else:
                log.info("A policy holds", policy=version, since=rfc3339(decision.since))
