"""The operator's training data: read whole, or refused with what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.errors import ProfileError
from detector.profile.training import training_from

X = np.arange(12.0).reshape(3, 4)


def saved(path: Path, **arrays: Any) -> str:
    np.savez(path / "training.npz", **arrays)
    return str(path / "training.npz")


def test_inputs_and_labels_are_read(tmp_path: Path) -> None:
    found = training_from(saved(tmp_path, inputs=X, labels=np.array([2, 0, 1])))
    assert found.inputs.tolist() == X.tolist()
    assert found.labels.tolist() == [2, 0, 1]


def test_images_are_read_row_by_row_and_labels_may_be_absent(tmp_path: Path) -> None:
    found = training_from(saved(tmp_path, inputs=X.reshape(3, 2, 2).astype(np.uint8)))
    assert found.inputs.tolist() == X.tolist()
    assert found.labels.tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X}, "holds x, but no array named inputs"),
        ({"inputs": np.array(["a", "b"])}, "cannot be read"),
        ({"inputs": np.array([{}, {}], dtype=object)}, "cannot be read"),
        ({"inputs": np.array(3.0)}, r"of the shape \(\)"),
        ({"inputs": np.arange(3.0)}, r"of the shape \(3,\)"),
        ({"inputs": np.empty((0, 4))}, r"of the shape \(0, 4\)"),
        ({"inputs": np.array([[1.0, np.nan]])}, "not finite"),
        ({"inputs": X, "labels": np.array([1, 2])}, r"3 inputs and labels of the shape \(2,\)"),
        ({"inputs": X, "labels": np.array(1)}, r"labels of the shape \(\)"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        training_from(saved(tmp_path, **arrays))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"\x93NUMPY", b"a,b\n1,2\n"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "training.npz").write_bytes(content)
    with pytest.raises(ProfileError, match="cannot be read"):
        training_from(str(tmp_path / "training.npz"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read"):
        training_from(str(tmp_path / "nowhere.npz"))
