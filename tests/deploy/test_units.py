"""The systemd units: commands that there are, and a folder and a port for each worker."""

from __future__ import annotations

import shlex
from configparser import RawConfigParser

import pytest

from detector.cli import _parser
from detector.settings import _override
from tests.deploy.reading import UNITS

SERVICES = sorted(path.name for path in UNITS.glob("*.service"))


def unit(name: str) -> dict[str, list[str]]:
    """What [Service] says; a key may be there several times."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().partition("[Service]")[2].partition("\n[")[0].splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_units_are_whole(name: str) -> None:
    parser = RawConfigParser(strict=False)
    parser.read(UNITS / name)
    assert {"Unit", "Service"} <= set(parser.sections())
    assert unit(name)["User"] == ["querywarden"]
    assert unit(name)["NoNewPrivileges"] == ["yes"]


@pytest.mark.parametrize("name", [name for name in SERVICES if "digest" not in name])
def test_they_start_commands_that_there_are_and_again(name: str) -> None:
    (start,) = unit(name)["ExecStart"]
    program, *arguments = shlex.split(start)
    assert program == "/opt/querywarden/bin/querywarden"
    assert _parser().parse_args(arguments).command
    assert unit(name)["Restart"] == ["always"]


def test_each_worker_has_a_folder_and_a_port_of_its_own() -> None:
    service = unit("querywarden-worker@.service")
    environ = dict(value.replace("%i", "9471").split("=", 1) for value in service["Environment"])
    document: dict[str, dict[str, object]] = {}
    _override(document, environ)
    assert document == {"store": {"path": "/var/lib/querywarden/worker-9471"}, "telemetry": {"port": 9471}}
    assert "querywarden/worker-%i" in service["StateDirectory"][0].split()


def test_the_dashboard_has_a_folder_of_its_own() -> None:
    service = unit("querywarden-dashboard.service")
    document: dict[str, dict[str, object]] = {}
    _override(document, dict(value.split("=", 1) for value in service["Environment"]))
    assert document == {"store": {"path": "/var/lib/querywarden/dashboard"}}
    assert "querywarden/dashboard" in service["StateDirectory"][0].split()
