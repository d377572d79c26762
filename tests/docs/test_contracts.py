"""The import contracts name every part that there is."""

from __future__ import annotations

from configparser import ConfigParser

from sinks import SINKS
from tests.docs.pages import ROOT


def test_every_sink_is_kept_apart_from_the_others() -> None:
    contracts = ConfigParser()
    contracts.read(ROOT / ".importlinter")
    named = contracts["importlinter:contract:destinations"]["modules"].split()
    assert set(named) == {settings.__module__ for settings in SINKS}
