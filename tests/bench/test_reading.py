"""What is compared reads the same: the decoder that stands beside ours in the benchmarks, and chunks as sources do."""

from __future__ import annotations

from itertools import pairwise

from bench.logs import chunks
from bench.speed import DECODER, without_groups
from detector.logs import DECODERS
from detector.redteam.world import digits_world, simulate


def test_reading_alone_reads_what_the_native_decoder_reads() -> None:
    lines = [line.rstrip(b"\n") for line in simulate(digits_world(), seed=1, honest=2).lines()]
    queries, _, refused = DECODERS["native"](lines)
    assert not refused
    for query, line in zip(queries, lines, strict=True):
        record = DECODER.decode(line)
        assert (record.input, record.client, record.id) == (query.input, query.client, query.id)
        assert record.output is not None
        assert (record.output.label, record.output.probabilities) == (query.label, query.probabilities)
        assert record.groups == query.groups != DECODER.decode(without_groups(line)).groups is None


def test_chunks_follow_each_other() -> None:
    found = list(chunks([b"%d" % i for i in range(10)], size=4))
    assert [len(chunk.payloads) for chunk in found] == [4, 4, 2]
    assert all(a.next_offset == b.offsets[0] for a, b in pairwise(found))
    assert b"".join(payload for chunk in found for payload in chunk.payloads) == b"0123456789"
