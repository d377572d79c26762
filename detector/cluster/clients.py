"""Stage 2, for one partition: clients are judged as in one process; what spans them is handed on as ticks close.

The clock of each source stream comes with its messages (wire.Records), those of other partitions' records included; a
tick closes when all streams have passed it, as with one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from detector.cluster import wire
from detector.cluster.handing import Handing
from detector.cluster.partition import NOTHING, Found, cases_of, restore_one, rows_of
from detector.cluster.passing import GROUPS, TOWN, Day, Parcel, Post
from detector.cluster.policies import Entry, Policies, Takeover
from detector.cluster.tally import Sum
from detector.learned.population import DAY_US, Open, Population
from detector.levels import TICK_US
from detector.pipeline import Pipeline, State, Step
from detector.policy import Dated
from detector.rings.accounts import RING

JUDGE = "judge"


def sender_of(number: int) -> str:
    return f"{JUDGE}-{number}"


class Body(msgspec.Struct, frozen=True, array_like=True):
    """watermarks: of each source stream, its last record that was applied; upto: its offset of which was heard last;
    idle: streams of which nothing came when we last heard of them; streams: all that are waited for; sent: see Post.
    silent: so many messages come of which the alerts were told by workers of version 1. met_from: who was known at that
    log time was not met by the population.
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


class Clients:
    """The clients of partition `number`. streams: of the log, as far as they are known."""

    def __init__(
        self,
        profile: str,
        number: int,
        pipeline: Pipeline,
        handing: Handing,
        streams: Sequence[str],
        place: Callable[[str, str], int],
        partitions: int,
    ) -> None:
        """place: the partition of a group, by kind and name."""
        self.pipeline, self._handing = pipeline, handing
        self._profile, self._place, self._partitions = profile, place, partitions
        self._post = Post(profile, sender_of(number))
        self._streams = list(streams)
        self._watermarks: dict[str, int] = {}
        self._upto: dict[str, int] = {}
        self._idle: set[str] = set()
        self._closed = 0  # was handed on
        self._silent = self._met_from = 0  # see Body
        self._taken_over = 0  # takeovers that the pipeline knows

    def follow(self, policies: list[Dated], takeovers: list[Takeover]) -> None:
        self.pipeline.policies[:] = policies
        for takeover in takeovers[self._taken_over :]:  # of the population the town knows
            self.pipeline.take_over(takeover.since, takeover.successor, again=True)
        self._taken_over = len(takeovers)

    def enters(self, policies: Policies) -> list[Entry]:
        return []

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

    def _to_groups(self, closed: int, sums: dict[str, list[Sum]]) -> Iterator[Parcel]:
        if not self._handing.kinds:
            return
        placed: list[dict[str, list[Sum]]] = [{} for _ in range(self._partitions)]
        for kind, found in sums.items():
            for one in found:
                placed[self._place(kind, one.name)].setdefault(kind, []).append(one)
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

    def settled(self) -> None:
        self.pipeline.clients.settled()
        self.pipeline.docket.changed.clear()

    def restore(self, key: bytes, value: bytes) -> None:
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
        )
        return msgspec.msgpack.encode(body)

    def resume(self, body: bytes) -> None:
        found = msgspec.msgpack.decode(body, type=Body)
        self._watermarks, self._upto = dict(found.watermarks), dict(found.upto)
        self._idle, self._streams = set(found.idle), list(found.streams) or self._streams  # version 1 kept none
        self._silent, self._met_from = found.silent, found.met_from
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
