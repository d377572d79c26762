"""Stage 2, for one partition: clients are judged as in one process; what spans them is handed on as ticks close.

The clock of each source stream comes with its messages (wire.Records), those of other partitions' records included; a
tick closes when all streams have passed it, as with one process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from detector.cluster import wire
from detector.cluster.forgetting import Forget, entries_of, erase
from detector.cluster.handing import Handing
from detector.cluster.partition import NOTHING, Found, cases_of, restore_one, rows_of
from detector.cluster.passing import GROUPS, TOWN, Day, Parcel, Post
from detector.cluster.policies import Entry, Policies
from detector.cluster.tally import Sum
from detector.cluster.wire import Routes
from detector.learned.population import DAY_US, Open, Population
from detector.levels import TICK_US
from detector.pipeline import Pipeline, State, Step
from detector.rings.accounts import RING
from detector.run.forgetting import without

JUDGE = "judge"


def sender_of(number: int) -> str:
    return f"{JUDGE}-{number}"


class Body(msgspec.Struct, frozen=True, array_like=True):
    """watermarks: of each source stream, its last record that was applied; upto: its offset of which was heard last;
    idle: streams of which nothing came when we last heard of them; streams: all that are waited for; sent: see Post.
    silent: so many messages come of which the alerts were told by workers of version 1. met_from: who was known at that
    log time was not met by the population. forgotten: requests that were done here; owed: others have no word of them.
    """

    watermarks: dict[str, int]
    upto: dict[str, int]
    idle: list[str]
    streams: list[str]
    state: State
    days: int | None
    sent: dict[str, int]
    silent: int = 0
    met_from: int = 0
    forgotten: list[str] = []
    owed: list[Forget] = []


class Clients:
    """The clients of partition `number`. streams: of the log, as far as they are known."""

    def __init__(
        self,
        profile: str,
        number: int,
        pipeline: Pipeline,
        handing: Handing,
        streams: Sequence[str],
        routes: Routes,
    ) -> None:
        self.pipeline, self._handing = pipeline, handing
        self._profile, self._number, self._routes = profile, number, routes
        self._post = Post(profile, sender_of(number))
        self._streams = list(streams)
        self._watermarks: dict[str, int] = {}
        self._upto: dict[str, int] = {}
        self._idle: set[str] = set()
        self._closed = 0  # was handed on
        self._silent = self._met_from = 0  # see Body
        self._taken_over = 0  # takeovers that the pipeline knows
        self._forgotten: set[str] = set()
        self._owed: list[Forget] = []
        self._erased: list[bytes] = []

    def follow(self, policies: Policies) -> None:
        self.pipeline.policies[:] = policies.dated()
        self._forgotten -= policies.forgotten  # nobody asks for them again
        takeovers = policies.takeovers()
        for takeover in takeovers[self._taken_over :]:  # of the population the town knows
            self.pipeline.take_over(takeover.since, takeover.successor, again=True)
        self._taken_over = len(takeovers)

    def enters(self, policies: Policies) -> list[Entry]:
        return []

    def concerned(self, one: Forget) -> bool:
        return one.id not in self._forgotten and (not one.of_client or self._routes.of(one.entity) == self._number)

    def forget(self, one: Forget) -> None:
        """Its rows, and its queries in open ticks. What is known of its days, by its key, stays."""
        pipeline, docket = self.pipeline, self.pipeline.docket
        state = without(pipeline.state(), one.kind, one.entity)  # while the tables still know the name
        self._erased += entries_of(erase([pipeline.clients], docket.cases, docket.changed, one))
        pipeline.restore(state)
        self._forgotten.add(one.id)
        self._owed.append(one)

    @property
    def decided(self) -> int:
        return self.pipeline.decided

    @property
    def known(self) -> int:
        return len(self.pipeline.clients)

    def reach(self, value: bytes) -> int:
        return wire.reach(wire.read(value, self._profile))

    def take(self, value: bytes) -> Found:
        records = wire.read(value, self._profile)
        chunk = wire.chunk_of(records, self._watermarks.get(records.stream, NOTHING))
        step = Step()
        if chunk is not None:
            step = self.pipeline.advance(chunk)
            self._watermarks[chunk.stream] = chunk.offsets[-1]
        self._note(records)
        if self._silent:
            self._silent -= 1
            self._handing.waiting()
        return Found(step, self._parcels())

    def _note(self, records: wire.Records) -> None:
        """Moves the clocks, and closes the ticks that all streams have passed."""
        stream, pipeline = records.stream, self.pipeline
        if stream not in self._streams:
            self._streams.append(stream)
        pipeline.begin([stream], records.clock)
        if not records.idle:
            self._idle.discard(stream)
        elif records.upto >= self._upto.get(stream, 0):  # else it was said before something came
            self._idle.add(stream)
            # Up to where the others are now, not to where they will be: by then something may have come here, too.
            pipeline.rest([stream], [stream, *(other for other in self._streams if other not in self._idle)])
        self._upto[stream] = max(self._upto.get(stream, 0), records.upto)
        pipeline.close(self._streams)

    def _parcels(self) -> list[Parcel]:
        """What is to be handed on by now."""
        closed, waiting = self.pipeline.closed, self._handing.waiting()
        if closed == self._closed:
            return [self._post.parcel(TOWN, 0, closed, waiting=waiting)] if waiting else []
        self._closed = closed
        sums = self._handing.sums(closed)
        accounts = {RING: sums.pop(RING)} if RING in sums else {}
        counts, days = self._handing.counts(closed), self._days(closed)
        town = self._post.parcel(TOWN, 0, closed, sums=accounts, asked=counts, waiting=waiting, days=days)
        return [*self._to_groups(closed, sums), town]

    def words(self) -> Iterator[Parcel]:
        owed, self._owed = self._owed, []
        for one in owed:
            targets = range(self._routes.partitions) if one.of_client else [self._routes.of_group(one.kind, one.entity)]
            for target in targets if self._handing.kinds else []:
                yield self._post.parcel(GROUPS, target, self._closed, forgotten=[one])
            if one.of_client:
                yield self._post.parcel(TOWN, 0, self._closed, forgotten=[one])

    def _to_groups(self, closed: int, sums: dict[str, list[Sum]]) -> Iterator[Parcel]:
        if not self._handing.kinds:
            return
        placed: list[dict[str, list[Sum]]] = [{} for _ in range(self._routes.partitions)]
        for kind, found in sums.items():
            for one in found:
                placed[self._routes.of_group(kind, one.name)].setdefault(kind, []).append(one)
        for target, mine in enumerate(placed):
            yield self._post.parcel(GROUPS, target, closed, sums=mine)

    def _days(self, closed: int) -> list[Day]:
        """What is known of days that are over, taken out of the population."""
        population = self.pipeline.population
        if population is None:
            return []
        over = population.due(closed * TICK_US)
        if not over:
            return []
        found, left = [], population.open()
        for day in over:
            came = [one for one in self.pipeline.came(day) if one.first_at > self._met_from]
            looks, suspects = left.looks.pop(day, []), left.suspects.pop(day, [])
            sampled = left.days.pop(day, None)
            if came or looks or suspects or sampled is not None:
                found.append(Day(day, looks, suspects, sampled, came))
        _begin(population, over.stop, left)
        return found

    # -- keeping

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        yield from rows_of([self.pipeline.clients])
        yield from cases_of(self.pipeline.cases, self.pipeline.docket.changed)

    def erased(self) -> list[bytes]:
        return self._erased

    def settled(self) -> None:
        self._erased = []
        self.pipeline.clients.settled()
        self.pipeline.docket.changed.clear()

    def restore(self, key: bytes, value: bytes | None) -> None:
        restore_one([self.pipeline.clients], self.pipeline.cases, key, value)

    def body(self) -> bytes:
        population = self.pipeline.population
        days = population.settled.closed if population else None
        body = Body(
            self._watermarks,
            self._upto,
            sorted(self._idle),
            self._streams,
            self.pipeline.state(),
            days,
            self._post.sent,
            self._silent,
            self._met_from,
            sorted(self._forgotten),
            self._owed,
        )
        return msgspec.msgpack.encode(body)

    def resume(self, body: bytes) -> None:
        found = msgspec.msgpack.decode(body, type=Body)
        self._watermarks, self._upto = dict(found.watermarks), dict(found.upto)
        self._idle, self._streams = set(found.idle), list(found.streams) or self._streams  # version 1 kept none
        self._silent, self._met_from = found.silent, found.met_from
        self._forgotten, self._owed = set(found.forgotten), list(found.owed)
        self._post.sent = dict(found.sent)
        population = self.pipeline.population
        if population is not None and found.days is not None:
            population.settled.closed = found.days
        self.pipeline.restore(found.state)
        self._closed = self.pipeline.closed


def _begin(population: Population, day: int, left: Open) -> None:
    """The population as it is when days before `day` were taken out."""
    population.settled.closed = day
    population.restore(population.settled, left)


assert DAY_US % TICK_US == 0  # a day ends with a tick
