"""What travels between the stages: every record once to each partition that it concerns, in order."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from detector.cluster.wire import MOST_BYTES, Routes, chunk_of, messages, read
from detector.errors import DecodeError, StoreError
from detector.logs.contract import Decoded
from detector.logs.native import decode_many
from detector.query import Chunk, Query
from tests import people

PARTITIONS = 5


def several(payloads: Sequence[bytes]) -> Decoded:
    """A made-up format: `a,b` is a record with a query of a and one of b; an empty payload is refused."""
    queries, sources, refused = [], [], []
    for index, payload in enumerate(payloads):
        if not payload:
            refused.append((index, DecodeError("json", "empty", client="lost")))
        for row, client in enumerate(payload.decode().split(",") if payload else ()):
            queries.append(Query(0, client or None, "m", [1.0], row=row))
            sources.append(index)
    return queries, sources, refused


def chunk(payloads: list[bytes], at: int = 0) -> Chunk:
    offsets = [at + 2 * i for i in range(len(payloads))]
    return Chunk("kafka:t/3", payloads, offsets, offsets[-1] + 1, [7 + i for i in range(len(payloads))])


def test_each_record_goes_once_and_in_order_to_the_partition_of_its_client(honest_log: list[bytes]) -> None:
    routes = Routes(b"secret", PARTITIONS, decode_many, people.MODEL)
    given = chunk(honest_log[:500])
    seen: list[tuple[int, bytes, int]] = []
    for target, value in messages("p", given, routes, 0)[0]:
        found = chunk_of(read(value, "p"), -1)
        assert found is not None
        assert found.offsets == sorted(found.offsets)
        queries, _, _ = decode_many(found.payloads)
        assert {routes.of(query.client or "") for query in queries} == {target}
        seen += zip(found.offsets, found.payloads, found.bounds_at, strict=True)
    assert sorted(seen) == list(zip(given.offsets, given.payloads, given.bounds_at, strict=True))


def test_a_record_of_several_clients_is_sent_to_each_and_seen_by_each_once() -> None:
    routes = Routes(b"secret", PARTITIONS, several, "m")
    names = [f"c{i}" for i in range(20)]
    given = chunk([",".join(names).encode(), b"c1,c2", b"", b",c3"])
    seen = []
    for target, value in messages("p", given, routes, 0)[0]:
        found = chunk_of(read(value, "p"), -1)
        assert found is not None
        queries, sources, refused = routes.only(target)(found.payloads)
        seen += [(found.offsets[s], query.client) for query, s in zip(queries, sources, strict=True)]
        seen += [(found.offsets[s], error.client) for s, error in refused]
    expected = [*((0, name) for name in names), (2, "c1"), (2, "c2"), (4, "lost"), (6, None), (6, "c3")]
    assert sorted(seen, key=str) == sorted(expected, key=str)


def test_another_secret_shares_clients_out_otherwise() -> None:
    one, other = (Routes(secret, PARTITIONS, several, "m") for secret in (b"one", b"other"))
    names = [f"c{i}" for i in range(100)]
    assert [one.of(name) for name in names] != [other.of(name) for name in names]
    assert {one.of(name) for name in names} == set(range(PARTITIONS))


def test_large_records_make_more_messages_and_none_is_cut() -> None:
    routes = Routes(b"secret", 1, several, "m")
    payloads = [b"a" * (MOST_BYTES // 2 + 1), b"a", b"b" * (2 * MOST_BYTES), b"c"]
    found = [chunk_of(read(value, "p"), -1) for _, value in messages("p", chunk(payloads), routes, 0)[0]]
    assert [one.payloads for one in found if one] == [payloads[:2], payloads[2:3], payloads[3:]]


@pytest.mark.parametrize(("after", "left"), [(-1, [0, 2, 4]), (0, [2, 4]), (3, [4]), (4, None), (9, None)])
def test_what_the_watermark_has_passed_is_left_out(after: int, left: list[int] | None) -> None:
    ((_, value),) = messages("p", chunk([b"a", b"a", b"a"]), Routes(b"", 1, several, "m"), 0)[0]
    found = chunk_of(read(value, "p"), after)
    assert (found.offsets if found else None) == left
    assert found is None or found.next_offset == 5


def test_a_message_of_another_profile_is_refused() -> None:
    ((_, value),) = messages("p", chunk([b"a"]), Routes(b"", 1, several, "m"), 0)[0]
    with pytest.raises(StoreError, match=r"profile p, this one has q: another profile needs another cluster\.name"):
        read(value, "q")


@pytest.mark.parametrize("value", [b"", b"\xc1", msgspec.msgpack.encode(["p", "s", 1])])
def test_what_is_no_message_is_refused(value: bytes) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        read(value, "p")


def test_offsets_that_do_not_grow_are_refused() -> None:
    given = Chunk("kafka:t/3", [b"a", b"a"], [4, 4], 5, [1, 1])
    with pytest.raises(StoreError, match="do not grow"):
        messages("p", given, Routes(b"", 1, several, "m"), 0)


def test_people_are_spread_over_partitions(honest_log: list[bytes]) -> None:
    routes = Routes(b"secret", PARTITIONS, decode_many, people.MODEL)
    assert set().union(*routes.shared(honest_log[:500], [0] * 500)[0]) == set(range(PARTITIONS))


def timed(times: list[tuple[str, int]]) -> Chunk:
    payloads = [people.line(client, people.START_US + at * people.MINUTE_US, [0.0]) for client, at in times]
    offsets = list(range(len(payloads)))
    return Chunk("kafka:t/3", payloads, offsets, len(payloads), [people.END_US] * len(payloads))


def test_records_carry_the_clock_of_the_whole_stream() -> None:
    """Also of records that went elsewhere; and whoever gets none hears of the time."""
    routes = Routes(b"secret", PARTITIONS, decode_many, people.MODEL)
    given = timed([("a", 0), ("b", 9), ("a", 5), ("b", 7)])
    sent, clock = messages("p", given, routes, 0)
    assert clock == people.START_US + 9 * people.MINUTE_US
    assert {target for target, _ in sent} == set(range(PARTITIONS))
    found = {target: read(value, "p") for target, value in sent}
    assert {(records.upto, records.clock) for records in found.values()} == {(4, clock)}
    clocks = [chunk_of(found[routes.of(client)], -1).clocks for client in ("a", "b")]  # type: ignore[union-attr]
    assert clocks == [[people.START_US, clock], [clock, clock]]


def test_while_the_tick_is_the_same_nobody_else_is_told() -> None:
    routes = Routes(b"secret", PARTITIONS, decode_many, people.MODEL)
    _, clock = messages("p", timed([("a", 0)]), routes, 0)
    sent, _ = messages("p", timed([("a", 0)]), routes, clock)
    assert [target for target, _ in sent] == [routes.of("a")]


def test_a_time_that_is_a_lie_or_of_another_model_moves_no_clock() -> None:
    routes = Routes(b"secret", PARTITIONS, decode_many, people.MODEL)
    lies = people.line("a", people.END_US + 1, [0.0])
    others = people.line("a", people.START_US, [0.0], model="another")
    given = Chunk("kafka:t/3", [lies, others], [0, 1], 2, [people.END_US] * 2)
    assert messages("p", given, routes, 17)[1] == 17
