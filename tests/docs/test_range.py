"""docs/range.md knows every attack, manner, detector and field, and nothing that is not there."""

from __future__ import annotations

import re

from detector.redteam import ATTACKS, outcome
from detector.redteam.detectors import BASELINES
from detector.redteam.manners import MANNERS
from detector.redteam.sweeps import SWEEPS, TEXT_MANNERS
from tests.docs.pages import ROOT, first_cells

PAGE = ROOT / "docs" / "range.md"


def test_attacks_are_described() -> None:
    described = set(", ".join(first_cells(PAGE, "attack")).replace("`", "").split(", "))
    assert described == {attack.name for attack in ATTACKS}


def test_manners_are_described() -> None:
    assert set(first_cells(PAGE, "manner")) == {manner.name for manner in MANNERS}


def test_sweeps_are_described() -> None:
    assert set(first_cells(PAGE, "sweep")) == {sweep.name for sweep in SWEEPS}
    assert set(first_cells(PAGE, "rewritten")) == {manner.name for manner in TEXT_MANNERS}


def test_detectors_are_described() -> None:
    text = PAGE.read_text()
    assert all(f"`{name}`" in text for name, _ in BASELINES)


def test_fields_of_the_report_are_described() -> None:
    described = set(", ".join(first_cells(PAGE, "field")).replace("`", "").split(", "))
    assert described == set(outcome.Report.__struct_fields__)
    words = set(re.findall(r"`(\w+)`", PAGE.read_text()))
    structs = (outcome.Victim, outcome.Judge, outcome.Honest, outcome.Attacked, outcome.Against, outcome.Adapted)
    for struct in structs:
        assert set(struct.__struct_fields__) - {"detector"} <= words, struct


def test_the_format_is_the_one_described() -> None:
    assert f"`{outcome.FORMAT}`" in PAGE.read_text()
