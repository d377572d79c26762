"""A mirror's store holds what one process's store holds of the same log, whoever crashes and whenever."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from detector.alert import Alert
from detector.cluster.forgetting import Forget
from detector.cluster.policies import Policies, asked
from detector.decide import Case
from detector.entities import Name, entity_key
from detector.errors import StoreError, StoreLocked
from detector.learned.population import Settled
from detector.levels import TICK_US
from detector.mirror.forgetting import LATE_S
from detector.mirror.keeping import Kept
from detector.mirror.taking import Taken
from detector.policy import Dated
from detector.profile.artefact import Profile
from detector.rings.accounts import ACCOUNT
from detector.run import verdicts
from detector.run.backup import backup
from detector.run.judge import POPULATION, Judge
from detector.run.outbox import Outbox
from detector.run.store import Reader
from detector.settings import Settings
from tests import people
from tests.cluster import spanned
from tests.cluster.recorded import NAMES, Recorded
from tests.cluster.world import at_random

PARTITIONS = 3


@pytest.fixture(scope="module")
def settings() -> Settings:
    return spanned.settings()


@pytest.fixture(scope="module")
def profile(profile: Profile) -> Profile:
    return spanned.busy(profile)


@pytest.fixture(scope="module")
def log() -> list[bytes]:
    return spanned.log()


class Crash(Exception):
    """The process ends here."""


class Mirrored:
    """A mirror over topics in memory, in `folder`."""

    def __init__(self, folder: Path, profile: Profile, world: Recorded) -> None:
        self.folder, self._profile, self._world = folder, profile, world
        self.opened()

    def opened(self) -> None:
        """As after a crash: of what was not kept nothing is known."""
        self.policies = Policies()
        for key, value in self._world.written[NAMES.policies, 0]:
            self.policies.take(key, value)
        self.kept = Kept(self.folder, cluster=NAMES.name, profile=self._profile, ids="")
        self.kept.journal(self.policies.dated())

    def read(self, rng: random.Random | None = None) -> bool:
        """Keeps what is new, or of each partition a part; False when nothing was."""
        taken = Taken(NAMES, self._profile.summary.id, self.policies)
        places = {}
        for (topic, number), written in list(self._world.written.items()):
            if topic == NAMES.policies:
                for entry in written:  # all of it each time, as after a restart
                    taken.take(topic, *entry)
                taken.records -= len(written)
                continue
            stream = f"kafka:{topic}/{number}"
            start = self.kept.places.get(stream, 0)
            end = len(written) if rng is None else min(len(written), start + rng.randrange(40))
            for key, value in written[start:end]:
                taken.take(topic, key, value)
            places[stream] = end
        if taken.records:
            self.kept.keep(taken, places)
        return bool(taken.records)

    def crashing(self, rng: random.Random) -> None:
        """Dies before or after one of the steps in which things are kept."""
        owner, name = rng.choice(
            [
                (self.kept.outbox, "put"),
                (self.kept.outbox, "hold"),
                (self.kept.store, "dead_letter"),
                (self.kept.store, "save"),
            ]
        )
        real, after = getattr(owner, name), rng.random() < 0.5

        def dying(*arguments: Any, **options: Any) -> None:
            if after:
                real(*arguments, **options)
            raise Crash

        setattr(owner, name, dying)
        with suppress(Crash):
            self.read(rng)
        self.kept.close()
        self.opened()


class Held(NamedTuple):
    """What a store holds that does not depend on the order in which partitions were read; without the bells."""

    points: list[Any]
    alerts: dict[tuple[str, str], list[Alert]]
    held: dict[tuple[str, str], list[Alert]]
    rows: dict[tuple[str, str], bytes]
    cases: dict[bytes, bytes]
    journal: tuple[Any, ...]
    letters: int
    asked: dict[int, int]
    population: Settled


def held_in(folder: Path) -> Held:
    with closing(Reader(folder / "state.sqlite")) as reader, closing(Outbox(folder / "outbox.sqlite")) as outbox:
        named = reader.db.read("SELECT kind, id, row FROM rows JOIN names USING (key)")
        assert reader.db.read("SELECT count(*) FROM rows") == reader.db.read("SELECT count(*) FROM names")
        points = [point for point in reader.tape() if not point.id.startswith("bell")]
        population = reader.saved_extra(POPULATION)
        assert population is not None
        return Held(
            sorted(points, key=lambda p: (p.kind, p.id, p.n, p.at, p.budget)),
            by_entity(list(outbox.kept())),
            by_entity(list(reversed(outbox.held(10_000)))),
            {(kind, id_): row for kind, id_, row in named if not id_.startswith("bell")},
            dict(reader.db.read("SELECT key, body FROM cases")),
            reader.policies(),
            len(reader.dead_letters()),
            dict(reader.db.read("SELECT tick, queries FROM asked WHERE tick < ?", spanned.BELL_AT // TICK_US)),
            msgspec.msgpack.decode(population, type=Settled),
        )


def by_entity(alerts: list[Alert]) -> dict[tuple[str, str], list[Alert]]:
    found: dict[tuple[str, str], list[Alert]] = {}
    for alert in alerts:
        found.setdefault((alert.entity.kind, alert.entity.id), []).append(alert)
    return found


@pytest.fixture(scope="module")
def single(settings: Settings, profile: Profile, log: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Held:
    """What one process keeps."""
    folder = tmp_path_factory.mktemp("single")
    judge = Judge(folder, profile, settings)
    judge.restore()
    judge.adopt({people.STREAM: 0})
    judge.settle(judge.advance(people.chunk(log)))
    judge.settle(judge.pipeline.tick())
    judge.snapshot([people.STREAM], [])
    judge.close()
    return held_in(folder)


@contextmanager
def mirrored(profile: Profile, world: Recorded) -> Iterator[Mirrored]:
    with tempfile.TemporaryDirectory() as folder:
        mirror = Mirrored(Path(folder), profile, world)
        yield mirror
        mirror.kept.close()


def test_the_store_has_all_of_it(single: Held) -> None:
    """Else the other tests would say little."""
    assert {kind for kind, _ in single.alerts} == {"client", "organisation", "ring", "population"}
    assert {kind for kind, _ in single.rows} == {"client", "organisation", "ring.account", "ring"}
    assert single.held
    assert single.letters == 1
    assert len(single.asked) > 100


@tried(max_examples=6)
@given(seed=st.integers(0, 2**32), crashes=st.booleans())
def test_a_mirror_holds_what_one_process_holds(
    settings: Settings, profile: Profile, log: list[bytes], single: Held, seed: int, crashes: bool
) -> None:
    """Read while workers work and crash, in parts of any size, with crashes of its own at any step."""
    rng = random.Random(seed)
    world = Recorded(settings, profile, spanned.shared(log), PARTITIONS)
    with mirrored(profile, world) as mirror:
        while any(source.at < len(source.chunks) for source in world.sources):
            at_random(world, rng, crashes=crashes, steps=40)
            if crashes and rng.random() < 0.5:
                mirror.crashing(rng)
            mirror.read(rng)
        world.ended()
        for _ in range(20 if crashes else 0):
            mirror.crashing(rng)
        while mirror.read(rng):
            pass
        mirror.read()
        assert held_in(mirror.folder) == single


def test_which_case_is_held_is_in_the_case_whichever_came_first(profile: Profile, tmp_path: Path) -> None:
    """Cases and what is held of them come from two stages, each when it saves."""
    early, late, case = bytes(16), b"\1" * 16, Case("c1", "high", kind="extraction")

    def kept_of(*entries: tuple[str, bytes, bytes]) -> dict[bytes, Case]:
        taken = Taken(NAMES, profile.summary.id, Policies())
        for entry in entries:
            taken.take(*entry)
        with closing(opened(tmp_path, profile)) as kept:  # another process each time
            kept.keep(taken, {})
            cases = kept.store.db.read("SELECT key, body FROM cases")
        return {key: msgspec.msgpack.decode(body, type=Case) for key, body in cases}

    of_case, of_held = msgspec.msgpack.encode(case), msgspec.msgpack.encode("c1")
    assert kept_of((NAMES.sky, b"h" + early, of_held), (NAMES.state, b"c" + late, of_case)) == {late: case}
    held = msgspec.structs.replace(case, held="c1")
    found = kept_of((NAMES.state, b"c" + early, of_case), (NAMES.sky, b"h" + late, of_held))
    assert found == {early: held, late: held}
    told = (NAMES.sky, b"h" + late, msgspec.msgpack.encode(""))
    assert kept_of((NAMES.state, b"c" + early, of_case), told) == {early: held, late: case}


def test_whom_workers_have_forgotten_is_erased_and_who_takes_the_name_is_new(
    settings: Settings, profile: Profile, log: list[bytes]
) -> None:
    """Wherever the name can stand, also in what comes late by another topic. Whose case alone is gone keeps the row."""
    world = Recorded(settings, profile, spanned.shared(log), PARTITIONS)
    world.ended()
    late = world.written.pop((NAMES.alerts, len("thief") % PARTITIONS))
    key, account = (
        entity_key(Name(profile.summary.model, kind, "thief"), profile.secret) for kind in ("client", ACCOUNT)
    )
    with mirrored(profile, world) as mirror:
        mirror.read()
        assert mentioned(mirror.folder, "thief") == {"names", "tape"}
        with closing(Reader(mirror.folder / "state.sqlite")) as reader:
            (closed,) = (key for (key,) in reader.db.read("SELECT key FROM cases ORDER BY key LIMIT 1"))
        row = next(v for n in range(PARTITIONS) for k, v in world.written[NAMES.state, n] if k == b"r" + key)
        for number in range(PARTITIONS):
            world.written[NAMES.state, number] += [(b"r" + key, None), (b"c" + key, None), (b"c" + closed, None)]
        world.written[NAMES.sky, 0].append((b"r" + account, None))
        for _ in range(2):  # a crash before the place is kept repeats it
            mirror.crashing(random.Random(1))
        mirror.read()
        assert mentioned(mirror.folder, "thief") == set()
        world.written[NAMES.alerts, len("thief") % PARTITIONS] = late
        mirror.read()
        assert mentioned(mirror.folder, "thief") == {"outbox"}
        later = time.time() + LATE_S
        erased_late(mirror, later)
        assert mentioned(mirror.folder, "thief") == set()
        world.written[NAMES.state, 0].append((b"r" + key, row))
        mirror.read()
        erased_late(mirror, later + LATE_S)
        assert mentioned(mirror.folder, "thief") == {"names"}
        with closing(Reader(mirror.folder / "state.sqlite")) as reader:
            for table, count in (("rows", 1), ("names", 1), ("cases", 0)):
                assert len(reader.db.read(f"SELECT key FROM {table} WHERE key = ?", closed)) == count, table


@tried(max_examples=3)
@given(seed=st.integers(0, 2**32))
def test_whom_all_workers_are_asked_to_forget_goes_from_the_mirror_too(
    settings: Settings, profile: Profile, log: list[bytes], seed: int
) -> None:
    """Whenever it is asked, whoever crashes; who asks again under that name is there as workers have him."""
    rng = random.Random(seed)
    world = Recorded(settings, profile, spanned.shared(log), PARTITIONS)
    with mirrored(profile, world) as mirror:
        at_random(world, rng, crashes=True, steps=rng.randrange(20, 200))
        mirror.read(rng)
        world.enter(asked(Forget("1", "client", "thief")))
        at_random(world, rng, crashes=True)
        mirror.crashing(rng)
        world.ended()
        while mirror.read():
            pass
        later = time.time() + LATE_S
        erased_late(mirror, later)
        found = held_in(mirror.folder)
        rows = {of: row for of, row in world.rows().items() if not of[1].startswith("bell")}
        assert found.rows == rows
        assert {key: msgspec.msgpack.decode(body, type=Case) for key, body in found.cases.items()} == world.cases()
        if ("client", "thief") not in rows:
            assert not mentioned(mirror.folder, "thief")


def erased_late(mirror: Mirrored, wall: float) -> None:
    """Erases what is to be erased once more, as if it were so late."""
    mirror.kept.forgotten._wall = lambda: wall
    mirror.kept.forgotten.follow(mirror.policies.forget)
    mirror.kept.forgotten.look()


def mentioned(folder: Path, name: str) -> set[str]:
    """The tables in which a name stands."""
    found = set()
    columns = {"names": "id", "tape": "point", "dead_letters": "letter"}
    columns |= {"outbox": "payload", "sink_dead_letters": "payload"}
    with closing(Reader(folder / "state.sqlite")) as reader, closing(Outbox(folder / "outbox.sqlite")) as outbox:
        for table, column in columns.items():
            db = (outbox if column == "payload" else reader).db
            if db.read(f"SELECT 1 FROM {table} WHERE instr(CAST({column} AS TEXT), ?) LIMIT 1", name):
                found.add(table)
    return found


def test_a_policy_that_was_decided_later_for_an_earlier_time_is_put_where_it_holds(
    settings: Settings, profile: Profile, log: list[bytes]
) -> None:
    world = Recorded(settings, profile, spanned.shared(log), PARTITIONS)
    with mirrored(profile, world) as mirror:
        first = mirror.policies.dated()[0]
        later, earlier = Dated(20, first.policy), Dated(10, first.policy)
        assert mirror.kept.journal([first, later])
        assert mirror.kept.journal([first, earlier, later])
        assert not mirror.kept.journal([first, earlier, later])
        with closing(Reader(mirror.folder / "state.sqlite")) as reader:
            assert reader.policies() == (first, earlier, later)


def test_the_commands_on_a_store_work_on_it_while_it_is_written(
    settings: Settings, profile: Profile, log: list[bytes], tmp_path: Path
) -> None:
    world = Recorded(settings, profile, spanned.shared(log), PARTITIONS)
    world.ended()
    with mirrored(profile, world) as mirror:
        mirror.read()
        lines = verdicts.waiting(mirror.folder, profile, 1_000)
        case = next(line.split()[0] for line in lines if " client " in line)
        verdicts.say(mirror.folder, profile, case, "attack", by="ann", note="seen")
        assert backup(mirror.folder, tmp_path / "copy", datetime.now(UTC)).profile == profile.summary.id
        mirror.kept.close()
        mirror.opened()
        mirror.kept.prune(settings.store.tape_days)
        assert any("said by ann: seen" in line for line in verdicts.verdicts(mirror.folder, profile))
        assert any(
            f"{case} " in line and "judged attack by ann" in line
            for line in verdicts.waiting(mirror.folder, profile, 1_000)
        )
        with closing(Reader(tmp_path / "copy" / "state.sqlite")) as copy:
            assert copy.mirrors() == NAMES.name


# -- whose a folder is


def opened(folder: Path, profile: Profile, cluster: str = NAMES.name) -> Kept:
    return Kept(folder, cluster=cluster, profile=profile, ids="")


def test_one_writes_a_folder_and_others_are_told_who(profile: Profile, tmp_path: Path) -> None:
    with closing(opened(tmp_path, profile)), pytest.raises(StoreLocked, match="is being written by process"):
        opened(tmp_path, profile)


def test_a_mirror_takes_no_store_of_one_process_nor_of_other_workers(
    profile: Profile, settings: Settings, tmp_path: Path
) -> None:
    Judge(tmp_path / "single", profile, settings).close()
    with pytest.raises(StoreError, match="is the store of one process"):
        opened(tmp_path / "single", profile)
    opened(tmp_path / "others", profile, "others").close()
    with pytest.raises(StoreError, match="mirrors the workers others"):
        opened(tmp_path / "others", profile)


def test_one_process_takes_no_mirror_for_its_store(profile: Profile, settings: Settings, tmp_path: Path) -> None:
    opened(tmp_path, profile).close()
    with pytest.raises(StoreError, match="mirrors the workers test"):
        Judge(tmp_path, profile, settings)


def test_a_worker_s_folder_is_no_mirror_s_and_the_reverse(profile: Profile, tmp_path: Path) -> None:
    """Else an alert that the mirror has read would be known already, and be delivered to nobody."""
    from detector.cluster.folders import refuse_mirror

    (tmp_path / "worker").mkdir()
    with closing(Outbox(tmp_path / "worker" / "outbox.sqlite")) as outbox:
        outbox.join("splunk_hec")
        refuse_mirror(outbox)
    with pytest.raises(StoreError, match="is the folder of a worker"):
        opened(tmp_path / "worker", profile)
    opened(tmp_path / "mirror", profile).close()
    with (
        closing(Outbox(tmp_path / "mirror" / "outbox.sqlite")) as outbox,
        pytest.raises(StoreError, match="each worker"),
    ):
        refuse_mirror(outbox)
