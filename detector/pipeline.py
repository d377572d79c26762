"""The stages in order, pure: chunk -> queries -> columns -> signals -> evidence -> tape -> decisions -> alerts.

No I/O, no clock, no randomness: the same chunks in the same order give the same alerts and the same rows, however a
stream was cut into chunks. Both runners and `replay` drive this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector import columns, observed
from detector.alert import UNNAMED, Alert
from detector.classes import LEAKS_BY_TRADE, PEOPLE, Roster
from detector.decide import Case
from detector.docket import Docket, stamped
from detector.entities import Entities
from detector.evidence import kernels
from detector.learned.looks import Look
from detector.learned.news import population_moved
from detector.learned.population import DAY_US, Came, News, Open, Population
from detector.learned.successor import Successor
from detector.levels import PART, TICK_US, ClientLevel, Naming, Weighed
from detector.logs.contract import Decode
from detector.policy import Dated, in_force, level_of_class
from detector.profile.artefact import Profile, client_row
from detector.profile.reading import reading
from detector.profile.succession import Succession, population_of
from detector.query import ABSENT, I64, U8, UNREAD, Batch, Chunk, DeadLetter, Query
from detector.rings.accounts import ACCOUNT, RING
from detector.spanning import Spanning, Spans
from detector.storm import Sky
from detector.tape import Point, PointId
from features import NUMBERS
from features.contract import DIMS

FUTURE = "future"
LATE = "late"
IDENTITY = "identity"
OURS = ""  # the version of a query whose log names none
MOST_VERSIONS = 16
FOREVER_US = 2**62  # an epoch that never ends
OBSERVED_EPOCH_US = 15 * 86_400_000_000  # without a profile
QUIET = News()


@dataclass(slots=True)
class Step:
    """What one chunk, or the closing of ticks, gave. `held` are alerts that nobody is told (detector.storm)."""

    alerts: list[Alert] = field(default_factory=list)
    held: list[Alert] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    records: int = 0
    judged: int = 0
    retries: int = 0
    unidentified: int = 0
    other_models: int = 0
    other_versions: int = 0
    unanswered: int = 0
    news: list[News] = field(default_factory=list)  # of the population, at the close of days
    asked: Counter[int] = field(default_factory=Counter)  # queries by tick: what storms are expected by
    ticks: dict[PointId, int] = field(default_factory=dict)  # in which points were decided, if not in that of `at`


class State(msgspec.Struct, frozen=True):
    """What a snapshot holds beside rows and cases: each stream's clock (microseconds), the open ticks of each level of
    groups, and when other versions of the model were asked.
    """

    clocks: dict[str, int]
    closed: int
    ticks: dict[str, bytes] = {}
    sky: Sky = Sky()
    others: dict[str, tuple[int, int]] = {}
    open_days: Open | None = None


class Pipeline:
    """One served model's detection. Without a profile it observes: budgets run, nothing is weighed."""

    def __init__(
        self,
        profile: Profile | None,
        policies: Sequence[Dated],
        decode: Decode,
        *,
        model: str | None = None,
        keep_payloads: bool = False,
        alerts_from: int = 0,
        also_versions: Iterable[str] = (),
        unnamed_members: Collection[str] = UNNAMED,
        spans: Spans | None = None,
    ) -> None:
        """alerts_from: log time, microseconds, before which nothing is decided; cases stand still until then.
        also_versions: of the served model, for which the profile holds beside its own. unnamed_members: kinds of groups
        whose members no point names. spans: where what spans clients is judged; here where None.
        """
        self.profile = profile
        self._decode = decode
        self._model = profile.summary.model if profile else model
        self._keep_payloads = keep_payloads
        self._clocks: dict[str, int] = {}
        self._closed = 0  # no record enters a tick before this one any more
        self._secret = columns.secret_word(profile.secret if profile else b"")
        self._width = profile.projection.width if profile else None
        self._reader = reading(profile)
        self.clients = profile.entities("client") if profile else _observed(model or "")
        epoch_us = profile.summary.epoch_us if profile else OBSERVED_EPOCH_US
        learned = profile.learned if profile else {}
        law = profile.laws["client"] if profile else None
        known = profile.known if profile else None
        self._kit = profile.kit if profile else NUMBERS
        self._client_level = ClientLevel(self._kit, self.clients, learned, known, law, epoch_us, self._secret)
        self.population = population_of(profile) if profile else None
        self._succession = Succession(profile) if profile else None
        if self._succession:
            self._client_level.watch = self._succession.watch
        name = profile.summary.id if profile else "none"
        self.docket = Docket(policies, self._kit.signals, name, self._succession, alerts_from)
        self._levels, self._roster = [self._client_level], Roster([PEOPLE])
        if profile:
            self._levels += [
                self._class_level(profile, name, number) for number, name in enumerate(profile.summary.classes, 1)
            ]
            self._roster = Roster([PEOPLE, *profile.summary.classes])
        self._levels.append(ClientLevel(self._kit, self.clients, learned, None, None, epoch_us, self._secret))
        bound = profile.summary.versions if profile else ()
        self._suspicion = profile.summary.suspicion if profile else FOREVER_US
        self._versions = frozenset([OURS, *bound, *also_versions]) if bound else frozenset()
        self.other_versions: dict[str, tuple[int, int]] = {}  # first and latest log time, microseconds
        self._unnamed = frozenset(unnamed_members)
        self._spans = spans or (Spanning(profile) if profile else None)

    def _class_level(self, profile: Profile, name: str, number: int) -> ClientLevel:
        """Clients of a class: its own law over the rows of all, and nobody watches them beside the signals."""
        known = None if name in LEAKS_BY_TRADE else profile.known
        law, epoch_us = profile.laws[level_of_class(name)], profile.summary.epoch_us
        return ClientLevel(self._kit, self.clients, profile.learned, known, law, epoch_us, self._secret, name, number)

    @property
    def policies(self) -> list[Dated]:
        return self.docket.policies

    @property
    def cases(self) -> dict[bytes, Case]:
        return self.docket.cases

    @property
    def tables(self) -> list[Entities]:
        return [self.clients, *(self._spans.tables if self._spans else ())]

    def rings(self) -> dict[str, list[str]]:
        """The accounts of each ring, as they were linked at its last tick; not all of these stand out."""
        return self._spans.members() if self._spans else {}

    @property
    def known(self) -> int:
        """How many clients and groups have a row; an account is a client again, and a ring is made of clients."""
        return sum(len(table) for table in self.tables if table.kind not in (ACCOUNT, RING))

    @property
    def clocks(self) -> Mapping[str, int]:
        """The latest log time seen of each stream, microseconds."""
        return self._clocks

    @property
    def newest_clock(self) -> int:
        """The latest log time seen, microseconds; 0 before the first query."""
        return max(self._clocks.values(), default=0)

    @property
    def closed(self) -> int:
        """No record enters a tick before this one any more."""
        return self._closed

    @property
    def decided(self) -> int:
        """The latest log time, microseconds, at which anything can have been decided."""
        return max(self.newest_clock, self._closed * TICK_US)

    def advance(self, chunk: Chunk) -> Step:
        """Takes the next records of a stream, in parts that are read and judged before the next is touched."""
        step = Step(records=len(chunk.payloads))
        for start in range(0, len(chunk.payloads), PART):
            self._read(chunk.part(start, start + PART), step)
        return step

    def _read(self, chunk: Chunk, step: Step) -> None:
        queries, sources, refused = self._decode(chunk.payloads)
        for index, error in refused:
            step.letters.append(self._letter(chunk, index, 0, error.reason, str(error), error.client))
        queries, sources = columns.with_unread(queries, sources, refused, chunk.bounds_at, self._model)
        wanted = self._wanted(chunk, queries, sources, step)
        if len(wanted) < len(queries):
            queries, sources = [queries[i] for i in wanted], [sources[i] for i in wanted]
        if queries:
            self._take(chunk, queries, sources, step)

    def tick(self, streams: Iterable[str] | None = None) -> Step:
        """Closes ticks, see `close`, and judges those that were closed."""
        self.close(streams)
        step = Step()
        if self._spans:
            for points in self._spans.due(self._closed, ended=streams is None):
                self._judge_many(points, step)
        if self.population is not None:
            for day in self.population.due(self._closed * TICK_US):
                self._close_day(self.population, day, step)
        if self._spans:
            settled = self.population.settled if self.population else None
            for alert, hold in self.docket.release(self._spans.close(self._closed, self.policies)):
                (step.held if hold else step.alerts).append(stamped(alert, settled))
        return step

    def take_over(self, since: int, successor: Successor, *, again: bool = False) -> None:
        """The successor of the one-class model is in force from log time `since` (microseconds) on. again: it was so
        before a restart, and the population's state knows.
        """
        assert self.population is not None
        assert self._succession is not None
        if again:
            self.population.install(successor)
        else:
            self.population.take_over(since, successor)
        assert self.population.now is not None
        self._succession.take_over(since, successor, self.population.now)

    def _close_day(self, population: Population, day: int, step: Step) -> None:
        news = population.close(day, self.came(day))
        if news != QUIET:
            step.news.append(news)
        profile, policy = self.profile, in_force(self.policies, (day + 1) * DAY_US)
        assert profile is not None
        step.alerts += population_moved(
            profile.summary.model, profile.summary.id, policy.version, (day + 1) * DAY_US, news.moved, news.void_since
        )

    def came(self, day: int) -> list[Came]:
        """The clients whose first horizon closed in a day of log time."""
        assert self.profile is not None
        rows = self.clients.rows[: len(self.clients)]
        ended = rows["first_at"] + min(2 * self.profile.summary.epoch_us, FOREVER_US // 2)
        found = np.flatnonzero((rows["n"] > 0) & (ended >= day * DAY_US) & (ended < (day + 1) * DAY_US))
        fields = ("first_at", "n_counted", "top", "peak")
        return [Came(self.clients.keys[i], *(int(rows[name][i]) for name in fields)) for i in found.tolist()]

    def close(self, streams: Iterable[str] | None = None) -> None:
        """Closes the ticks that all of `streams` have passed, all ticks when None (the end of a log).

        With all the streams there are, nothing that comes later belongs into a closed tick, so when it is closed makes
        no difference to what is decided.
        """
        if streams is None:
            before = 1 + max((clock // TICK_US for clock in self._clocks.values()), default=0)
        else:  # no stream: nothing closes
            before = min((self._clocks.get(stream, 0) // TICK_US for stream in streams), default=0)
        self._closed = max(self._closed, before)

    def begin(self, streams: Iterable[str], at: int) -> None:
        """New streams, whose clocks start at log time `at` (microseconds): their records enter no earlier tick."""
        for stream in streams:
            self._clocks[stream] = max(self._clocks.get(stream, 0), at)

    def rest(self, idle: Collection[str], streams: Iterable[str]) -> None:
        """Moves the clocks of idle streams up to the slowest of the others; to the fastest where all are idle.

        Who is idle is not in the log. So that a crash changes nothing that was said, `close` and save `state` before
        the ticks are judged.
        """
        at = [self._clocks.get(stream, 0) for stream in streams if stream not in idle]
        up_to = min(at) if at else self.newest_clock
        for stream in idle:
            self._clocks[stream] = max(self._clocks.get(stream, 0), up_to)

    def state(self) -> State:
        ticks, sky = self._spans.state() if self._spans else ({}, Sky())
        days = self.population.open() if self.population else None
        return State(dict(self._clocks), self._closed, ticks, sky, dict(self.other_versions), days)

    def restore(self, state: State) -> None:
        self._clocks, self._closed = dict(state.clocks), state.closed
        self.other_versions = dict(state.others)
        if self._spans:
            self._spans.restore(state.ticks, state.sky)
        if self.population and state.open_days:
            self.population.restore(self.population.settled, state.open_days)

    def _wanted(self, chunk: Chunk, queries: list[Query], sources: list[int], step: Step) -> list[int]:
        """The queries that can be judged by who and when; the others are counted or set aside."""
        wanted = []
        model, bounds_at = self._model, chunk.bounds_at
        for i, query in enumerate(queries):
            if query.model == model and query.client is not None and query.at <= bounds_at[sources[i]]:
                wanted.append(i)  # said first, since nearly all are
            elif model is not None and query.model != model:
                step.other_models += 1
            elif query.client is None:
                step.unidentified += 1
                message = "the record names no client: see docs/logs.md on identity"
                step.letters.append(self._letter(chunk, sources[i], query.row, IDENTITY, message, None))
            elif query.at > chunk.bounds_at[sources[i]]:
                message = "the record claims a time after it was written"
                step.letters.append(self._letter(chunk, sources[i], query.row, FUTURE, message, query.client))
            else:
                wanted.append(i)
        return wanted

    def _take(self, chunk: Chunk, queries: list[Query], sources: list[int], step: Step) -> None:
        found = self._reader.read(queries, self._width)
        weigh = self._to_weigh(queries)
        places = np.where(weigh, self._roster.places(self.policies, queries), observed.WATCHED)
        odd = np.zeros(len(queries), np.uint8)
        if self.profile:
            for index, reason, message in found.unfit:
                query = queries[index]
                odd[index] = UNREAD
                # Of what is only counted none is set aside; of what was refused there is a letter already.
                if query.input and weigh[index]:
                    step.letters.append(self._letter(chunk, sources[index], query.row, reason, message, query.client))
        batch, naming = self._batch(queries, found, odd)
        clock = self._stream_clock(chunk, np.array(sources, np.int64), batch.at)
        start = 0
        for part in observed.advance(self._levels, batch, naming, places):
            s = slice(start, start + len(part.status))
            self._after(chunk, queries[s], sources[s], batch.part(s.start, s.stop), places[s], clock[s], part, step)
            start = s.stop

    def _stream_clock(self, chunk: Chunk, sources: I64, at: I64) -> I64:
        """Moves the stream's clock; returns where it stood at each query. A record's queries come at one time."""
        clock = np.maximum.accumulate(np.maximum(at, self._clocks.get(chunk.stream, 0)))
        if chunk.clocks is not None:
            clock = np.maximum(clock, np.array(chunk.clocks, np.int64)[sources])
        self._clocks[chunk.stream] = int(clock[-1])
        last = np.searchsorted(sources, sources, side="right") - 1
        return np.asarray(clock[last], np.int64)

    def _to_weigh(self, queries: Sequence[Query]) -> NDArray[np.bool_]:
        """Which queries are evidence: those that got an answer, from a version that the profile is for."""
        versions = self._versions
        if self.profile is None:  # nothing is weighed
            return np.ones(len(queries), np.bool_)
        if not versions:
            return np.array([query.answered for query in queries])
        return np.array([query.answered and (query.version or OURS) in versions for query in queries])

    def _batch(self, queries: list[Query], found: columns.Read, odd: U8) -> tuple[Batch, Naming]:
        clients = [query.client or "" for query in queries]
        n = len(queries)
        if self.profile:
            x, residual, roughness = self.profile.projection.apply(found.inputs)
        else:
            x, residual, roughness = np.zeros((n, DIMS), np.int16), np.zeros(n), np.full(n, ABSENT)
        batch = Batch(
            slots=self.clients.slots(clients),
            at=np.array([query.at for query in queries], np.int64),
            x=x,
            residual=residual,
            roughness=roughness,
            labels=columns.labels_of(queries),
            top=columns.top_of(queries),
            ids=columns.id_hashes(queries, self._secret),
            odd=odd,
            form=found.form,
        )
        return batch, Naming([query.id for query in queries], clients)

    def _after(
        self,
        chunk: Chunk,
        queries: list[Query],
        sources: list[int],
        batch: Batch,
        places: I64,
        clock: I64,
        part: Weighed,
        step: Step,
    ) -> None:
        weighed = places[part.kept] != observed.WATCHED
        step.judged += int(np.count_nonzero(weighed & (batch.odd[part.kept] != UNREAD)))
        if not weighed.all():
            self._note_watched([queries[i] for i in part.kept[~weighed]], step)
        if len(part.kept) < len(part.status):
            step.retries += int(np.count_nonzero(part.status == kernels.RETRY))
            for i in np.flatnonzero(part.status == kernels.LATE):
                if not queries[i].input:  # refused: there is a letter already
                    continue
                message = "the record is more than an epoch older than its client's latest"
                letter = self._letter(chunk, sources[i], queries[i].row, LATE, message, queries[i].client)
                step.letters.append(letter)
        if len(part.kept):
            people = weighed & (places[part.kept] == 0)
            ticks = np.maximum(clock[part.kept] // TICK_US, self._closed)
            if self._spans:
                kept = queries if len(part.kept) == len(queries) else [queries[i] for i in part.kept.tolist()]
                additive = part.bins[:, self._kit.additive]
                self._spans.asked(kept, ticks, batch.at[part.kept], additive, people)
                step.asked.update(ticks.tolist())
            pointed = np.searchsorted(part.kept, [i for i, _ in part.points])
            self._judge([point for _, point in part.points], ticks[pointed].tolist(), step)
            if self.population is not None:
                self._note_population(self.population, queries, batch, part, places[part.kept] <= 0, ticks)

    def _note_population(
        self,
        population: Population,
        queries: list[Query],
        batch: Batch,
        part: Weighed,
        people: NDArray[np.bool_],
        ticks: I64,
    ) -> None:
        """The population is made of people: what a declared class asks teaches nothing about them."""
        keys = [self.clients.keys[slot] for slot in batch.slots[part.kept].tolist()]
        days = ticks * TICK_US // DAY_US
        for day in np.unique(days[people]).tolist():
            mine = np.flatnonzero((days == day) & people)
            population.asked(day * DAY_US, [keys[i] for i in mine.tolist()], part.bins[mine])
        for place, n, vector in part.looks:
            at = int(np.searchsorted(part.kept, place))
            first_at = int(self.clients.rows["first_at"][batch.slots[place]])
            group = self._spans.group_of(queries[place]) if self._spans else b""
            look = Look(keys[at], n, int(part.clock[at]), vector, first_at, group)
            population.look(int(ticks[at]) * TICK_US, look)

    def _note_watched(self, queries: list[Query], step: Step) -> None:
        """Counts queries that were not weighed, and notes when other versions of the model were asked."""
        for query in queries:
            step.unanswered += not query.answered
            version = query.version
            if version is None or not self._versions or version in self._versions:
                continue
            step.other_versions += 1
            if version in self.other_versions or len(self.other_versions) < MOST_VERSIONS:
                first, latest = self.other_versions.get(version, (query.at, query.at))
                self.other_versions[version] = min(first, query.at), max(latest, query.at)

    def _judge_many(self, points: list[Point], step: Step) -> None:
        """Points of groups and rings, at the ticks that they stand for; a ring's last tick may not be over."""
        named = [
            msgspec.structs.replace(point, members=()) if point.kind in self._unnamed else point for point in points
        ]
        self._judge(named, [min(point.at // TICK_US, self._closed) for point in named], step)

    def _judge(self, points: Sequence[Point], ticks: Sequence[int], step: Step) -> None:
        step.points.extend(points)
        for point, tick in zip(points, ticks, strict=True):
            if tick != point.at // TICK_US:
                step.ticks[point.key, point.n, point.budget] = tick
        if self.population is not None:
            for point, tick in zip(points, ticks, strict=True):
                if point.kind == "client" and point.score >= self._suspicion:
                    self.population.suspect(tick * TICK_US, point.key)
        for waiting in self.docket.judge(points, ticks):
            if self._spans:
                self._spans.put(waiting)
            else:
                step.alerts.append(waiting.alert)

    def _letter(self, chunk: Chunk, index: int, row: int, reason: str, message: str, client: str | None) -> DeadLetter:
        payload = chunk.payloads[index] if self._keep_payloads else None
        return DeadLetter(chunk.stream, chunk.offsets[index], row, reason, message, client, payload)


def _observed(model: str) -> Entities:
    return Entities(model, "client", client_row(NUMBERS), b"")


def restore_rows(tables: Sequence[Entities], saved: Iterable[tuple[str, str, bytes]]) -> None:
    """Puts saved rows (kind, id, record) back into the tables of their levels."""
    by_kind = {table.kind: table for table in tables}
    for kind, id_, record in saved:
        if kind in by_kind:
            by_kind[kind].restore(id_, record)
