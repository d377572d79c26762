"""`querywarden mirror`: reads the workers' topics into a store, transaction by transaction, until it is told to stop.

Crash-only, as a worker: what it keeps goes with the places that it includes, and whoever starts it again goes on
there.
It takes what the workers' topics say and gives back two things: policies that the store is asked for, and events of the
dashboard's audit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import msgspec
import structlog

from detector.cluster import proposing, stages, topics
from detector.cluster.names import Names
from detector.cluster.policies import proposed
from detector.mirror.asking import Asking
from detector.mirror.keeping import Kept
from detector.mirror.reading import Reading
from detector.mirror.standing import NAME, standing
from detector.mirror.taking import Taken, compacted, topics_of
from detector.mirror.telling import Telling
from detector.mirror.watching import Watching
from detector.policy import Policy
from detector.profile import artefact
from detector.pseudonyms import mark
from detector.settings import Settings

POLL_S = 0.2
KEEP_S = 0.5  # between two transactions, of which each costs an fsync or two
KEEP_AT_ONCE = 20_000  # rows, points, alerts: earlier, where so many came
LOOK_S = 0.5
WATCH_S = 5.0
PRUNE_S = 3_600.0
TOMBSTONES_S = 12 * 3_600.0  # brokers keep word of what was taken away for a day (delete.retention.ms)

log = structlog.get_logger(__name__)


class Mirroring:
    """One mirror of the workers of the settings.

    Raises SettingsError for settings that no worker would follow, StoreError when the folder is another's, SourceBusy
    or SourceRefused: the process must end then, and begin anew.
    """

    def __init__(self, settings: Settings, opened: ExitStack) -> None:
        path = settings.profile.path
        source, profile = stages.check(settings, artefact.load(Path(path)) if path else None)
        names, summary, folder = Names(settings.cluster.name), profile.summary, Path(settings.store.path)
        ids = mark(settings.entities.pseudonyms)
        self._kept = Kept(folder, cluster=names.name, profile=profile, ids=ids)
        opened.callback(self._kept.close)
        topics.check(settings, source)
        self._policies = proposing.known(settings, source)
        self._kept.journal(self._policies.dated())
        # Before what has arrived is read: see telling.py.
        self._telling = opened.enter_context(closing(Telling(source, names, self._kept, settings.cluster.partitions)))
        said, known = standing(self._kept.store), self._kept.places
        # Who was away for so long may have missed that rows were taken away: then all are read again.
        away = said is None or time.time() - said.whole > TOMBSTONES_S
        self._seen: set[bytes] | None = set() if away else None
        again = compacted(names) if away else ()
        made = Reading(source, topics_of(names), known, anew=(names.policies,), again=again)
        self._reading = opened.enter_context(closing(made))
        self._watching = opened.enter_context(
            closing(Watching(source, names, said.gaps if said else (), settings.store.snapshot_s))
        )

        def put(id_: str, policy: Policy, since: int | None) -> int:
            return proposing.put(settings, source, id_, lambda id_, at: proposed(id_, at, policy), since)

        self._asking = Asking(self._kept, summary.policy.thresholds, put)
        self._new = partial(Taken, names, summary.id, self._policies)
        self._alerts, self._tape_days = names.alerts, settings.store.tape_days
        self._arrived: set[str] = set()
        self._begun, self._whole = False, said.whole if said else 0.0
        log.info("A mirror starts", cluster=names.name, profile=summary.id, store=settings.store.path)

    def run(self, stopping: threading.Event, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Until it is told to stop; what was read by then is kept."""
        keep_due = look_due = watch_due = prune_due = monotonic()
        taken = self._new()
        while not stopping.is_set():
            for record in self._reading.poll(POLL_S):
                taken.take(*record)
            self._arrived |= taken.audits
            now = monotonic()
            if now >= watch_due or self._reading.gaps:  # what is gone is noted before its place is
                self._watch()
                watch_due = monotonic() + WATCH_S
            if taken.records and (now >= keep_due or taken.weight >= KEEP_AT_ONCE):
                self._keep(taken)
                taken, keep_due = self._new(), monotonic() + KEEP_S
            if not (self._begun or taken.records) and self._reading.begun():
                self._begin()
            if now >= look_due:
                self._look()
                look_due = monotonic() + LOOK_S
            if now >= prune_due:
                self._kept.prune(self._tape_days)
                prune_due = monotonic() + PRUNE_S
        if taken.records:
            self._keep(taken)

    def _keep(self, taken: Taken) -> None:
        self._kept.keep(taken, self._reading.places())
        if self._seen is not None:
            self._seen.update(key for key, row in taken.rows.items() if row is not None)

    def _begin(self) -> None:
        """All is read and kept that there was."""
        self._begun = True
        if self._seen is not None:
            self._kept.keep_only(self._seen)
            self._seen = None
        self._watch()
        log.info("The mirror has read all that there was")

    def _look(self) -> None:
        self._kept.journal(self._policies.dated())
        self._asking.look(self._policies)
        self._kept.forgotten.follow(self._policies.forget)
        self._kept.forgotten.look()
        if self._reading.begun(self._alerts):
            self._telling.look(self._arrived)

    def _watch(self) -> None:
        word = self._watching.look(self._reading.behind, self._reading.gaps)
        self._reading.gaps.clear()
        self._whole = word.at if self._begun else self._whole
        self._kept.note(NAME, msgspec.msgpack.encode(msgspec.structs.replace(word, whole=self._whole)))
