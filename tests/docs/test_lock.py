"""The lock holds what pyproject.toml asks for, exactly and with hashes, and says nothing of where it came from."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs.pages import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
PINNED = re.compile(r"^([a-z0-9-]+)==([^ ;]+)( ;[^\\]*)? \\$", re.MULTILINE)


def asked_for() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    groups = [project["project"]["dependencies"], *extras, *project["dependency-groups"].values()]
    return [Requirement(line) for lines in (*groups, project["build-system"]["requires"]) for line in lines]


def test_everything_asked_for_is_there_in_a_fitting_version() -> None:
    locked: dict[str, list[str]] = {}
    for name, version, _ in PINNED.findall(LOCK):
        locked.setdefault(name, []).append(version)
    for wanted in asked_for():
        versions = locked.get(canonicalize_name(wanted.name), [])
        assert versions, f"{wanted.name} is not in the lock: make lock"
        assert all(wanted.specifier.contains(version) for version in versions), wanted


def test_every_entry_is_pinned_and_has_hashes() -> None:
    entries = re.split(r"^(?=[a-zA-Z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert all(PINNED.match(entry) and "--hash=sha256:" in entry for entry in entries)


def test_no_address_is_in_it() -> None:
    assert "://" not in LOCK
    assert not re.search(r"^(--index-url|--extra-index-url|--find-links|-f|-i)\b", LOCK, re.MULTILINE)
