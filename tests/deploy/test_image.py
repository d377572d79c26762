"""The image: nobody with rights, only packages of the lock, and a health check that asks what there is."""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib
from typing import NamedTuple

import pytest

from detector.cli import _parser
from detector.settings import TelemetrySettings
from tests.deploy.probing import status
from tests.deploy.reading import DEPLOY
from tests.docs.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


class Said(NamedTuple):
    """An instruction and what stands behind it, in a stage."""

    stage: str
    word: str
    rest: str


def dockerfile() -> list[Said]:
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    found, stage = [], ""
    for line in text.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stage = rest.rpartition(" AS ")[2] if " AS " in rest else "last"
        if word:
            found.append(Said(stage, word, " ".join(rest.split())))
    return found


SAID = dockerfile()
LAST = {said.word: said.rest for said in SAID if said.stage == "last"}
ARGS = dict(said.rest.split("=", 1) for said in SAID if said.word == "ARG" and "=" in said.rest)
COPIED = [
    source.replace("${PAGE}", ARGS["PAGE"])
    for said in SAID
    if said.word == "COPY" and not said.rest.startswith("--from")
    for source in said.rest.split()[:-1]
]
PAGES = [path for path in ("dashboard", "detector/dashboard/page") if (ROOT / path / "package.json").exists()]


def test_it_runs_as_a_number_that_is_not_root() -> None:
    user, _, group = LAST["USER"].partition(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000


def test_packages_are_those_of_the_lock_by_their_hashes_and_nothing_else_is_fetched() -> None:
    runs = [said.rest for said in SAID if said.word == "RUN" and "pip" in said.rest]
    assert [run for run in runs if "--require-hashes" in run and "-r requirements.lock" in run] == runs[:1]
    before = SAID[: next(i for i, said in enumerate(SAID) if said.rest == runs[1])]
    assert any(said.word == "ENV" and "PIP_NO_INDEX=1" in said.rest for said in before)
    assert "npm ci" in " ".join(said.rest for said in SAID if said.stage == "page")


def test_its_extras_are_ours() -> None:
    assert set(ARGS["EXTRAS"].split(",")) <= set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("source", COPIED)
def test_what_is_copied_is_there_and_reaches_the_build(source: str) -> None:
    name = source.rstrip("/")
    if name.startswith(ARGS["PAGE"]) and not PAGES:
        pytest.skip("the dashboard's page is not in this tree")
    assert (ROOT / name).exists()
    let_in = [
        line[1:].rstrip("/")
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line[:1] == "!"
    ]
    assert any(fnmatch.fnmatch(name, pattern) or name.startswith(pattern + "/") for pattern in let_in)


def test_its_health_check_asks_what_the_port_answers() -> None:
    check = LAST["HEALTHCHECK"]
    (path,) = re.findall(r"/(\w+z)\\", check) or re.findall(r"\}/(\w+)", check)
    assert status(f"/{path}") == 200
    assert f"QUERYWARDEN_TELEMETRY__PORT={LAST['EXPOSE']}" in LAST["ENV"]
    assert int(LAST["EXPOSE"]) == TelemetrySettings().port


def test_it_starts_a_command_that_there_is() -> None:
    assert json.loads(LAST["ENTRYPOINT"]) == ["querywarden"]
    assert "querywarden" in PROJECT["scripts"]
    assert _parser().parse_args(json.loads(LAST["CMD"])).command
