"""The file sink on a real file system: torn lines, rotation, full disks, crashes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec
import pytest

from detector.alert import Alert
from detector.errors import SinkBusy, SinkRefused
from sinks.contract import Delivery
from sinks.file import REMEMBERED, FileSettings, FileSink
from tests.sinks.alerts import alert


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alerts.jsonl"


def sink(path: Path) -> FileSink:
    return FileSettings(path=str(path)).open()


def ids(path: Path) -> list[str]:
    return [msgspec.json.decode(line, type=Alert).id for line in path.read_bytes().splitlines()]


def expected(*numbers: int) -> list[str]:
    return [alert(number).id for number in numbers]


def test_opening_touches_nothing(path: Path) -> None:
    sink(path).close()
    assert not path.exists()


def test_the_bytes_are_synced_before_the_answer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    one = sink(path)
    one.check()
    monkeypatch.setattr(os, "fsync", lambda fd: sizes.append(os.fstat(fd).st_size))
    one.deliver([alert(1)])
    assert sizes == [path.stat().st_size]


@pytest.mark.parametrize("cut", [1, 20, 300])
def test_a_torn_last_line_is_cut_and_the_alert_comes_again(path: Path, cut: int) -> None:
    sink(path).deliver([alert(1), alert(2)])
    os.truncate(path, path.stat().st_size - cut)
    sink(path).deliver([alert(2), alert(3)])
    assert ids(path) == expected(1, 2, 3)


def test_a_file_that_is_not_ours_is_left_alone(path: Path) -> None:
    path.write_text("precious\ntext")
    with pytest.raises(SinkRefused, match="right file"):
        sink(path).deliver([alert(1)])
    assert path.read_text() == "precious\ntext"


def test_lines_of_others_are_no_hindrance(path: Path) -> None:
    path.write_bytes(b'note\n{"id":"\xff"}\n{"id":3}\n')
    sink(path).deliver([alert(1)])
    assert path.read_bytes().splitlines()[:3] == [b"note", b'{"id":"\xff"}', b'{"id":3}']


def test_after_a_crash_what_was_written_is_not_doubled(path: Path) -> None:
    sink(path).deliver([alert(number) for number in range(3)])
    sink(path).deliver([alert(number) for number in range(1, 5)])
    assert ids(path) == expected(0, 1, 2, 3, 4)


def test_only_the_end_of_a_long_file_is_read(path: Path) -> None:
    sink(path).deliver([alert(number) for number in range(REMEMBERED + 2)])
    again = sink(path)
    again.deliver([alert(1), alert(REMEMBERED + 1)])
    assert ids(path)[-2:] == expected(REMEMBERED + 1, 1)


def test_a_rotated_file_is_followed_and_known_ids_stay_known(path: Path) -> None:
    one = sink(path)
    one.deliver([alert(1)])
    path.rename(path.with_suffix(".1"))
    one.deliver([alert(1), alert(2)])
    assert ids(path.with_suffix(".1")) == expected(1)
    assert ids(path) == expected(2)


def test_a_file_that_was_replaced_is_followed(path: Path) -> None:
    one = sink(path)
    one.deliver([alert(1)])
    path.rename(path.with_suffix(".1"))
    path.touch()
    one.deliver([alert(2)])
    assert ids(path) == expected(2)


def test_a_file_that_was_truncated_in_place_is_appended_to(path: Path) -> None:
    one = sink(path)
    one.deliver([alert(1)])
    os.truncate(path, 0)
    one.deliver([alert(2)])
    assert ids(path) == expected(2)


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_leaves_nothing_behind_and_passes(path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sink(path)
    one.deliver([alert(1)])
    write = os.write

    def full(fd: int, data: bytes = b"") -> int:
        if call == "write" and len(data) > 10:
            return write(fd, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(SinkBusy, match="No space left"):
            one.deliver([alert(2)])
    assert ids(path) == expected(1)
    assert one.deliver([alert(2)]) == Delivery()
    assert ids(path) == expected(1, 2)


def test_a_really_full_device_is_refused_as_no_file() -> None:
    with pytest.raises(SinkRefused, match="not a regular file"):
        FileSettings(path="/dev/full").open().check()


def test_a_missing_folder_needs_a_human(tmp_path: Path) -> None:
    with pytest.raises(SinkRefused, match="No such file"):
        sink(tmp_path / "missing" / "alerts.jsonl").deliver([alert(1)])


def test_a_folder_in_its_place_needs_a_human(tmp_path: Path) -> None:
    with pytest.raises(SinkRefused, match="directory"):
        sink(tmp_path).check()


def test_a_denied_file_needs_a_human(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", denied)  # root, who runs many a test, is denied nothing
    with pytest.raises(SinkRefused, match="Permission denied"):
        sink(path).check()
