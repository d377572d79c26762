"""The benchmark's images: the file format, the halves, the fallback's shares; no download."""

from __future__ import annotations

import io

import numpy as np
import pytest

from bench import datasets, worlds


def test_idx_is_read_as_written() -> None:
    data = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    header = b"\0\0\x08\x03" + np.array(data.shape, dtype=">u4").tobytes()
    assert np.array_equal(datasets._idx(io.BytesIO(header + data.tobytes())), data)


def test_halving_takes_the_mean_of_four() -> None:
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, :2, :2] = [[255, 255], [0, 0]]
    assert datasets.halve(image)[0, 0] == pytest.approx(0.5)
    assert datasets.halve(image).shape == (1, 196)


@pytest.mark.parametrize("n", [5000, 70_000])
def test_the_parts_are_disjoint_and_cover_all(n: int) -> None:
    parts = worlds._parts(n)
    rows = np.concatenate(list(parts.values()))
    assert len(rows) == len(np.unique(rows)) == n
    assert len(parts["train"]) == n * 12 // 70
