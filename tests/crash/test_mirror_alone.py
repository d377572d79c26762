"""A mirror on a real Kafka without workers: what brokers dropped is said, and what it hands over arrives once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from detector.alert import Alert, Entity, notice, stable_id
from detector.cluster.names import Names
from detector.cluster.partition import Row
from detector.cluster.topics import settle
from detector.errors import StoreError
from detector.mirror.mirroring import Mirroring
from detector.mirror.standing import NAME, Standing, standing
from detector.profile import artefact
from detector.run.outbox import Outbox
from detector.run.store import Reader
from detector.settings import load
from detector.tape import Point
from tests.crash.fleet import Fleet
from tests.crash.stage import Stage
from tests.run.child import until

pytestmark = pytest.mark.server
T = TypeVar("T")


class Alone:
    """The topics of workers of whom none runs, and a mirror of them in this process."""

    def __init__(self, stage: Stage) -> None:
        self.fleet = Fleet(stage, 1)
        run = self.fleet.shown()
        self.names: Names = self.fleet.names
        self.settings = load(run.config, {})
        self.settle()
        self.folder = run.folder / "store"
        self._bootstrap = [stage.kafka.bootstrap]

    def settle(self) -> None:
        """As `querywarden topics` does."""
        promised = artefact.load(Path(self.settings.profile.path or "")).summary.policy.thresholds
        settle(*self.fleet.asked(), self.settings.policy.over(promised))

    def write(self, topic: str, value: object, key: bytes | None = None) -> int:
        """As a worker does; returns the place behind the transaction."""
        producer = KafkaProducer(bootstrap_servers=self._bootstrap, transactional_id="a-worker", acks="all")
        with closing(producer):
            producer.init_transactions()
            producer.begin_transaction()
            sent = producer.send(topic, msgspec.msgpack.encode(value), key=key, partition=0)
            producer.commit_transaction()
            return int(sent.get(timeout=30).offset) + 2

    def drop(self, topic: str, before: int) -> None:
        """What retention does."""
        with closing(KafkaAdminClient(bootstrap_servers=self._bootstrap)) as admin:
            admin.delete_records({TopicPartition(topic, 0): before})

    def make_anew(self, topic: str) -> None:
        with closing(KafkaAdminClient(bootstrap_servers=self._bootstrap)) as admin:
            admin.delete_topics([topic])
            until(lambda: topic not in admin.list_topics(), lambda: f"the end of {topic}")
        self.settle()

    def mirrored(self, condition: Callable[[], object]) -> None:
        """Runs a mirror until something is so; raises what ended it before."""
        stopping = threading.Event()

        def run() -> None:
            with ExitStack() as opened:
                Mirroring(self.settings, opened).run(stopping)

        with ThreadPoolExecutor(1) as beside:
            running = beside.submit(run)
            try:
                until(lambda: running.done() or condition(), lambda: "the mirror")
            finally:
                stopping.set()
            running.result()

    def points(self) -> list[int]:
        return [point.n for point in self._read(lambda reader: [*reader.tape()]) or ()]

    def named(self) -> list[str]:
        """Whose rows the store has."""
        sql = "SELECT id FROM rows JOIN names USING (key) ORDER BY id"
        return [id_ for (id_,) in self._read(lambda reader: reader.db.read(sql)) or ()]

    def word(self) -> Standing | None:
        return self._read(standing)

    def _read(self, what: Callable[[Reader], T]) -> T | None:
        """Of the store; None while there is none."""
        path = self.folder / "state.sqlite"
        if not path.exists():
            return None
        with closing(Reader(path)) as reader:
            return what(reader)

    def whole(self) -> bool:
        """Whether it has noted that it had read all."""
        word = self.word()
        return word is not None and word.whole > 0

    def audits(self) -> list[Alert]:
        return [one for one in self.fleet.left().alerts if one.kind == "audit"]


@pytest.fixture
def alone(stage: Stage) -> Alone:
    return Alone(stage)


def point(n: int) -> Point:
    return Point(bytes(16), "digits", "client", "somebody", 1_800_000_000_000_000 + n, n, 40, f"q{n}")


def test_what_brokers_dropped_before_it_was_read_is_said_and_the_rest_is_read(alone: Alone) -> None:
    tape = alone.names.tape
    reached = alone.write(tape, [point(1), point(2)])
    alone.mirrored(lambda: alone.points() == [1, 2])
    dropped = alone.write(tape, [point(3)])
    alone.write(tape, [point(4)])
    alone.drop(tape, dropped)
    alone.mirrored(lambda: alone.points() == [1, 2, 4])
    said = alone.word()
    assert said is not None
    assert [(gap.topic, gap.partition, gap.most) for gap in said.gaps] == [(tape, 0, dropped - reached)]
    assert any("were dropped by the brokers before" in reason for reason in said.reasons(said.at))
    assert (said.workers, said.trouble) == (0, "")
    assert any("no worker runs" in reason for reason in said.reasons(said.at))
    alone.mirrored(lambda: alone.word() != said)
    again = alone.word()
    assert again is not None
    assert again.gaps == said.gaps


def test_topics_that_were_made_anew_are_refused(alone: Alone) -> None:
    alone.write(alone.names.tape, [point(1)])
    alone.mirrored(lambda: alone.points() == [1])
    alone.make_anew(alone.names.held)
    with pytest.raises(StoreError, match="were made anew"):
        alone.mirrored(lambda: False)


def row(who: str) -> Row:
    return Row(who, b"as a worker has it", "client")


def test_a_row_that_was_taken_away_while_the_mirror_was_away_for_long_is_found_missing(alone: Alone) -> None:
    """Brokers keep word of what was taken away for a day."""
    state, here, gone = alone.names.state, b"r" + bytes(16), b"r" + b"\1" * 16
    alone.write(state, row("here"), here)
    alone.mirrored(lambda: alone.named() == ["here"] and alone.whole())
    with closing(sqlite3.connect(alone.folder / "state.sqlite")) as db:
        db.execute("INSERT INTO rows VALUES (?, ?)", (gone[1:], b"what the topic does not hold"))
        db.execute("INSERT INTO names VALUES (?, 'digits', 'client', 'gone')", (gone[1:],))
        db.commit()
    said = alone.word()
    assert said is not None
    alone.mirrored(lambda: alone.word() != said)
    assert alone.named() == ["gone", "here"]
    with closing(sqlite3.connect(alone.folder / "state.sqlite")) as db:
        word = msgspec.structs.replace(said, whole=1.0)
        db.execute("UPDATE extras SET body = ? WHERE name = ?", (msgspec.msgpack.encode(word), NAME))
        db.commit()
    alone.mirrored(lambda: alone.named() == ["here"])


def event(seq: int) -> Alert:
    return notice(
        "audit", id_=stable_id("audit", str(seq)), case_id="c", at_s=1.0, model="digits",
        entity=Entity("person", "ann"), profile="p", policy="", message=f"entry {seq}",
    )  # fmt: skip


def test_an_event_of_the_audit_is_handed_over_once_though_the_note_of_it_is_lost(
    alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone.mirrored(lambda: alone.word() is not None)
    with closing(Outbox(alone.folder / "outbox.sqlite")) as outbox:
        outbox.put([event(1), event(2)])
    lost = RuntimeError("the process ends here")

    def dies(*_: object, **__: object) -> None:
        raise lost

    with monkeypatch.context() as broken:
        broken.setattr(Outbox, "advance", dies)
        with pytest.raises(RuntimeError, match="ends here"):
            alone.mirrored(lambda: False)
    assert [one.message for one in alone.audits()] == ["entry 1", "entry 2"]
    with closing(Outbox(alone.folder / "outbox.sqlite")) as outbox:
        outbox.put([event(3)])
        alone.mirrored(lambda: outbox.backlog("(workers)") == 0)
    assert [one.message for one in alone.audits()] == ["entry 1", "entry 2", "entry 3"]
