"""The last stage: alerts from their topic into this worker's outbox, and from there to the sinks as everywhere.

Offsets are committed only when all sinks have everything: an outbox that is lost with its machine is filled again by
another worker. What had been delivered then comes again under the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError, IllegalStateError

from detector.alert import Alert
from detector.cluster.entry import Entry, heartbeat_s
from detector.cluster.forgetting import Forget
from detector.cluster.names import Names
from detector.cluster.policies import Policies
from detector.run.outbox import Outbox
from detector.settings import Settings

READ_MS = 500


class Erasing:
    """Forgets in this worker's outbox whom all workers are asked to forget: at once, and again when all have done so,
    since alerts may have come between.
    """

    def __init__(self, outbox: Outbox, policies: Policies) -> None:
        self._outbox, self._policies = outbox, policies
        self._known: dict[str, Forget] = {}

    def due(self) -> list[Forget]:
        """Who is to be forgotten now; asked by whom the policies belong to."""
        new = [one for id_, one in self._policies.forget.items() if id_ not in self._known]
        done = [self._known.pop(id_) for id_ in self._policies.forgotten & self._known.keys()]
        self._known.update((one.id, one) for one in new)
        return [*new, *done]

    def erase(self, due: Sequence[Forget]) -> None:
        for one in due:
            self._outbox.erase(one.kind, one.entity, keep_waiting=one.keep_alerts)


async def deliver(
    settings: Settings,
    entry: Entry,
    outbox: Path,
    policies: Policies,
    ring: Callable[[], None],
    stopping: Callable[[], bool],
) -> None:
    """Until `stopping`. outbox: the file. `ring` is called when there are new alerts."""
    names, session_ms = Names(settings.cluster.name), int(settings.cluster.session_s * 1000)
    decode = msgspec.msgpack.Decoder(Alert).decode
    consumer = AIOKafkaConsumer(
        names.alerts,
        names.held,
        **entry,
        group_id=names.delivering,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=int(1000 * heartbeat_s(settings.cluster.session_s)),
    )
    sinks = [sink.name for sink in settings.sinks]
    reached: dict[Any, int] = {}  # in the outbox, not committed
    loop = asyncio.get_running_loop()
    # A thread of its own: what the disk takes to make alerts durable, nobody else waits for.
    with ThreadPoolExecutor(1, "outbox") as hand:
        kept = await loop.run_in_executor(hand, Outbox, outbox)
        erasing = Erasing(kept, policies)
        try:
            async with consumer:
                while not stopping():
                    got = await consumer.getmany(timeout_ms=READ_MS)
                    alerts = [decode(record.value) for tp in got if tp.topic == names.alerts for record in got[tp]]
                    held = [decode(record.value) for tp in got if tp.topic == names.held for record in got[tp]]
                    if held:
                        await loop.run_in_executor(hand, kept.hold, held)
                    new = await loop.run_in_executor(hand, kept.put, alerts) if alerts else 0
                    if new:
                        ring()
                    due = erasing.due()
                    if due:
                        await loop.run_in_executor(hand, erasing.erase, due)
                    reached |= {tp: records[-1].offset + 1 for tp, records in got.items()}
                    if bool(reached) and await loop.run_in_executor(hand, _delivered, kept, sinks):
                        await _commit(consumer, reached)
                        reached.clear()
        finally:
            await loop.run_in_executor(hand, kept.close)


def _delivered(outbox: Outbox, sinks: Sequence[str]) -> bool:
    return not any(outbox.backlog(sink) for sink in sinks)


async def _commit(consumer: Any, reached: dict[Any, int]) -> None:
    ours = {tp: at for tp, at in reached.items() if tp in consumer.assignment()}
    try:
        if ours:
            await consumer.commit(ours)
    except (CommitFailedError, IllegalStateError):
        return  # given away meanwhile: the next owner delivers them again
