"""The runner of one process: source -> pipeline -> outbox -> couriers, with snapshots that make crashes harmless.

What is durable when: an alert before the next chunk is read (outbox); rows, cases, ticks and the tape together with the
positions that they include, every `snapshot_s` (store). After a crash the log since the last snapshot is read again:
the same records give the same rows and alerts, and an alert whose id the outbox knows is not told twice. What is *not*
in the log, and decides, is made durable before it is used: policies (journal), which streams are idle (a snapshot), and
where the log stood when a client was to be forgotten (forgetting.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import structlog

from detector.errors import QuerywardenError, SourceBusy, SourceRefused
from detector.pipeline import Step
from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.run.delivery import Standing, couriers_of
from detector.run.health import Health, Rate, of_other_versions
from detector.run.idle import Silence
from detector.run.judge import Judge, check_groups
from detector.run.learning import what_is_missing
from detector.run.shadow import Shadow
from detector.run.telemetry import Endpoint, Telemetry
from detector.settings import Settings
from detector.sources.contract import Source

READ_S = 0.2
LOOK_S = 1.0  # between looks at gauges and requested policies
BUSY_PAUSE_S = 5.0
PRUNE_S = 3_600.0
STUCK_S = 300.0  # longer than anything that the loop waits for: brokers, a large snapshot

log = structlog.get_logger(__name__)


class LocalRunner:
    """Runs until its source is exhausted or `stop` is called (from any thread or a signal handler)."""

    def __init__(self, settings: Settings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.telemetry = Telemetry()
        self._now = monotonic
        self._stopping = threading.Event()
        self._health = Health(ready=False)
        self._rate = Rate(monotonic())
        self._silence = Silence(monotonic)
        self._turned = self._next_prune = monotonic()  # when the loop last came round
        path = settings.profile.path
        self.profile: Profile | None = artefact.load(Path(path)) if path else None
        check_groups(settings, self.profile)
        self._main = Judge(Path(settings.store.path), self.profile, settings)
        try:
            self._shadow = self._made_shadow()
        except QuerywardenError:
            self._main.close()
            raise
        self._judges = [self._main] + ([self._shadow.judge] if self._shadow else [])

    def stop(self) -> None:
        """Asks for an orderly end: what was read is settled and saved, the couriers drain."""
        self._stopping.set()

    def health(self) -> Health:
        """The newest; called from couriers and probes."""
        stuck = self._now() - self._turned > STUCK_S
        return msgspec.structs.replace(self._health, alive=False) if stuck else self._health

    def run(self) -> None:
        """Raises SourceRefused, StoreError or SettingsError when a human is needed."""
        with ExitStack() as closing:
            for judge in self._judges:
                closing.callback(judge.close)
            self._restore()
            self._couriers = couriers_of(self.settings, self._main.outbox_path, self.health)
            if endpoint := self._served():
                closing.callback(endpoint.close)
            source: Source = self.settings.source.connect()
            closing.callback(self._couriers.stop, self.settings.delivery.drain_s)
            closing.callback(source.close)
            self._couriers.start()
            if self._opened(source):
                self._read_on(source)

    # -- the loop

    def _read_on(self, source: Source) -> None:
        try:
            self._adopt(source)
            self._look(source)
            self._loop(source)
        except SourceRefused:
            self._finish(source)  # what came before is sound, and need not be read again
            raise
        self._finish(source)

    def _finish(self, source: Source) -> None:
        if source.exhausted:
            self._tick(None)
        self._snapshot(source)
        self._look(source)

    def _loop(self, source: Source) -> None:
        next_snapshot = self._now() + self.settings.store.snapshot_s
        next_look = self._now() + LOOK_S
        while not self._stopping.is_set():
            self._turned = self._now()
            chunks = source.read(READ_S)
            for chunk in chunks:
                self._settle(self._main.advance(chunk))
                if self._shadow:
                    self._shadow.advance(chunk)
                self._silence.heard(chunk.stream)
            self._adopt(source)
            if chunks:
                self._tick(source.streams())
            elif source.exhausted:
                break
            self._forget(source)
            if self._now() >= next_look:
                self._look(source)
                next_look = self._now() + LOOK_S
            if self._now() >= next_snapshot:
                self._snapshot(source)
                next_snapshot = self._now() + self.settings.store.snapshot_s

    def _adopt(self, source: Source) -> None:
        """Stores where new streams begin, before anything of them is lost: "latest" is another place after a crash."""
        positions = source.positions()
        new = [judge.adopt(positions) for judge in reversed(self._judges)]
        if any(new):
            self._snapshot(source)

    def _tick(self, streams: Sequence[str] | None) -> None:
        self._settle(self._main.pipeline.tick(streams))
        if self._shadow:
            self._shadow.tick(streams)

    def _forget(self, source: Source) -> None:
        """Forgets whom it was asked to, once the log was read to where it stood then."""
        streams = source.streams()
        for judge in self._judges:
            due = judge.due(streams)
            for one in due:
                judge.drop(one)
            if due:
                self._snapshot(source)
            for one in due:
                judge.erase(one)

    def _opened(self, source: Source) -> bool:
        """Opens the source, waiting for it while it may come; False when asked to stop meanwhile."""
        said = ""
        while not self._stopping.is_set():
            try:
                source.open(self._main.positions)
            except SourceBusy as error:
                if str(error) != said:
                    log.warning("The source is away", reason=str(error))
                    said = str(error)
                self._turned = self._now()
                self._health = msgspec.structs.replace(self._health, reasons=(f"source: {error}",))
                self._stopping.wait(BUSY_PAUSE_S)
            else:
                return True
        return False

    def _settle(self, step: Step) -> None:
        """Makes a step's alerts durable; the rest waits for the next snapshot."""
        if self._main.settle(step):
            self._couriers.ring()
        self._count(step)

    def _count(self, step: Step) -> None:
        self.telemetry.count(step)
        self.telemetry.rate.set(self._rate.add(step.judged, self._now()))

    def _snapshot(self, source: Source) -> None:
        began = self._now()
        streams = source.streams()
        idle = source.drained(self._silence.silent(streams))
        if self._shadow:  # first: it may be ahead of the main one after a crash, and is never behind
            self._shadow.snapshot(streams, idle)
        rows = self._main.snapshot(streams, idle)
        source.commit(self._main.positions)
        self._settle(self._main.pipeline.tick(streams))
        self.telemetry.snapshot_s.observe(self._now() - began)
        self.telemetry.snapshot_rows.set(rows)

    def _look(self, source: Source) -> None:
        """Takes requests, and shows how things stand."""
        self._main.look()
        self._forget(source)
        if self._now() >= self._next_prune:
            self._main.outbox.prune([sink.name for sink in self.settings.sinks])
            self._next_prune = self._now() + PRUNE_S
        pipeline = self._main.pipeline
        lag = source.lag()
        wall = time.time()
        for stream, behind in lag.items():
            clock = pipeline.clocks.get(stream, 0) / 1e6
            self.telemetry.lag.labels(stream).set(behind)
            self.telemetry.lag_s.labels(stream).set(max(wall - clock, 0.0) if behind and clock else 0.0)
        newest = pipeline.newest_clock / 1e6
        self.telemetry.watermark_s.set(newest)
        self.telemetry.entities.set(pipeline.known)
        standings = self._couriers.standings()
        for standing in standings:
            self.telemetry.sink(standing, self._main.outbox.backlog(standing.sink))
        self._health = Health(
            reasons=self._troubles(standings),
            queries_per_s=self._rate.add(0, self._now()),
            lag_s=max(wall - newest, 0.0) if newest and any(lag.values()) else 0.0,
            model=self.profile.summary.model if self.profile else "",
            profile=self.profile.summary.id if self.profile else "none",
            policy=pipeline.policies[-1].policy.version,
        )

    def _troubles(self, standings: Sequence[Standing]) -> tuple[str, ...]:
        bad = [s for s in standings if s.state in ("busy", "refused", "store", "crashed")]
        troubles = [f"sink {s.sink} is {s.state}: {s.reason}" for s in bad]
        if self.profile:
            pipeline, own = self._main.pipeline, self.profile.summary.versions
            troubles += of_other_versions(pipeline.other_versions, own, pipeline.newest_clock)
        else:
            troubles.append(what_is_missing(self._main.pipeline.clients, self._main.pipeline.newest_clock))
        return tuple(troubles)

    # -- starting

    def _made_shadow(self) -> Shadow | None:
        wanted = self.settings.shadow
        if wanted.profile is None or wanted.store is None:
            return None
        return Shadow(Path(wanted.profile), Path(wanted.store), self.settings)

    def _restore(self) -> None:
        main = self._main
        main.restore()
        if self._shadow:
            self._shadow.restore(main)
        log.info(
            "Detection starts",
            profile=self.profile.summary.id if self.profile else None,
            entities=main.pipeline.known,
            streams=len(main.positions),
            shadow=self.settings.shadow.profile,
        )

    def _served(self) -> Endpoint | None:
        where = self.settings.telemetry
        if where.port == 0:
            return None
        endpoint = Endpoint(self.telemetry, self.health, host=where.host, port=where.port)
        log.info("Metrics and health are served", address="{}:{}".format(*endpoint.address))
        return endpoint
