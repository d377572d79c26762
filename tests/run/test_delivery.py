from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from detector.alert import Alert
from detector.errors import SinkBusy, SinkRefused
from detector.run.delivery import CAP_S, Courier
from detector.run.health import Health
from detector.run.outbox import Outbox
from sinks.contract import Delivery, Refusal
from tests.run.made import HandClock, ScriptedSettings, ScriptedSink, alert


class Post:
    """One courier, stepped by hand, and the outbox that it empties."""

    def __init__(
        self, folder: Path, sink: ScriptedSink, *, heartbeat_s: float | None = None, batch_size: int = 10
    ) -> None:
        self.hand = HandClock()
        self.sink = sink
        self.path = folder / "o.db"
        self.settings = ScriptedSettings(sink, batch_size=batch_size)
        self.heartbeat_s = heartbeat_s
        self.courier = self.new_courier()
        self.outbox = Outbox(self.path)

    def new_courier(self) -> Courier:
        return Courier(
            self.settings,
            self.path,
            lambda: Health(queries_per_s=1234.0, lag_s=12.0),
            instance="i",
            heartbeat_s=self.heartbeat_s,
            clock=self.hand.clock(),
            jitter=lambda: 1.0,
        )

    def put(self, *numbers: int) -> None:
        self.outbox.put([alert(n) for n in numbers])

    def walk(self, steps: int) -> None:
        for _ in range(steps):
            self.hand.move(self.courier.step())


def ids(*numbers: int) -> list[str]:
    return [alert(n).id for n in numbers]


def test_batches_go_in_order_and_the_position_follows(tmp_path: Path) -> None:
    post = Post(tmp_path, ScriptedSink(), batch_size=2)
    post.put(1, 2, 3)
    assert post.courier.step() == 0  # more may wait
    assert post.outbox.position("scripted") == 2
    post.walk(2)
    assert post.sink.calls == [ids(1, 2), ids(3)]
    assert post.outbox.backlog("scripted") == 0
    assert post.courier.standing.state == "ok"
    assert post.courier.standing.last_ack is not None


def test_only_what_the_sink_wants_again_is_sent_again(tmp_path: Path) -> None:
    answers = iter(
        [Delivery(retry=(alert(2).id,), refused=(Refusal(alert(3).id, "bad"),), retry_after_s=7.0), Delivery()]
    )
    post = Post(tmp_path, ScriptedSink(lambda alerts: next(answers)))
    post.put(1, 2, 3, 4)
    assert post.courier.step() == 7.0
    assert post.outbox.position("scripted") == 1  # behind 2, which is not done
    post.hand.move(6.9)
    post.courier.ring()
    post.courier.step()
    assert len(post.sink.calls) == 1, "new alerts do not shorten a pause"
    post.hand.move(0.2)
    post.courier.step()
    assert post.sink.calls == [ids(1, 2, 3, 4), ids(2)]
    assert post.outbox.position("scripted") == 4
    assert [(one.alert.id, one.reason) for one in post.outbox.refused("scripted")] == [(alert(3).id, "bad")]


def test_a_busy_sink_is_tried_at_growing_pauses(tmp_path: Path) -> None:
    busy = True

    def script(alerts: Sequence[Alert]) -> Delivery:
        if busy:
            raise SinkBusy("503")
        return Delivery()

    post = Post(tmp_path, ScriptedSink(script))
    post.put(1)
    pauses = []
    with capture_logs() as logs:
        for _ in range(10):
            pauses.append(post.courier.step())
            post.hand.move(pauses[-1])
        busy = False
        post.walk(1)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("The sink is busy; its alerts wait", "warning"),
        ("The sink takes alerts again", "info"),
    ]
    assert post.sink.taken == ids(1)


def test_a_pause_is_jittered_in_full_but_never_shorter_than_asked_for(tmp_path: Path) -> None:
    def script(alerts: Sequence[Alert]) -> Delivery:
        raise SinkBusy("429", retry_after_s=30.0)

    post = Post(tmp_path, ScriptedSink(script))
    post.put(1)
    assert post.courier.step() == 30.0


def test_a_sink_that_refuses_keeps_its_queue_until_someone_mends_it(tmp_path: Path) -> None:
    mended = False

    def script(alerts: Sequence[Alert]) -> Delivery:
        if not mended:
            raise SinkRefused("wrong token")
        return Delivery()

    post = Post(tmp_path, ScriptedSink(script))
    post.put(1, 2)
    with capture_logs() as logs:
        for _ in range(5):
            assert post.courier.step() == CAP_S
            post.hand.move(CAP_S)
        standing = post.courier.standing
        mended = True
        post.walk(1)
    assert (standing.state, standing.reason) == ("refused", "wrong token")
    assert [log["log_level"] for log in logs] == ["error", "info"]
    assert post.sink.taken == ids(1, 2)
    assert post.outbox.refused("scripted") == ()


def test_a_full_disk_holds_the_queue_and_delivers_again(tmp_path: Path) -> None:
    post = Post(tmp_path, ScriptedSink())
    post.put(1)
    post.outbox.db.connection.execute("BEGIN IMMEDIATE")  # someone keeps the file
    post.courier._open().db.connection.execute("PRAGMA busy_timeout=1")
    post.courier.step()
    assert post.courier.standing.state == "store"
    post.outbox.db.connection.execute("ROLLBACK")
    post.hand.move(CAP_S)
    post.courier.step()
    assert post.sink.calls == [ids(1), ids(1)]
    assert post.outbox.backlog("scripted") == 0


def test_a_crash_before_the_position_moved_delivers_again_with_the_same_ids(tmp_path: Path) -> None:
    def script(alerts: Sequence[Alert]) -> Delivery:
        if len(post.sink.calls) == 1:
            raise KeyboardInterrupt  # the process ends here: the destination has it, the outbox does not know
        return Delivery()

    post = Post(tmp_path, ScriptedSink(script))
    post.put(1)
    with pytest.raises(KeyboardInterrupt):
        post.courier.step()
    post.courier = post.new_courier()
    post.walk(1)
    assert post.sink.calls == [ids(1), ids(1)]


def test_heartbeats_come_every_interval_and_are_not_stored(tmp_path: Path) -> None:
    post = Post(tmp_path, ScriptedSink(), heartbeat_s=60.0)
    post.walk(40)
    beats = post.sink.beats
    assert len(beats) == 1 + int((post.hand.now - 1_000_000.0) // 60)
    assert len({beat.id for beat in beats}) == len(beats)
    assert len({beat.case_id for beat in beats}) == 1
    assert beats[0].message == "querywarden is alive: 1,234 queries/s, backlog 0, lag 12 s"
    assert (beats[0].severity, beats[0].entity.kind, beats[0].promise.state) == ("informational", "instance", "none")
    assert beats[0].at == "1970-01-12T13:46:40.000Z"
    assert post.outbox.undelivered("scripted", after=0) == ()
    assert post.outbox.last_ack("scripted") is not None


def test_a_heartbeat_that_does_not_arrive_is_not_kept(tmp_path: Path) -> None:
    away = True

    def script(alerts: Sequence[Alert]) -> Delivery:
        if away:
            raise SinkBusy("away")
        return Delivery()

    post = Post(tmp_path, ScriptedSink(script), heartbeat_s=60.0)
    start = post.hand.now
    while post.hand.now < start + 3600:
        post.walk(1)
    away = False
    post.hand.move(120)
    post.walk(1)
    assert len(post.sink.beats) == 1


def test_alerts_go_before_a_heartbeat_that_the_sink_will_not_take(tmp_path: Path) -> None:
    def script(alerts: Sequence[Alert]) -> Delivery:
        if alerts[0].kind == "health":
            raise SinkRefused("no such event class")
        return Delivery()

    post = Post(tmp_path, ScriptedSink(script), heartbeat_s=1.0)
    post.put(1)
    post.walk(3)
    post.put(2)
    post.walk(3)
    assert post.sink.taken == ids(1, 2)


Outcome = st.sampled_from(["taken", "taken", "retry", "refused"])
Call = st.one_of(st.sampled_from(["busy", "refuse", "crash", "crash after"]), st.lists(Outcome, min_size=4, max_size=4))


@settings(max_examples=60, deadline=None)
@given(script=st.lists(Call, max_size=25), count=st.integers(1, 9), batch_size=st.integers(1, 4))
def test_whatever_the_sink_answers_nothing_is_lost_and_order_is_kept(
    tmp_path_factory: pytest.TempPathFactory, script: list[str | list[str]], count: int, batch_size: int
) -> None:
    class Crash(BaseException):
        pass

    answers = iter(script)
    settled: set[str] = set()  # since the last crash

    def answer(alerts: Sequence[Alert]) -> Delivery:
        what = next(answers, "all")
        if what == "busy":
            raise SinkBusy("busy")
        if what == "refuse":
            raise SinkRefused("refused")
        if what == "crash":
            raise Crash
        if isinstance(what, str):
            if what == "crash after":
                post.sink.taken += [one.id for one in alerts]
                raise Crash
            settled.update(one.id for one in alerts)
            return Delivery()
        pairs = list(zip(alerts, what, strict=False))
        settled.update(one.id for one, outcome in pairs if outcome != "retry")
        return Delivery(
            retry=tuple(one.id for one, outcome in pairs if outcome == "retry"),
            refused=tuple(Refusal(one.id, "never") for one, outcome in pairs if outcome == "refused"),
        )

    post = Post(tmp_path_factory.mktemp("order"), ScriptedSink(answer), batch_size=batch_size)
    numbers = range(count)
    post.put(*numbers)
    for _ in range(len(script) + count + 1):
        done_before = post.outbox.position("scripted")
        calls = len(post.sink.calls)
        settled_before = set(settled)
        try:
            post.hand.move(post.courier.step())
        except Crash:
            post.courier = post.new_courier()
            settled.clear()
            settled_before = set()
        for call in post.sink.calls[calls:]:
            assert call == sorted(call)
            assert not settled_before & set(call), "something settled was sent again"
            assert min(call) > f"alert-{done_before - 1:04d}", "something behind the position was sent again"
            assert max(call) <= f"alert-{done_before + batch_size - 1:04d}", "the courier went past a batch"
    assert post.outbox.backlog("scripted") == 0
    kept = {one.alert.id for one in post.outbox.refused("scripted")}
    assert set(post.sink.taken) | kept == set(ids(*numbers))
