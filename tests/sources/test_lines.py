"""Lines and their offsets do not depend on how the bytes come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detector.sources.lines import LineCutter

content = st.lists(st.binary(max_size=12) | st.just(b"\n"), max_size=40).map(b"".join)


def cut(data: bytes, sizes: list[int], *, longest: int, limit: int = 3) -> list[tuple[int, bytes]]:
    """(offset, line) of all lines of `data`, fed in blocks of the given sizes (the last one again and again)."""
    cutter, at = LineCutter(at=0, longest=longest), 0
    found: list[tuple[int, bytes]] = []
    while at < len(data):
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        cutter.feed(data[at : at + size])
        at += size
        while cutter.ready:
            lines, offsets = cutter.take(limit)
            found += zip(offsets, lines, strict=True)
    cutter.finish()
    lines, offsets = cutter.take(limit)
    assert cutter.at == len(data)
    assert cutter.held == 0
    return [*found, *zip(offsets, lines, strict=True)]


@given(content, st.lists(st.integers(1, 20), min_size=1, max_size=10))
def test_any_blocks_give_the_lines_that_split_gives(data: bytes, sizes: list[int]) -> None:
    expected, at = [], 0
    for line in data.split(b"\n"):
        expected.append((at, line))
        at += len(line) + 1
    if not expected[-1][1]:
        expected.pop()  # nothing came after the last newline
    assert cut(data, sizes, longest=1000) == expected


@given(content, st.lists(st.integers(1, 20), min_size=1, max_size=10))
def test_a_long_line_is_cut_alike_in_any_blocks(data: bytes, sizes: list[int]) -> None:
    assert cut(data, sizes, longest=7) == [(at, line[:7]) for at, line in cut(data, [1000], longest=1000)]


def test_a_line_that_never_ends_does_not_fill_memory() -> None:
    cutter = LineCutter(at=0, longest=100_000)
    for _ in range(1_000):
        cutter.feed(b"x" * 10_000)
        assert len(cutter._rest) <= 110_000
    cutter.feed(b"\nnext\n")
    lines, offsets = cutter.take(5)
    assert [len(line) for line in lines] == [65_536, 4]
    assert offsets == [0, 10_000_001]
