"""Files: replayed once, and followed through whatever is done to them."""

from __future__ import annotations

import gzip
import os
import random
import shutil
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from detector.errors import SettingsError, SourceBusy, SourceRefused
from detector.query import Chunk
from detector.sources import unpack
from detector.sources.bounds import SLACK_US
from detector.sources.files import FileSettings
from detector.sources.files_bounded import FileReplay
from detector.sources.files_followed import FileFollower
from tests.sources.clock import HandClock

LINES = [f'{{"client": "c{number}", "input": [{number}]}}'.encode() for number in range(500)]
TEXT = b"".join(line + b"\n" for line in LINES)


def pack_gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def pack_zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def replay(*paths: Path | str, positions: Mapping[str, int] | None = None, **changes: Any) -> FileReplay:
    usual = {"batch_size": 100, "max_record_bytes": 1 << 20, "clock": HandClock()}
    source = FileReplay(tuple(map(str, paths)), **{**usual, **changes})
    source.open(positions or {})
    return source


def follow(*paths: Path | str, positions: Mapping[str, int] | None = None, **changes: Any) -> FileFollower:
    usual = {"batch_size": 100, "max_record_bytes": 1 << 20, "clock": HandClock()}
    source = FileFollower(tuple(map(str, paths)), **{**usual, **changes})
    source.open(positions or {})
    return source


def drain(source: FileReplay | FileFollower) -> list[Chunk]:
    chunks: list[Chunk] = []
    while found := source.read(0.0):
        chunks += found
    return chunks


def records(chunks: list[Chunk]) -> list[tuple[int, bytes]]:
    return [record for chunk in chunks for record in zip(chunk.offsets, chunk.payloads, strict=True)]


def drain_into(got: list[bytes], source: FileReplay) -> None:
    while not source.exhausted:
        got += [payload for chunk in source.read(0.0) for payload in chunk.payloads]


def lines(source: FileReplay | FileFollower) -> list[bytes]:
    return [payload for chunk in drain(source) for payload in chunk.payloads]


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        TEXT[:-1],
        pack_gzip(TEXT),
        pack_gzip(TEXT[:5_000]) + pack_gzip(TEXT[5_000:]),
        pack_gzip(TEXT) + bytes(512),
        pack_zstd(TEXT),
        pack_zstd(TEXT[:5_000]) + pack_zstd(TEXT[5_000:]),
        b"\x50\x2a\x4d\x18\x04\x00\x00\x00meta" + pack_zstd(TEXT),
    ],
    ids=["plain", "no last newline", "gzip", "members", "padded gzip", "zstd", "frames", "skippable frame"],
)
def test_every_kind_gives_the_same_lines_in_the_same_stream(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "named-like-nothing"
    path.write_bytes(data)
    source = replay(path)
    chunks = drain(source)
    assert [payload for chunk in chunks for payload in chunk.payloads] == LINES
    assert source.exhausted
    (tmp_path / "plain").write_bytes(TEXT)
    assert {chunk.stream for chunk in chunks} == set(replay(tmp_path / "plain").streams())


@pytest.mark.parametrize("pack", [bytes, pack_gzip, pack_zstd])
def test_reading_again_from_any_offset_goes_on_exactly(tmp_path: Path, pack: Any) -> None:
    path = tmp_path / "log"
    path.write_bytes(pack(TEXT))
    chunks = drain(replay(path, batch_size=7))
    for index in range(0, len(chunks), 9):
        rest = replay(path, positions={chunks[index].stream: chunks[index].next_offset})
        assert lines(rest) == [payload for chunk in chunks[index + 1 :] for payload in chunk.payloads]


@given(
    st.lists(st.binary(max_size=30), min_size=1, max_size=30),
    st.sampled_from([bytes, pack_gzip, pack_zstd]),
    st.integers(1, 40),
    st.integers(1, 9),
    st.booleans(),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_content_in_any_block_sizes_can_be_resumed_anywhere(
    tmp_path: Path, pieces: list[bytes], pack: Any, block: int, batch_size: int, followed: bool
) -> None:
    path = tmp_path / "log"
    data = b"\n".join(pieces) + b"\n"
    assume(data[:2] != b"\x1f\x8b" and data[:4] != b"\x28\xb5\x2f\xfd")  # else it is what it says it is
    path.write_bytes(pack(data))
    begin = follow if followed else replay
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpack, "PLAIN_BLOCK", block)
        patch.setattr(unpack, "PACKED_BLOCK", block)
        source = begin(path, batch_size=batch_size)
        chunks = drain(source)
        source.close()
        starts = [0, *accumulate(len(piece) + 1 for piece in data.split(b"\n"))]
        assert records(chunks) == list(zip(starts, data.split(b"\n")[:-1], strict=False))
        for index, chunk in enumerate(chunks):
            resumed = begin(path, batch_size=batch_size, positions={chunk.stream: chunk.next_offset})
            assert records(drain(resumed)) == records(chunks[index + 1 :])
            resumed.close()


@pytest.mark.parametrize(("pack", "part"), [(pack_gzip, "gzip member"), (pack_zstd, "zstd frame")])
def test_a_torn_tail_gives_what_is_whole_and_then_says_where(tmp_path: Path, pack: Any, part: str) -> None:
    noise = random.Random(1)
    entries = [f"{noise.getrandbits(400):x}".encode() for _ in range(5_000)]
    packed = pack(b"\n".join(entries[:3_000]) + b"\n") + pack(b"\n".join(entries[3_000:]) + b"\n")
    torn, other = tmp_path / "a-torn", tmp_path / "b-whole"
    torn.write_bytes(packed[:-1_000])
    other.write_bytes(TEXT)
    os.utime(torn, (1, 1))
    source = replay(torn, other)
    got: list[bytes] = []
    with pytest.raises(SourceRefused, match=rf"a-torn ends in the middle of a {part}, at byte {len(packed) - 1_000}"):
        drain_into(got, source)
    assert got[-len(LINES) :] == LINES  # the others are read all the same
    whole = got[: -len(LINES)]
    assert whole == entries[: len(whole)]
    assert len(whole) >= 3_000
    assert source.exhausted


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    packed = bytearray(pack_gzip(TEXT) + pack_gzip(TEXT))
    packed[-5] ^= 0xFF
    (tmp_path / "log").write_bytes(packed)
    source = replay(tmp_path / "log")
    with pytest.raises(SourceRefused, match=rf"damaged in the gzip member that begins at byte {len(packed) // 2}"):
        drain_into([], source)


def test_a_huge_line_becomes_its_head(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(pack_gzip(b"[" + b" " * 30_000_000 + b"]\n") + pack_gzip(TEXT))
    got = lines(replay(tmp_path / "log"))
    assert (len(got[0]), got[1:]) == (65_536, LINES)


def test_files_come_in_the_order_in_which_they_were_last_written(tmp_path: Path) -> None:
    for name, day in (("a", 3), ("b", 1), ("c", 2)):
        (tmp_path / name).write_bytes(name.encode() + b"\n")
        os.utime(tmp_path / name, (day, day))
    source = replay(tmp_path / "*")
    assert len(source.streams()) == 3
    assert lines(source) == [b"b", b"c", b"a"]
    assert source.streams() == []


def test_a_copy_is_not_read_twice_and_a_longer_one_goes_on(tmp_path: Path) -> None:
    (tmp_path / "copy.gz").write_bytes(pack_gzip(TEXT[:1_000]))
    (tmp_path / "log").write_bytes(TEXT)
    assert lines(replay(tmp_path / "*")) == LINES


def test_logs_with_the_same_first_line_are_told_apart(tmp_path: Path) -> None:
    for name, day in (("a", 1), ("b", 2)):
        (tmp_path / name).write_bytes(b"header\n" + name.encode() + b"\n")
        os.utime(tmp_path / name, (day, day))
    chunks = drain(replay(tmp_path / "a", tmp_path / "b"))
    assert [chunk.payloads for chunk in chunks] == [[b"header", b"a"], [b"header", b"b"]]
    positions = {chunk.stream: chunk.next_offset for chunk in chunks}
    assert len(positions) == 2
    (tmp_path / "a").unlink()
    with (tmp_path / "b").open("ab") as file:
        file.write(b"more\n")
    assert lines(replay(tmp_path / "b", positions=positions)) == [b"more"]


def test_a_position_beyond_the_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(TEXT)
    (chunk, *_) = drain(replay(tmp_path / "log"))
    with pytest.raises(SourceRefused, match="before the stored position 99999999"):
        replay(tmp_path / "log", positions={chunk.stream: 99_999_999})


def test_a_compressed_file_that_ends_before_the_position_is_refused_when_that_is_found(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(pack_gzip(TEXT))
    (chunk, *_) = drain(replay(tmp_path / "log"))
    source = replay(tmp_path / "log", positions={chunk.stream: len(TEXT) + 1})
    with pytest.raises(SourceRefused, match=f"ends at byte {len(TEXT)}, before the stored position"):
        source.read(0.0)


def test_no_file_is_busy_and_no_path_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SourceBusy, match="no file matches"):
        replay(tmp_path / "*.jsonl")
    with pytest.raises(SettingsError):
        FileSettings(paths=())


def test_bounds_and_lag(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(TEXT)
    clock = HandClock()
    source = replay(tmp_path / "log", clock=clock)
    assert list(source.lag().values()) == [len(TEXT)]
    (chunk,) = source.read(0.0)
    assert chunk.bounds_at == [clock() + SLACK_US] * 100
    assert list(source.lag().values()) == [len(TEXT) - chunk.next_offset]


def test_a_followed_file_waits_for_the_end_of_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    source = follow(path)
    assert lines(source) == [b"one"]
    with path.open("ab") as file:
        file.write(b"o\nthree\n")
    assert lines(source) == [b"two", b"three"]
    assert not source.exhausted


def test_a_followed_file_may_not_be_there_yet(tmp_path: Path) -> None:
    source = follow(tmp_path / "log")
    assert source.read(0.0) == []
    assert source.streams() == []
    (tmp_path / "log").write_bytes(b"on")
    assert source.read(0.0) == []
    (tmp_path / "log").write_bytes(b"one\n")
    assert lines(source) == [b"one"]


@pytest.mark.parametrize("pattern", ["log", "log*"])
def test_rotation_by_rename_ends_the_old_file_before_the_new(tmp_path: Path, pattern: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a1\n")
    source = follow(tmp_path / pattern, batch_size=2)
    assert lines(source) == [b"a1"]
    writer = path.open("ab")
    path.rename(tmp_path / "log.1")
    path.write_bytes(b"b1\nb2\n")
    writer.write(b"a2\na3\na4\n")
    writer.flush()
    assert lines(source) == [b"a2", b"a3", b"a4", b"b1", b"b2"]
    writer.write(b"a5\n")  # by a process that has not noticed yet
    writer.close()
    assert lines(source) == [b"a5"]
    assert len(source.streams()) == 2


def test_a_rotated_file_stops_counting_as_a_stream(tmp_path: Path) -> None:
    clock, path = HandClock(), tmp_path / "log"
    path.write_bytes(b"a1\n")
    source = follow(tmp_path / "log*", clock=clock)
    drain(source)
    path.rename(tmp_path / "log.1")
    path.write_bytes(b"b1\n")
    os.utime(tmp_path / "log.1", (1, 1))
    assert lines(source) == [b"b1"]
    for _ in range(2):
        clock.forward(61)
        assert lines(source) == []
    assert len(source.streams()) == 1
    (tmp_path / "log.1").write_bytes(b"a1\na2\n")
    assert lines(source) == [b"a2"]


def test_a_compressed_rotated_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(TEXT)
    source = follow(tmp_path / "log*")
    assert lines(source) == LINES
    path.rename(tmp_path / "log.1")
    path.write_bytes(b"new\n")
    (tmp_path / "log.1.gz").write_bytes(pack_gzip(TEXT + b"last\n"))
    (tmp_path / "log.1").unlink()
    clock = source._clock
    assert isinstance(clock, HandClock)
    got = []
    for _ in range(4):
        got += lines(source)
        clock.forward(61)
    assert got == [b"new", b"last"]
    source.close()
    assert lines(follow(tmp_path / "log*", positions=source.positions())) == []


def test_copytruncate_begins_another_stream(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(TEXT)
    source = follow(tmp_path / "log*")
    drain(source)
    old = source.streams()
    with path.open("ab") as file:
        file.write(b"unread\n")
    shutil.copyfile(path, tmp_path / "log.1")
    path.write_bytes(b"new\n")  # the same inode, cut to nothing
    assert sorted(lines(source)) == [b"new", b"unread"]
    assert set(old) < set(source.streams())


def test_a_compressor_at_work_is_waited_for(tmp_path: Path) -> None:
    packed = pack_gzip(TEXT)
    (tmp_path / "log.gz").write_bytes(packed[:-900])
    source = follow(tmp_path / "*")
    first = lines(source)
    assert first == LINES[: len(first)]
    (tmp_path / "log.gz").write_bytes(packed)
    assert first + lines(source) == LINES
