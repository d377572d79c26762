"""`querywarden worker`: Faust gives membership, assignment and supervision; what counts as done is decided here.

Nothing is acknowledged to Faust (`acks=False`), and no table of Faust's is used: an offset is committed by the stage
that made durable what it stands for. Crash-only: an error that nobody expected ends the process, and whoever supervises
it starts it again; what is durable is the one state that is known to be right.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import faust
import structlog

from detector.cluster import entry, stages, topics
from detector.cluster.delivering import deliver
from detector.cluster.folders import refuse_mirror
from detector.cluster.journal import Journal
from detector.cluster.judging import Judging
from detector.cluster.ledger import Ledger
from detector.cluster.names import Names
from detector.cluster.policies import successor_of
from detector.cluster.projecting import Projecting, stream_of
from detector.cluster.quiet import quieten
from detector.cluster.stages import Making, places_of
from detector.cluster.succession import promised
from detector.cluster.wire import Routes
from detector.errors import QuerywardenError
from detector.profile import artefact
from detector.pseudonyms import decoder
from detector.run.delivery import Couriers, couriers_of
from detector.run.health import Health
from detector.run.judge import use_of
from detector.run.lock import WriterLock
from detector.run.outbox import Outbox
from detector.run.telemetry import Endpoint, Telemetry
from detector.settings import Settings
from detector.sources.kafka_client import Topic

BUFFER = 256  # messages that Faust reads ahead
LOOK_S = 1.0
# While messages are applied, the thread that speaks with the brokers waits for its turn at each of its many small
# steps: with Python's own 5 ms a worker came to less than half as many records.
SWITCH_S = 0.0005
REQUEST_S = 90.0
METADATA_MS = 10_000  # a topic that the group's leader has not seen yet is assigned to nobody
CRASHED = 70  # EX_SOFTWARE of sysexits.h

log = structlog.get_logger(__name__)


class Worker:
    """One process of many. Raises SettingsError, SourceBusy or SourceRefused when it cannot start."""

    def __init__(self, settings: Settings) -> None:
        path = settings.profile.path
        loaded = artefact.load(Path(path)) if path else None
        self.settings = settings
        self.source, self.profile = stages.check(settings, loaded)
        self.names = Names(settings.cluster.name)
        self.telemetry = Telemetry()
        self._ready = False
        self._assigned: dict[str, set[int]] = {}  # by topic
        decode = decoder(settings.log.format, settings.entities.pseudonyms, *use_of(settings, self.profile))
        self.routes = Routes(self.profile.secret, settings.cluster.partitions, decode, self.profile.summary.model)
        self.entry = entry.of(self.source)
        self.journal = Journal(self.entry, self.names)
        self.judging: list[Judging] = []
        self._hand = ThreadPoolExecutor(1, "apply")  # one core is what a worker has; more threads would only take turns

    def run(self) -> None:
        """Until it is told to stop (SIGTERM, SIGINT), or crashes."""
        folder = Path(self.settings.store.path)
        folder.mkdir(parents=True, exist_ok=True)
        quieten()
        sys.setswitchinterval(SWITCH_S)
        with ExitStack() as opened:
            opened.callback(WriterLock(folder / "outbox.sqlite").release)
            topic = topics.check(self.settings, self.source)
            self._begin(topic)
            outbox = opened.enter_context(closing(Outbox(folder / "outbox.sqlite")))
            refuse_mirror(outbox)
            couriers = couriers_of(self.settings, folder / "outbox.sqlite", self.health)
            couriers.start()
            opened.callback(couriers.stop, self.settings.delivery.drain_s)
            self._serve(opened)
            app = self._app(folder)
            self._stages(app, topic.id, outbox, couriers)
            log.info("A worker starts", profile=self.profile.summary.id, cluster=self.names.name)
            worker = faust.Worker(
                app, loglevel="WARN", override_logging=False, redirect_stdouts=False, quiet=True, workdir=Path.cwd()
            )
            worker.spinner = None  # it draws on the terminal
            worker.execute_from_commandline()

    def _begin(self, topic: Topic) -> None:
        """The stages, over the log as it is now."""
        streams = [stream_of(topic.id, partition) for partition in topic.partitions]
        making = Making(self.settings, self.profile, self.routes, streams)
        stages = making.stages(self.names)
        for stage in stages:
            ledger = Ledger(self.entry, self.names, stage)
            snapshot_s, count = self.settings.store.snapshot_s, self.telemetry.count
            heard_s = entry.heartbeat_s(self.settings.cluster.session_s)
            self.judging.append(
                Judging(ledger, self.journal, places_of(stages), snapshot_s, count, hand=self._hand, heard_s=heard_s)
            )

    def _app(self, folder: Path) -> Any:
        cluster = self.settings.cluster
        return faust.App(
            self.names.judging,
            broker=[f"kafka://{broker}" for broker in self.source.brokers],
            broker_credentials=entry.credentials(self.source),
            topic_partitions=cluster.partitions,
            topic_replication_factor=cluster.replication,
            topic_disable_leader=True,
            topic_allow_declare=False,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=self.source.partition_fetch_max_bytes,
            consumer_metadata_max_age_ms=METADATA_MS,
            broker_session_timeout=cluster.session_s,
            broker_request_timeout=max(REQUEST_S, cluster.session_s),  # Faust wants it no shorter
            broker_heartbeat_interval=entry.heartbeat_s(cluster.session_s),
            stream_wait_empty=False,  # nothing is ever acknowledged, so a rebalance must not wait for it
            stream_buffer_maxsize=BUFFER,
            web_enabled=False,
            datadir=str(folder / "faust"),
        )

    def _stages(self, app: Any, topic_id: str, outbox: Outbox, couriers: Couriers) -> None:
        projecting = Projecting(self.settings, self.source, self.entry, topic_id, self.profile.summary.id, self.routes)

        async def project(_app: Any) -> None:
            await projecting.run(lambda: bool(app.should_stop))

        async def tell(_app: Any) -> None:
            path = Path(self.settings.store.path) / "outbox.sqlite"
            policies, stopping = self.journal.policies, lambda: bool(app.should_stop)
            await deliver(self.settings, self.entry, path, policies, couriers.ring, stopping)

        async def follow(_app: Any) -> None:
            await self.journal.run(lambda: bool(app.should_stop))

        async def look(_app: Any) -> None:
            for judging in self.judging:
                await judging.look(self._assigned.get(judging.stage.taken, set()))
            self._look(couriers, outbox)

        async def assigned(_app: Any, assigned: Any, **_: Any) -> None:
            self._assigned = _by_topic(assigned)
            self._ready = True
            for judging in self.judging:
                judging.assigned()

        async def revoked(_app: Any, revoked: Any, **_: Any) -> None:
            taken = _by_topic(revoked)
            for judging in self.judging:
                judging.revoked(taken.get(judging.stage.taken, set()), app.consumer_generation_id)

        app.on_partitions_assigned.connect(assigned, weak=False)
        app.on_partitions_revoked.connect(revoked, weak=False)
        app.task(_crash_only(project))
        app.task(_crash_only(tell))
        app.task(_crash_only(follow))
        app.timer(LOOK_S)(_crash_only(look))
        for judging in self.judging:
            stage = judging.stage
            taken = app.topic(stage.taken, value_serializer="raw", partitions=stage.partitions, acks=False)
            app.agent(taken, name=stage.name)(_crash_only(_taking(app, judging)))

    def _serve(self, opened: ExitStack) -> None:
        where = self.settings.telemetry
        if where.port:
            endpoint = Endpoint(self.telemetry, self.health, host=where.host, port=where.port)
            opened.callback(endpoint.close)

    def health(self) -> Health:
        """Of the settings' policy is said when it is not the one that holds."""
        summary, policies = self.profile.summary, self.journal.policies
        holds = policies.dated()[-1].policy if policies.first else None
        wanted = self.settings.policy.over(promised(self.profile, policies)).version if holds else ""
        other = holds is not None and successor_of(holds) is None and holds.version != wanted
        version = holds.version if holds else ""
        said = f"policy: {version} holds, not that of the settings: `querywarden policy apply --workers`"
        reasons = (said,) if other else ()
        return Health(ready=self._ready, reasons=reasons, model=summary.model, profile=summary.id, policy=version)

    def _look(self, couriers: Couriers, outbox: Outbox) -> None:
        works = [own.partition.work for judging in self.judging for own in judging.owned.values()]
        self.telemetry.entities.set(sum(work.known for work in works))
        self.telemetry.watermark_s.set(max((work.decided for work in works), default=0) / 1e6)
        for standing in couriers.standings():
            self.telemetry.sink(standing, outbox.backlog(standing.sink))


def _by_topic(partitions: Iterable[Any]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for partition in partitions:
        found.setdefault(partition.topic, set()).add(partition.partition)
    return found


def _taking(app: Any, judging: Judging) -> Callable[[Any], Awaitable[None]]:
    """The agent of a stage: what is sent to it, to its partitions."""

    async def take(stream: Any) -> None:
        served: set[int] = set()
        async for event in stream.events():
            message = event.message
            if message.generation_id != app.consumer_generation_id:  # of an assignment that is over
                continue
            if message.partition not in served:
                served.add(message.partition)
                app.add_future(_crash_only(judging.serve)(message.partition))
            await judging.put(message.generation_id, message.partition, message.offset, message.value)

    take.__name__ = take.__qualname__ = judging.stage.name
    return take


def _crash_only(stage: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """A failed stage ends the process. Faust would log the error, acknowledge the event, and go on behind it."""

    async def run(argument: Any) -> None:
        try:
            await stage(argument)
        except asyncio.CancelledError:
            raise
        except QuerywardenError as error:
            log.error("A stage ends the worker", stage=stage.__name__, reason=str(error))
            os._exit(CRASHED)
        except BaseException as error:
            log.error("A stage ends the worker", stage=stage.__name__, exc_info=error)
            os._exit(CRASHED)

    run.__name__ = run.__qualname__ = stage.__name__
    return run
