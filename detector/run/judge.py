"""One pipeline and all that it leaves on disk: what is durable when, and how it goes on from there.

A runner drives one, and beside it, where a new profile is tried, a second one with a folder of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import MappingProxyType

import msgspec
import structlog

from detector.decide import Case
from detector.errors import SettingsError
from detector.learned.population import Settled
from detector.levels import TICK_US
from detector.only import Only
from detector.pipeline import Pipeline, State, Step, restore_rows
from detector.profile.artefact import Profile
from detector.pseudonyms import decoder, mark
from detector.query import Chunk, DeadLetter
from detector.run.forgetting import (
    Forgetting,
    Forgettings,
    keys_of,
    named,
    tables_of,
    without,
    without_letters,
    without_member,
)
from detector.run.journal import Journal
from detector.run.outbox import Outbox
from detector.run.paging import Paged
from detector.run.store import Store
from detector.run.successors import NAME as SUCCESSORS
from detector.run.successors import Successors
from detector.settings import Settings, micros
from detector.tape import Point, PointId

LEARNING = "learning"  # the store's profile id while there is none
DAY_US = 86_400_000_000
POPULATION = "population"  # of the extra in a snapshot
NOTHING: Mapping[str, bytes] = MappingProxyType({})

log = structlog.get_logger(__name__)


class Judge:
    """A pipeline with its store and its outbox in `folder`. `restore` comes before everything else.

    Raises StoreLocked when another process writes there, StoreError when it belongs to another profile.
    """

    def __init__(self, folder: Path, profile: Profile | None, settings: Settings) -> None:
        self.profile = profile
        self.positions: dict[str, int] = {}
        self._folder, self._settings = folder, settings
        self._resumed = False  # the store knew streams
        self._points: list[Point] = []
        self._letters: list[DeadLetter] = []
        self._asked = Counter[int]()
        self._ticks: dict[PointId, int] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.outbox_path = folder / "outbox.sqlite"
        with ExitStack() as opened:
            self.outbox = opened.enter_context(closing(Outbox(self.outbox_path)))
            self.store = opened.enter_context(
                closing(Store(folder / "state.sqlite", profile=profile.summary.id if profile else LEARNING))
            )
            self.store.bind_ids(mark(settings.entities.pseudonyms))
            self._opened = opened.pop_all()
        self.forgettings = Forgettings(self.store.db)
        automatic = settings.learning.successor == "auto"
        self._successors = Successors(profile, automatic) if profile and settings.learning.successor != "off" else None

    def restore(self) -> Mapping[str, bytes]:
        """Goes on from the last snapshot, under the policies of the journal and the settings' when they changed.

        Returns the snapshot's extras.
        """
        saved = self.store.load()
        self.positions = saved.positions
        self._resumed = bool(saved.positions)
        log_settings, before = self._settings.log, self._settings.run.no_alerts_before
        pipeline = Pipeline(
            self.profile,
            self.store.policies(),
            decoder(log_settings.format, self._settings.entities.pseudonyms, *use_of(self._settings, self.profile)),
            keep_payloads=log_settings.keep_payload_of_dead_letters,
            also_versions=self._settings.profile.also_versions,
            alerts_from=micros(before) if before else 0,
            unnamed_members=self._settings.entities.unnamed_members,
        )
        if self._settings.store.page_rows:
            for table in pipeline.tables:
                table.kept_by(Paged(self._folder))
        restore_rows(pipeline.tables, saved.named_rows)
        pipeline.cases.update((key, msgspec.msgpack.decode(body, type=Case)) for key, body in saved.cases)
        if pipeline.population and POPULATION in saved.extras:
            pipeline.population.settled = msgspec.msgpack.decode(saved.extras[POPULATION], type=Settled)
        if "state" in saved.extras:
            pipeline.restore(msgspec.msgpack.decode(saved.extras["state"], type=State))
        promised = self.profile.summary.policy.thresholds if self.profile else {}
        self.journal = Journal(self.store, self.outbox, promised)
        self.journal.begin(self._settings.policy, pipeline)
        self.pipeline = pipeline
        if self._successors:
            self._successors.restore(saved.extras.get(SUCCESSORS), pipeline)
        return saved.extras

    def adopt(self, streams: Mapping[str, int]) -> bool:
        """Takes in streams with the place where they begin; True when some are new: save a snapshot then.

        A run that goes on closes the ticks that were told of for streams that are new to it, as if they had come then.
        """
        new = {stream: at for stream, at in streams.items() if stream not in self.positions}
        if new and self._resumed:
            self.pipeline.begin(new, self.journal.told)
        self.positions |= new
        return bool(new)

    def advance(self, chunk: Chunk) -> Step:
        step = self.pipeline.advance(chunk)
        self.positions[chunk.stream] = chunk.next_offset
        return step

    def settle(self, step: Step) -> int:
        """Makes a step's alerts durable; the rest waits for the next snapshot. Returns how many were new."""
        if step.held:
            self.outbox.hold(step.held)
        new = self.outbox.put(step.alerts) if step.alerts else 0
        if self._successors:
            self._successors.take(step.news)
        self._points.extend(step.points)
        self._letters.extend(step.letters)
        self._asked.update(step.asked)
        self._ticks.update(step.ticks)
        return new

    def snapshot(self, streams: Sequence[str], idle: Collection[str], extras: Mapping[str, bytes] = NOTHING) -> int:
        """Saves what changed, with the positions; returns how many rows. Judge the ticks that it closed after it."""
        pipeline = self.pipeline
        pipeline.rest(idle, streams)
        pipeline.close(streams)
        rows = [row for table in pipeline.tables for row in table.changed()]
        if self._letters:
            self.store.dead_letter(self._letters)
        self.store.save(
            positions=self.positions,
            rows=rows,
            names=[name for table in pipeline.tables for name in table.changed_names()],
            cases=[(key, msgspec.msgpack.encode(pipeline.cases[key])) for key in pipeline.docket.changed],
            extras={**extras, **self._learned(), "state": msgspec.msgpack.encode(pipeline.state())},
            points=self._points,
            asked=self._asked,
            ticks=self._ticks,
        )
        for table in pipeline.tables:
            table.settled()
        pipeline.docket.changed.clear()
        if pipeline.population:
            pipeline.population.changed = False
        if self._successors:
            self._successors.saved()
        self._points, self._letters, self._asked, self._ticks = [], [], Counter(), {}
        oldest = pipeline.newest_clock - self._settings.store.tape_days * DAY_US
        self.store.prune_tape(oldest)
        self.store.prune_asked(oldest // TICK_US)
        return len(rows)

    def look(self) -> None:
        """Takes requested policies."""
        for request in self.store.requested():
            self.journal.take(request, self.pipeline)
        if self._successors:
            for policy in self._successors.due(self.pipeline.policies[-1].policy):
                self.journal.hold(policy, self.pipeline)
            self._successors.install(self.pipeline)

    def _learned(self) -> dict[str, bytes]:
        """What closed days left, when it has changed since the last snapshot."""
        population = self.pipeline.population
        found = self._successors.extra() if self._successors else {}
        if population and population.changed:
            found[POPULATION] = msgspec.msgpack.encode(population.settled)
        return found

    # -- forgetting (forgetting.py)

    def due(self, streams: Sequence[str]) -> list[Forgetting]:
        """Who is to be forgotten now."""
        found = [one for one in self.forgettings.noted(self.positions) if one.due(self.positions, streams)]
        return [named(one, self._names()) for one in found]

    def drop(self, one: Forgetting) -> None:
        """Forgets an entity in memory. Save a snapshot, then `erase`."""
        key, pipeline = self._keys(one)[0], self.pipeline
        state = without(pipeline.state(), one.kind, one.entity)  # while the tables still know the name
        for table in pipeline.tables:
            if table.kind in tables_of(one.kind):
                table.forget(one.entity)
        pipeline.restore(state)
        pipeline.cases.pop(key, None)
        pipeline.docket.changed.discard(key)
        others = (point for point in self._points if point.key != key)
        self._points = [without_member(point, one.entity) if one.kind == "client" else point for point in others]
        self._letters = list(without_letters(self._letters, one.kind, one.entity))

    def erase(self, one: Forgetting) -> None:
        """Forgets an entity on disk."""
        if one.entity:
            self.outbox.erase(one.kind, one.entity, keep_waiting=one.keep_alerts)
        self.forgettings.erase(one, self._keys(one))
        log.info("An entity was forgotten", request=one.id, kind=one.kind)

    def _names(self) -> Iterator[tuple[bytes, str]]:
        for table in self.pipeline.tables:
            yield from zip(table.keys, table.ids, strict=True)

    def _keys(self, one: Forgetting) -> list[bytes]:
        return keys_of(one, self.pipeline.clients.model, self.profile.secret if self.profile else b"")

    def close(self) -> None:
        self._opened.close()


def check_groups(settings: Settings, profile: Profile | None) -> None:
    """Raises SettingsError when the settings name a kind of groups that the profile does not judge."""
    judged = settings.entities.groups if profile is None else profile.summary.groups
    for wanted in settings.entities.groups:
        if wanted not in judged:
            raise SettingsError(
                f'entities.groups: "{wanted}", but the profile judges {", ".join(judged) or "no groups"}: '
                f"fit it with --group {wanted}"
            )


def use_of(settings: Settings, profile: Profile | None) -> tuple[Only | None, str | None]:
    """Which use of the model is read, and the model. Raises SettingsError when the settings name another use than that
    for which the profile was fitted.
    """
    wanted = settings.log.only
    if profile is None:
        return wanted, None
    own = profile.summary.only
    if wanted is not None and wanted != own:
        raise SettingsError(
            f"log.only: {wanted.text}, but the profile is for {own.text if own else 'all uses'}: "
            f"fit it with --only {wanted.text}"
        )
    return own, profile.summary.model
