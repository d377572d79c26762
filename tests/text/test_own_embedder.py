"""An embedder of the operator's own: it embeds each text alone, and is run only where he named it."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from detector import upkeep
from detector.columns import WIDTH
from detector.errors import ProfileError, SettingsError
from detector.logs.native import decode_many
from detector.profile import fit
from detector.query import Query
from detector.text.reading import Text, trust
from tests.driving import drive, pipeline
from tests.test_text import OPTIONS, chunk, person, sweep

MINE = "python:mine:embed"


def embed(text: str) -> list[float]:
    """Words hashed into 16 numbers."""
    found = np.zeros(16)
    for word in text.split():
        found[zlib.crc32(word.encode()) % 16] += 1.0
    return found.tolist()


def query(text: str, answer: str | None = None) -> Query:
    return Query(0, "a", "m", text, text=answer)  # type: ignore[arg-type]


def test_prompt_and_answer_are_added_and_a_batch_changes_nothing() -> None:
    trust(MINE, embed)
    asked = [query("one two", "three"), query("two two"), query("")]
    whole = Text(MINE).read(asked, 16)
    expected = np.add(embed("one two"), embed("three"))
    assert whole.inputs[0] == pytest.approx(expected / np.linalg.norm(expected))
    alone = np.concatenate([Text(MINE).read([one], 16).inputs for one in asked])
    assert alone.tobytes() == whole.inputs.tobytes()


def test_other_numbers_than_the_profile_reads_are_set_aside() -> None:
    trust(MINE, lambda text: [1.0] * (16 if text != "short" else 3) if text != "wild" else [np.inf] * 16)
    asked = [query("short", "short"), query("fine"), query("wild"), query("short"), query("fine", "short")]
    found = Text(MINE).read(asked, 16)
    assert [(one.place, one.reason) for one in found.unfit] == [(i, WIDTH) for i in (0, 2, 3, 4)]
    assert not found.inputs[[0, 2, 3, 4]].any()


def test_it_may_give_arrays() -> None:
    trust(MINE, lambda text: np.array(embed(text), np.float32))
    assert Text(MINE).read([query("one two", "three")], None).inputs.shape == (1, 16)


def test_a_profile_alone_never_has_code_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('it was imported')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProfileError, match="nobody named here: set `embedder` under"):
        Text("python:evil:embed")


def test_the_operator_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ours_for_a_test.py").write_text("def embed(text):\n    return [float(len(text)), 1.0]\n")
    monkeypatch.chdir(tmp_path)
    upkeep.trusted("python:ours_for_a_test:embed")
    assert Text("python:ours_for_a_test:embed").read([query("abc")], None).inputs.shape == (1, 2)
    with pytest.raises(SettingsError, match="has no embedded"):
        upkeep.trusted("python:ours_for_a_test:embedded")


def test_sweeps_are_named_by_it() -> None:
    trust(MINE, embed)
    log = chunk(*(person(i) for i in range(100)))
    options = fit.Options(**{name: getattr(OPTIONS, name) for name in OPTIONS.__struct_fields__} | {"embedder": MINE})
    profile = fit.fit(lambda: iter([log]), decode_many, None, options, lambda text: None)
    assert profile.summary.embedder == MINE
    found = drive(pipeline(profile), [chunk(*(person(i) for i in range(200, 210)), *(sweep(i) for i in range(6)))])
    named = {alert.entity.id for alert in (*found.alerts, *found.held) if alert.kind == "extraction"}
    assert {f"sweep-{i}" for i in range(6)} <= named
    assert len([client for client in named if client.startswith("person")]) <= 3
