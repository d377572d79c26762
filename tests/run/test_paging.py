"""Rows in a file that the system pages are the same rows."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.entities import Entities
from detector.errors import StoreError
from detector.run import paging
from detector.run.paging import Paged
from tests.layouts import CLIENT_ROW

writes = st.lists(st.tuples(st.sampled_from("abcdefghij"), st.integers(0, 2**32 - 1), st.booleans()), max_size=40)


def table() -> Entities:
    return Entities("m", "client", CLIENT_ROW, b"s" * 32, capacity=1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "LEAST", 1)  # so that a table grows at each second entity


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes)
def test_the_same_is_written_and_read_as_in_memory(
    small: None, tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, int, bool]]
) -> None:
    plain, paged = table(), table()
    paged.kept_by(Paged(tmp_path_factory.getbasetemp()))
    for id_, number, forget in asked:
        for each in (plain, paged):
            slot = each.slot(id_)  # before `rows` is looked at: a new slot may enlarge it
            each.rows["n"][slot] = number
            each.touched(each.slots([id_]))
            if forget:
                each.forget(id_)
    assert list(paged.changed()) == list(plain.changed())
    assert paged.ids == plain.ids


def test_rows_that_were_there_before_are_taken_along(tmp_path: Path) -> None:
    entities = table()
    slots = entities.slots(["a", "b", "c"])
    entities.rows["n"][slots] = [1, 2, 3]
    entities.kept_by(Paged(tmp_path))
    assert entities.rows["n"][entities.slots(["a", "b", "c"])].tolist() == [1, 2, 3]
    assert len(entities.dirty) == len(entities.weighed_by) == len(entities.rows)


def test_the_file_has_no_name_and_its_blocks_are_reserved(tmp_path: Path) -> None:
    rows = Paged(tmp_path)(np.zeros(1, CLIENT_ROW))
    assert not list(tmp_path.iterdir())
    held = [os.stat(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_file_in(fd, tmp_path)]
    assert [one.st_blocks * 512 >= rows.nbytes for one in held] == [True]


def test_where_the_disk_is_full_it_is_said(tmp_path: Path) -> None:
    place = Paged(tmp_path)
    with _no_file_larger_than(1 << 20), pytest.raises(StoreError, match=r"no room for the rows of 1,025 entities"):
        place(np.zeros(1, CLIENT_ROW))


def _is_file_in(fd: str, folder: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith(f"{folder}/")
    except FileNotFoundError:  # of the listing itself
        return False


@contextmanager
def _no_file_larger_than(size: int) -> Iterator[None]:
    """Stands for a full disk: the system refuses to reserve blocks in the same call."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
