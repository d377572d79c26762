"""Sweeps of a language model: what a campaign asks, which files are read, and the command on people with matters."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from detector.cli import main
from detector.errors import SettingsError
from detector.logs.native import decode_many
from detector.profile import artefact, fit
from detector.query import Chunk
from detector.redteam import outcome
from detector.redteam.exchanges import Exchange, Said, read_texts, spoken
from detector.redteam.sweeps import SWEEPS, TEXT_MANNERS
from detector.redteam.text_campaigns import read_text_campaign, swept, text_campaigns
from tests import people

WORDS = importlib.util.find_spec("wordllama") is not None
TOPICS = ("bread", "planets", "taxes", "guitars", "rivers", "chess", "engines", "roses", "islands", "painting")
ASKING = (
    "What is the best",
    "Tell me more about the oldest",
    "How much is a small",
    "Why do people want the",
    "Who made the first",
)
OF = ("colour", "price", "history", "name", "weight", "sound", "maker", "map")

POOL = [
    Exchange(f"{start} {of} of {topic}, please?", f"The {of} of {topic} is a long story. It began with {topic}.")
    for topic in TOPICS for start in ASKING for of in OF
]  # fmt: skip


def person(i: int) -> list[Said]:
    """Some matters, one after the other, each for some prompts."""
    rng = np.random.default_rng([1, i])
    at, found = people.START_US + int(rng.integers(people.DAY_US)), []
    for topic in rng.choice(TOPICS, 8):
        own = [one for one in POOL if f"of {topic}," in one.asked]
        for k in rng.integers(len(own), size=int(rng.integers(2, 7))):
            at += int(1e6 * rng.exponential(60))
            found.append(Said(at, own[k]))
    return found


def lines(numbers: range) -> Iterator[str]:
    for i in numbers:
        for k, said in enumerate(person(i)):
            record = {"at": said.at / 1e6, "client": f"person-{i}", "id": f"{i}/{k}", "model": "assistant"}
            yield json.dumps(record | {"input": said.exchange.asked, "output": {"text": said.exchange.answer}})


HONEST = {f"person-{i}": person(i) for i in range(30)}


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.name)
def test_a_sweep_asks_what_it_should_and_the_same_by_the_same_seed(
    sweep: object, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    if read_text_campaign(name).embeds and not WORDS:
        pytest.skip("needs the extra [text]")
    found = swept(name, 0, POOL, HONEST, seed=1, budget=40)
    (said,) = found.values()
    assert 39 <= len(said) <= 40  # three wordings of thirteen prompts are 39
    assert all(a.at < b.at for a, b in pairwise(said))
    assert all(one.exchange.asked.strip() for one in said)
    assert found == swept(name, 0, POOL, HONEST, seed=1, budget=40)
    assert found != swept(name, 1, POOL, HONEST, seed=1, budget=40)


@pytest.mark.parametrize("manner", [manner.name for manner in TEXT_MANNERS])
def test_a_manner_keeps_the_budget(manner: str) -> None:
    name = f"shuffled+{manner}"
    if read_text_campaign(name).embeds and not WORDS:
        pytest.skip("needs the extra [text]")
    (said,) = swept(name, 0, POOL, HONEST, seed=1, budget=40).values()
    assert len(said) == 40


def test_a_hidden_sweep_is_that_share_of_honest_traffic() -> None:
    (said,) = swept("salad@30%", 0, POOL, HONEST, seed=1, budget=200).values()
    natural = {one.asked for one in POOL}
    own = np.mean([one.exchange.asked not in natural for one in said])
    assert 0.2 < own < 0.4
    assert len(said) <= 200


def test_a_split_sweep_is_dealt_out() -> None:
    found = swept("shuffled/8", 0, POOL, HONEST, seed=1, budget=80)
    assert [len(said) for said in found.values()] == [10] * 8
    assert len({account.ring for account in found}) == 1
    assert len({account.client for account in found}) == 8


@pytest.mark.parametrize(
    ("wrong", "said"), [("shufled", "shuffled"), ("topic+causal", "casual"), ("topic@0%", "percentage"), ("", "write")]
)
def test_a_wrong_campaign_is_refused(wrong: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read_text_campaign(wrong)


def test_all_is_every_sweep_in_every_form() -> None:
    assert {text.split("@")[0].split("/")[0].split("+")[0] for text in text_campaigns("all")} == {
        s.name for s in SWEEPS
    }
    assert set(text_campaigns("pure,hidden")) <= set(text_campaigns("all"))


def test_texts_are_lines_or_objects(tmp_path: Path) -> None:
    path = tmp_path / "texts"
    some = [
        "a plain line",
        '{"instruction": "do it", "output": "done"}',
        '{"prompt": "why", "answer": "so"}',
        '{"no": 1}',
        "{broken",
        "",
    ]
    path.write_text("\n".join(some * 20), encoding="utf-8")
    found = read_texts(path)
    assert len(found) == 80
    assert found[:4] == [
        Exchange("a plain line", ""),
        Exchange("do it", "done"),
        Exchange("why", "so"),
        Exchange("{broken", ""),
    ]


def test_too_few_texts_are_refused(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("one\ntwo\n")
    with pytest.raises(SettingsError, match="2 texts"):
        read_texts(tmp_path / "texts")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_texts(tmp_path / "gone")


def test_honest_clients_are_read_from_a_log() -> None:
    payloads = [line.encode() for line in lines(range(2))] + [
        b'{"at": 1, "client": "n", "model": "m", "input": [1, 2]}',
        b"{",
    ]
    chunk = Chunk("file:x", payloads, list(range(len(payloads))), len(payloads), [people.END_US] * len(payloads))
    found = spoken(iter([chunk]), decode_many)
    assert {client: [one.exchange for one in said] for client, said in found.items()} == {
        f"person-{i}": [one.exchange for one in person(i)] for i in range(2)
    }


@pytest.mark.skipif(not WORDS, reason="needs the extra [text]")
def test_the_command_names_sweeps_beside_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, numbers in (("learned", range(100, 190)), ("fresh", range(40))):
        (tmp_path / name).write_text("\n".join(lines(numbers)) + "\n", encoding="utf-8")
    (tmp_path / "texts").write_text("\n".join(json.dumps({"prompt": e.asked, "answer": e.answer}) for e in POOL))
    payloads = [line.encode() for line in lines(range(100, 190))]
    chunk = Chunk("file:x", payloads, list(range(len(payloads))), len(payloads), [people.END_US] * len(payloads))
    options = fit.Options(promise=0.05, horizon_us=None, watch=None)
    artefact.save(fit.fit(lambda: iter([chunk]), decode_many, None, options, lambda text: None), tmp_path / "profile")
    common = [
        "range",
        "--profile",
        str(tmp_path / "profile"),
        "--texts",
        str(tmp_path / "texts"),
        "--report",
        str(tmp_path),
    ]
    assert main(common) == 1
    assert "--honest-log" in capsys.readouterr().err
    logs = ["--honest-log", str(tmp_path / "fresh"), "--learned-log", str(tmp_path / "learned")]
    assert main([*common, *logs, "--attacks", "salad,shuffled/4", "--clients", "2", "--budget", "120"]) == 0
    report = outcome.load(tmp_path / "range.json")
    assert [one.campaign for one in report.campaigns] == ["salad", "shuffled/4"]
    assert [one.against[0].named.of for one in report.campaigns] == [2, 8]
    assert [judge.name for judge in report.detectors] == ["querywarden", "mmd", "mmd-1500"]
    assert all(judge.honest.named.of == 40 for judge in report.detectors)
    assert report.campaigns[0].against[0].named.named == 2
    assert report.campaigns[0].end.fidelity.median is None
    page = (tmp_path / "report.html").read_text()
    assert "What was saved" not in page
    assert "A language model" in page
