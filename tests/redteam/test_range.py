"""`querywarden range` on the digits, in small: all judge the same queries, figures add up, one file shows them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from detector.cli import main
from detector.logs.native import decode_many
from detector.profile import artefact, fit
from detector.query import Chunk
from detector.redteam import outcome
from detector.redteam.outcome import Report
from detector.redteam.page import page
from detector.redteam.world import digits_world, simulate
from detector.run.replay import read_logs
from detector.run.verdicts import Made
from tests import people

SMALL = ["--clients", "2", "--budget", "120", "--honest", "20", "--learned", "60", "--promise", "0.05", "--seed", "3"]


def ran(folder: Path, *arguments: str) -> Report:
    assert main(["range", *SMALL, "--report", str(folder), *arguments]) == 0
    return outcome.load(folder / "range.json")


@pytest.fixture(scope="module")
def baselines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    folder = tmp_path_factory.mktemp("range")
    attacks = "uniform,harvest+narrow,line-search@30%,uniform/10"
    return ran(folder, "--attacks", attacks, "--detector", "prada", "--detector", "mmd"), folder


def test_each_detector_judges_every_account_of_each_campaign(baselines: tuple[Report, Path]) -> None:
    report, _ = baselines
    assert [one.campaign for one in report.campaigns] == [
        "uniform", "harvest", "harvest+narrow", "line-search@30%", "uniform/10",
    ]  # fmt: skip
    for one in report.campaigns:
        assert [against.detector for against in one.against] == ["prada", "mmd"]
        for against in one.against:
            assert against.named.of == 2 * one.accounts
            assert len(against.each) == against.named.named
            assert against.named.interval[0] <= against.named.share <= against.named.interval[1]
            assert all(1 <= queries <= 120 / one.accounts for queries in against.each)


def test_windows_of_a_hundred_find_noise_and_the_clone_stops_there(baselines: tuple[Report, Path]) -> None:
    report, _ = baselines
    uniform = next(one for one in report.campaigns if one.campaign == "uniform")
    mmd = next(against for against in uniform.against if against.detector == "mmd")
    assert mmd.each == (100, 100)
    assert mmd.kinds == {"extraction": 2}
    assert mmd.copy.fidelity.median != uniform.end.fidelity.median
    assert uniform.end.accuracy is not None


def test_nothing_is_saved_where_nobody_was_named(baselines: tuple[Report, Path]) -> None:
    report, _ = baselines
    split = next(one for one in report.campaigns if one.campaign == "uniform/10")
    for against in split.against:  # twelve queries an account: no window is ever full
        assert against.named.named == 0
        assert against.copy == split.end
        assert against.saved == 0.0


def test_what_adapting_costs_is_held_against_the_plain_campaign(baselines: tuple[Report, Path]) -> None:
    report, _ = baselines
    (adapted,) = report.adapted
    ends = {one.campaign: one.end.fidelity.median for one in report.campaigns}
    assert adapted.campaign == "harvest+narrow"
    assert adapted.cost == pytest.approx((ends["harvest"] or 0) - (ends["harvest+narrow"] or 0))
    assert adapted.cost > 0


def test_the_same_seed_gives_the_same_report(baselines: tuple[Report, Path], tmp_path: Path) -> None:
    report, _ = baselines
    again = ran(tmp_path, "--attacks", report.attacks, "--detector", "prada", "--detector", "mmd")
    assert msgspec.structs.replace(again, seconds=0) == msgspec.structs.replace(report, seconds=0)


class Asking(HTMLParser):
    """Whatever a browser would fetch, run, or follow; and elements that are left open."""

    VOID = ("meta", "circle", "line", "br", "path")

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object", "embed", "a", "base", "form"):
            self.foreign.append(tag)
        self.foreign += [f"{name}={value}" for name, value in attrs if name in ("src", "href", "srcset", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_asks_nobody_for_anything(baselines: tuple[Report, Path]) -> None:
    report, folder = baselines
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert text == page(report)
    reader = Asking()
    reader.feed(text)
    assert not reader.foreign
    assert not reader.open
    assert not re.search(r"url\(|@import|https?:", text)
    assert text.count("<figure>") == len(report.campaigns)
    assert text.count("The figures") == 3  # a table behind every plot


def test_what_a_campaign_is_called_is_never_markup(baselines: tuple[Report, Path]) -> None:
    report, _ = baselines
    evil = msgspec.structs.replace(report.victim, name="<script>alert(1)</script>")
    assert "<script" not in page(msgspec.structs.replace(report, victim=evil))


def test_querywarden_stands_among_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = ran(tmp_path, "--attacks", "uniform", "--learned", "120", "--detector", "querywarden")
    (uniform,) = report.campaigns
    (ours,) = uniform.against
    assert ours.detector == "querywarden"
    assert report.profile is None
    assert report.detectors[0].honest.calibrated
    assert ours.named.named == 2
    assert ours.copy.fidelity.median < uniform.end.fidelity.median  # type: ignore[operator]
    assert "uniform" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--attacks", "unifrom"], "uniform"),
        (["--victim", "nowhere"], "--victim"),
        (["--detector", "prad"], "prada"),
        (["--profile", "no-such-profile"], "no-such-profile"),
    ],
)
def test_what_cannot_be_run_is_said(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["range", *SMALL, "--report", str(tmp_path), *arguments]) == 1
    assert said in capsys.readouterr().err


def test_a_profile_of_another_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its inputs would be dead letters, and nobody would be named."""
    lines = people.log_of(people.honest(1, 90))
    chunk = Chunk(people.STREAM, lines, list(range(len(lines))), len(lines), [people.END_US] * len(lines))
    options = fit.Options(promise=0.05, horizon_us=None, watch=None)
    artefact.save(fit.fit(lambda: iter([chunk]), decode_many, None, options, lambda text: None), tmp_path / "profile")
    assert main(["range", *SMALL, "--profile", str(tmp_path / "profile"), "--report", str(tmp_path)]) == 1
    assert "20 numbers, and this victim 64" in capsys.readouterr().err


def test_cases_of_a_profile_are_written_to_teach_triage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "honest.jsonl"
    simulate(digits_world(3), seed=5, honest=90, budget=120).write(log)
    options = fit.Options(promise=0.05, horizon_us=None, watch=None)
    made = fit.fit(lambda: read_logs([str(log)]), decode_many, None, options, lambda text: None)
    artefact.save(made, tmp_path / "profile")
    ours = ["--profile", str(tmp_path / "profile"), "--detector", "querywarden", "--attacks", "uniform,harvest"]
    ran(tmp_path, *ours, "--cases", str(tmp_path / "cases.jsonl"))
    lines = (tmp_path / "cases.jsonl").read_bytes().splitlines()
    cases = [msgspec.json.decode(line, type=Made) for line in lines]
    assert {one.truth for one in cases} >= {"uniform"}
    assert {one.profile for one in cases} == {made.summary.id}
    assert len({one.case_id for one in cases}) == len(cases) <= 24
    assert all(one.evidence.signals == made.kit.names for one in cases)
    assert main(["range", *SMALL, "--report", str(tmp_path), "--cases", str(tmp_path / "other.jsonl")]) == 1
    assert "--cases are those of a --profile" in capsys.readouterr().err


@pytest.mark.slow
def test_every_pure_attack_on_the_digits(tmp_path: Path) -> None:
    """At a promise of 1%: noise and foreign pictures within ten queries, searches within forty, nobody else so soon."""
    arguments = ["--attacks", "pure", "--clients", "5", "--budget", "400", "--honest", "150", "--learned", "600"]
    assert main(["range", *arguments, "--report", str(tmp_path)]) == 0
    report = outcome.load(tmp_path / "range.json")
    found = {one.campaign: {against.detector: against for against in one.against} for one in report.campaigns}
    for name, most in (
        ("uniform", 10),
        ("data-free", 10),
        ("dfme", 10),
        ("textures", 10),
        ("equivalent", 20),
        ("line-search", 40),
    ):
        ours = found[name]["querywarden"]
        assert ours.named.share == 1.0, name
        assert ours.queries.median is not None
        assert ours.queries.median <= most, name
        for other in ("prada", "mmd"):
            assert all(queries >= 100 for queries in found[name][other].each)
    for judge in report.detectors:
        assert judge.honest.expected is not None
        assert judge.honest.named.named <= judge.honest.expected[1] + 1, judge.name
