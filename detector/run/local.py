"""The runner of one process: source -> pipeline -> outbox -> couriers, with snapshots that make crashes harmless.

What is durable when: an alert before the next chunk is read (outbox); rows, cases, ticks and the tape together with the
positions that they include, every `snapshot_s` (store). After a crash the log since the last snapshot is read again:
the same records give the same rows and alerts, and an alert whose id the outbox knows is not told twice. What is *not*
in the log, and decides, is made durable before it is used: policies (journal), and which streams are idle (a snapshot).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import structlog

from detector.decide import Case
from detector.errors import SettingsError, SourceBusy, SourceRefused
from detector.logs import DECODERS
from detector.pipeline import Pipeline, State, Step, restore_rows
from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.query import DeadLetter
from detector.run.delivery import Courier, Couriers, Standing
from detector.run.health import Health, Rate, of_other_versions
from detector.run.idle import Silence
from detector.run.journal import Journal
from detector.run.learning import what_is_missing
from detector.run.outbox import Outbox
from detector.run.store import Store
from detector.run.telemetry import Endpoint, Telemetry
from detector.settings import Settings, micros
from detector.sources.contract import Source
from detector.tape import Point

LEARNING = "learning"  # the store's profile id while there is none
READ_S = 0.2
LOOK_S = 1.0  # between looks at gauges and requested policies
BUSY_PAUSE_S = 5.0
PRUNE_S = 3_600.0
STUCK_S = 300.0  # longer than anything that the loop waits for: brokers, a large snapshot
DAY_US = 86_400_000_000

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
        self._positions: dict[str, int] = {}
        self._resumed = False  # the store knew streams
        self._points: list[Point] = []
        self._letters: list[DeadLetter] = []
        self._silence = Silence(monotonic)
        self._turned = self._next_prune = monotonic()  # when the loop last came round
        path = settings.profile.path
        self.profile: Profile | None = artefact.load(Path(path)) if path else None
        check_group(settings, self.profile)
        root = Path(settings.store.path)
        root.mkdir(parents=True, exist_ok=True)
        self._outbox_path = root / "outbox.sqlite"
        self._outbox = Outbox(self._outbox_path)
        self._store = Store(root / "state.sqlite", profile=self.profile.summary.id if self.profile else LEARNING)

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
            closing.callback(self._store.close)
            closing.callback(self._outbox.close)
            self._pipeline = self._restored()
            self._couriers = self._made_couriers()
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
            self._settle(self._pipeline.tick())
        self._snapshot(source)
        self._look(source)

    def _loop(self, source: Source) -> None:
        next_snapshot = self._now() + self.settings.store.snapshot_s
        next_look = self._now() + LOOK_S
        while not self._stopping.is_set():
            self._turned = self._now()
            chunks = source.read(READ_S)
            for chunk in chunks:
                self._settle(self._pipeline.advance(chunk))
                self._positions[chunk.stream] = chunk.next_offset
                self._silence.heard(chunk.stream)
            self._adopt(source)
            if chunks:
                self._settle(self._pipeline.tick(source.streams()))
            elif source.exhausted:
                break
            if self._now() >= next_look:
                self._look(source)
                next_look = self._now() + LOOK_S
            if self._now() >= next_snapshot:
                self._snapshot(source)
                next_snapshot = self._now() + self.settings.store.snapshot_s

    def _adopt(self, source: Source) -> None:
        """Stores where new streams begin, before anything of them is lost: "latest" is another place after a crash.

        A run that goes on closes the ticks that were told of for streams that are new to it, as if they had come then.
        """
        new = {stream: at for stream, at in source.positions().items() if stream not in self._positions}
        if new:
            if self._resumed:
                self._pipeline.begin(new, self._journal.told)
            self._positions |= new
            self._snapshot(source)

    def _opened(self, source: Source) -> bool:
        """Opens the source, waiting for it while it may come; False when asked to stop meanwhile."""
        said = ""
        while not self._stopping.is_set():
            try:
                source.open(self._positions)
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
        if step.held:
            self._outbox.hold(step.held)
        if step.alerts and self._outbox.put(step.alerts):
            self._couriers.ring()
        self._points.extend(step.points)
        self._letters.extend(step.letters)
        self._count(step)

    def _count(self, step: Step) -> None:
        t = self.telemetry
        t.records.inc(step.records)
        t.queries.inc(step.judged)
        t.points.inc(len(step.points))
        t.without_identity.inc(step.unidentified)
        t.other_versions.inc(step.other_versions)
        t.unanswered.inc(step.unanswered)
        for letter in step.letters:
            t.dead_letters.labels(letter.reason).inc()
        for alert in step.alerts:
            t.alerts.labels(alert.kind, alert.severity).inc()
        t.held.inc(len(step.held))
        t.rate.set(self._rate.add(step.judged, self._now()))

    def _snapshot(self, source: Source) -> None:
        began = self._now()
        streams = source.streams()
        self._pipeline.rest(source.drained(self._silence.silent(streams)), streams)
        self._pipeline.close(streams)
        tables = self._pipeline.tables
        rows = [row for table in tables for row in table.changed()]
        cases = [(key, msgspec.msgpack.encode(self._pipeline.cases[key])) for key in self._pipeline.changed_cases]
        if self._letters:
            self._store.dead_letter(self._letters)
        self._store.save(
            positions=self._positions,
            rows=rows,
            names=[name for table in tables for name in table.changed_names()],
            cases=cases,
            extras={"state": msgspec.msgpack.encode(self._pipeline.state())},
            points=self._points,
        )
        for table in tables:
            table.settled()
        self._pipeline.changed_cases.clear()
        self._points, self._letters = [], []
        self._store.prune_tape(self._pipeline.newest_clock - self.settings.store.tape_days * DAY_US)
        source.commit(self._positions)
        self._settle(self._pipeline.tick(streams))
        self.telemetry.snapshot_s.observe(self._now() - began)
        self.telemetry.snapshot_rows.set(len(rows))

    def _look(self, source: Source) -> None:
        """Takes requested policies, and shows how things stand."""
        for request in self._store.requested():
            self._journal.take(request, self._pipeline)
        if self._now() >= self._next_prune:
            self._outbox.prune([sink.name for sink in self.settings.sinks])
            self._next_prune = self._now() + PRUNE_S
        lag = source.lag()
        wall = time.time()
        for stream, behind in lag.items():
            clock = self._pipeline.clocks.get(stream, 0) / 1e6
            self.telemetry.lag.labels(stream).set(behind)
            self.telemetry.lag_s.labels(stream).set(max(wall - clock, 0.0) if behind and clock else 0.0)
        newest = self._pipeline.newest_clock / 1e6
        self.telemetry.watermark_s.set(newest)
        self.telemetry.entities.set(sum(len(table) for table in self._pipeline.tables))
        standings = self._couriers.standings()
        for standing in standings:
            self.telemetry.sink(standing, self._outbox.backlog(standing.sink))
        self._health = Health(
            reasons=self._troubles(standings),
            queries_per_s=self._rate.add(0, self._now()),
            lag_s=max(wall - newest, 0.0) if newest and any(lag.values()) else 0.0,
            model=self.profile.summary.model if self.profile else "",
            profile=self.profile.summary.id if self.profile else "none",
            policy=self._pipeline.policies[-1].policy.version,
        )

    def _troubles(self, standings: Sequence[Standing]) -> tuple[str, ...]:
        bad = [s for s in standings if s.state in ("busy", "refused", "store", "crashed")]
        troubles = [f"sink {s.sink} is {s.state}: {s.reason}" for s in bad]
        if self.profile:
            own = self.profile.summary.versions
            troubles += of_other_versions(self._pipeline.other_versions, own, self._pipeline.newest_clock)
        else:
            troubles.append(what_is_missing(self._pipeline.clients, self._pipeline.newest_clock))
        return tuple(troubles)

    # -- starting

    def _restored(self) -> Pipeline:
        saved = self._store.load()
        self._positions = saved.positions
        self._resumed = bool(saved.positions)
        log_settings = self.settings.log
        pipeline = Pipeline(
            self.profile,
            self._store.policies(),
            DECODERS[log_settings.format],
            keep_payloads=log_settings.keep_payload_of_dead_letters,
            also_versions=self.settings.profile.also_versions,
            alerts_from=micros(self.settings.run.no_alerts_before) if self.settings.run.no_alerts_before else 0,
        )
        restore_rows(pipeline.tables, saved.names, dict(saved.rows))
        pipeline.cases = {key: msgspec.msgpack.decode(body, type=Case) for key, body in saved.cases}
        if "state" in saved.extras:
            pipeline.restore(msgspec.msgpack.decode(saved.extras["state"], type=State))
        self._journal = Journal(
            self._store, self._outbox, self.profile.summary.policy.thresholds if self.profile else {}
        )
        self._journal.begin(self.settings.policy, pipeline)
        log.info(
            "Detection starts",
            profile=self.profile.summary.id if self.profile else None,
            entities=sum(len(table) for table in pipeline.tables),
            streams=len(self._positions),
        )
        return pipeline

    def _made_couriers(self) -> Couriers:
        instance = f"{socket.gethostname()}:{self.settings.store.path}"
        heartbeat_s = self.settings.delivery.heartbeat_s
        return Couriers(
            Courier(sink, self._outbox_path, self.health, instance=instance, heartbeat_s=heartbeat_s)
            for sink in self.settings.sinks
        )

    def _served(self) -> Endpoint | None:
        where = self.settings.telemetry
        if where.port == 0:
            return None
        endpoint = Endpoint(self.telemetry, self.health, host=where.host, port=where.port)
        log.info("Metrics and health are served", address="{}:{}".format(*endpoint.address))
        return endpoint


def check_group(settings: Settings, profile: Profile | None) -> None:
    """Raises SettingsError when the settings name another group level than the profile was fitted with."""
    wanted = settings.entities.group
    if wanted is not None and profile is not None and profile.summary.group != wanted:
        raise SettingsError(
            f'entities.group: "{wanted}", but the profile judges {profile.summary.group or "no groups"}: '
            f"fit it with --group {wanted}"
        )
