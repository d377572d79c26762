"""The profile as a directory: what comes back is what was saved, or a ProfileError says what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from detector.errors import ProfileError
from detector.profile import artefact
from detector.profile.artefact import Profile
from tests import people
from tests.driving import drive, pipeline


@pytest.fixture(scope="module")
def folder(profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("profile") / "made" / "here"
    artefact.save(profile, directory)
    return directory


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "profile")
    return tmp_path / "profile"


def test_what_comes_back_scores_as_what_was_saved(profile: Profile, folder: Path) -> None:
    records = people.log_of(people.in_order(people.honest(6, 30) + people.noise("thief", group="o6-1")))
    again = artefact.load(folder)
    assert again.summary == profile.summary
    assert drive(pipeline(again), people.chunks(records)) == drive(pipeline(profile), people.chunks(records))


def test_every_array_comes_back_bit_for_bit(profile: Profile, folder: Path) -> None:
    again = artefact.load(folder)
    for kind, law in profile.laws.items():
        for name, value in law._asdict().items():
            assert np.asarray(value).tobytes() == np.asarray(getattr(again.laws[kind], name)).tobytes(), name
        assert profile.suprema[kind].tobytes() == again.suprema[kind].tobytes()
    assert {k: v.tobytes() for k, v in profile.learned.items()} == {k: v.tobytes() for k, v in again.learned.items()}


def test_the_secret_is_for_its_owner_only(folder: Path) -> None:
    assert (folder / "profile.json").stat().st_mode & 0o077 == 0


def test_saving_again_replaces_it(profile: Profile, copied: Path) -> None:
    artefact.save(profile, copied)
    assert artefact.load(copied).summary == profile.summary
    assert sorted(path.name for path in copied.iterdir()) == ["arrays.npz", "profile.json"]


# -- what was changed


def leaves(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    if not inner or (not isinstance(document, dict | list)):
        yield path
    for key, value in inner:
        yield from leaves(value, (*path, key))


def other(value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case None:
            return 1
        case list():
            return [*value, "x"]
        case _:
            return value | {"x": 1}


def test_a_changed_field_is_found(copied: Path) -> None:
    document = json.loads((copied / "profile.json").read_bytes())
    places = list(leaves(document))
    assert len(places) > 60
    for *way, last in places:
        changed = json.loads(json.dumps(document))
        place = changed
        for key in way:
            place = place[key]
        place[last] = other(place[last])
        (copied / "profile.json").write_text(json.dumps(changed))
        assert is_refused(copied), f"{way} {last} was changed and nobody noticed"


def is_refused(directory: Path) -> bool:
    try:
        artefact.load(directory)
    except ProfileError:
        return True
    return False


def test_a_changed_byte_of_the_arrays_is_found_or_changes_nothing(profile: Profile, copied: Path) -> None:
    """Some bytes of a zip archive (times, say) carry nothing of the arrays; whatever is raised is a ProfileError."""
    path = copied / "arrays.npz"
    packed = path.read_bytes()
    rng = np.random.default_rng(0)
    found = 0
    ends = [*range(40), *range(len(packed) - 200, len(packed))]  # where the archive's own fields are
    for at in [*ends, *rng.integers(len(packed), size=100).tolist()]:
        broken = bytearray(packed)
        broken[at] ^= int(rng.integers(1, 256))
        path.write_bytes(broken)
        try:
            again = artefact.load(copied)
        except ProfileError:
            found += 1
        else:
            assert again.summary.id == profile.summary.id
            assert again.laws["client"].alpha.tobytes() == profile.laws["client"].alpha.tobytes()
    assert found > 150


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
@pytest.mark.parametrize("name", ["arrays.npz", "profile.json"])
def test_a_file_that_was_cut_off_is_no_profile(copied: Path, name: str, keep: int) -> None:
    whole = (copied / name).read_bytes().rstrip()
    (copied / name).write_bytes(whole[:keep])
    with pytest.raises(ProfileError, match="cannot be read"):
        artefact.load(copied)


@pytest.mark.parametrize("name", ["arrays.npz", "profile.json"])
def test_a_torn_directory_is_no_profile_and_says_what_is_missing(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ProfileError, match=f"is not a profile: .*{name} is not there"):
        artefact.load(copied)


def test_arrays_of_another_profile_are_refused(copied: Path) -> None:
    with np.load(copied / "arrays.npz") as stored:
        arrays = dict(stored)
    arrays["suprema.client"] = arrays["suprema.client"] - 1
    np.savez_compressed(copied / "arrays.npz", **arrays)
    with pytest.raises(ProfileError, match="was changed after it was made"):
        artefact.load(copied)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("unpickled",))


def test_nothing_is_ever_unpickled(copied: Path) -> None:
    with np.load(copied / "arrays.npz") as stored:
        arrays = dict(stored)
    arrays["suprema.client"] = np.array([Bomb()], dtype=object)
    np.savez_compressed(copied / "arrays.npz", **arrays)
    with pytest.raises(ProfileError, match="cannot be read"):
        artefact.load(copied)


def resealed(directory: Path, **changes: Any) -> None:
    """A profile that is whole, but from another version."""
    summary = msgspec.json.decode((directory / "profile.json").read_bytes(), type=artefact.Summary)
    with np.load(directory / "arrays.npz") as stored:
        arrays = dict(stored)
    summary = msgspec.structs.replace(summary, **changes)
    summary = msgspec.structs.replace(summary, id=artefact._fingerprint(summary, arrays))
    (directory / "profile.json").write_bytes(msgspec.json.encode(summary))


def test_another_format_is_refused(copied: Path) -> None:
    resealed(copied, format=artefact.FORMAT - 1)
    with pytest.raises(ProfileError, match=f"has format {artefact.FORMAT - 1}, this version reads {artefact.FORMAT}"):
        artefact.load(copied)


def test_another_row_layout_is_refused(profile: Profile, copied: Path) -> None:
    rows = profile.summary.rows | {"client": profile.summary.rows["client"] | {"bytes": 8}}
    resealed(copied, rows=rows)
    with pytest.raises(ProfileError, match="another row layout"):
        artefact.load(copied)
