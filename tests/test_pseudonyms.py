"""With a key, nothing that is kept or told names whom the log named; with the same key, the same pseudonyms."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import SettingsError, StoreError
from detector.logs import DECODERS
from detector.logs.native import decode_many
from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.pseudonyms import Pseudonyms, decoder, is_pseudonym, pseudonymous
from detector.run.local import LocalRunner
from detector.secret import Secret
from detector.settings import settings_of
from tests import people
from tests.run.kept import alerts, kept
from tests.run.scene import document

KEY = "a key that nobody knows"
PSEUDONYMS = Pseudonyms(KEY)
NAMED = ("anneliese-4711", "bartholomew-0815")
ORGANISATION = "northwind-traders"


@given(st.sampled_from(["client", "organisation"]), st.text())
def test_a_pseudonym_is_short_and_always_the_same(kind: str, name: str) -> None:
    made = PSEUDONYMS.of(kind, name)
    assert is_pseudonym(made)
    assert made == Pseudonyms(KEY).of(kind, name) == PSEUDONYMS.found(kind, made)
    assert made != Pseudonyms(KEY + "!").of(kind, name)
    assert made != PSEUDONYMS.of("another kind", name)


def test_a_person_may_give_the_name_or_the_pseudonym() -> None:
    made = PSEUDONYMS.of("client", "ann")
    assert PSEUDONYMS.found("client", "ann") == PSEUDONYMS.found("client", made) == made


def test_a_key_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(SettingsError, match="has 5 characters, it needs 16 or more"):
        Pseudonyms("short")


@pytest.mark.parametrize("format_", DECODERS)
def test_every_format_is_the_same_but_for_who(format_: str) -> None:
    broken = b'{"client": "bob", "at": 1, "model": "m", "model_version": 2, "status": "error", "input": ['
    lines = [*people.log_of(people.noise("ann", group="o")), broken, b"rubbish", b"{}"]
    plain, named = DECODERS[format_](lines), pseudonymous(DECODERS[format_], PSEUDONYMS)(lines)
    assert named[1] == plain[1]
    for before, after in zip(plain[0], named[0], strict=True):
        assert after.client == (before.client and PSEUDONYMS.of("client", before.client))
        assert after.groups == {kind: PSEUDONYMS.of(kind, id_) for kind, id_ in (before.groups or {}).items()}
        assert (after.at, after.model, after.input, after.id) == (before.at, before.model, before.input, before.id)
        assert (after.label, after.probabilities, after.row) == (before.label, before.probabilities, before.row)
    told = [[(i, {**vars(e), "client": None}, str(e)) for i, e in found[2]] for found in (plain, named)]
    assert told[0] == told[1]
    assert told[0][0][1]["at"] == 1_000_000
    assert {e.client for _, e in named[2]} >= {PSEUDONYMS.of("client", "bob"), None}


def test_nobody_stays_nobody() -> None:
    (query,), _, _ = pseudonymous(decode_many, PSEUDONYMS)([people.line(None, people.START_US, [0.0])])
    assert (query.client, query.groups) == (None, None)


def log_of_two(path: Path) -> None:
    asked = people.noise(NAMED[0], group=ORGANISATION) + people.noise(NAMED[1], seed=1, group=ORGANISATION)
    lines = people.log_of(people.in_order(asked))
    for line in range(len(lines)):  # the ids of the log's queries are its own: here they hold no name
        record = json.loads(lines[line])
        lines[line] = json.dumps(record | {"id": f"q{line}"}).encode()
    broken = f'{{"client": "{NAMED[0]}", "input": ['.encode()
    path.write_bytes(b"\n".join([*lines, broken]) + b"\n")


@pytest.fixture
def folder(profile: Profile, tmp_path: Path) -> Path:
    artefact.save(profile, tmp_path / "profile")
    log_of_two(tmp_path / "log.jsonl")
    (tmp_path / "key").write_text(KEY + "\n")
    return tmp_path


def settings(folder: Path, key: dict[str, str] | None, **sections: Any) -> Any:
    sinks = [{"type": "file", "path": str(folder / "sent.jsonl")}]
    entities = {"pseudonyms": key} if key else {}
    return settings_of(document(folder, folder / "profile", sinks=sinks, entities=entities, **sections))


def bytes_of(paths: Iterable[Path]) -> bytes:
    return b"".join(path.read_bytes() for path in paths)


def test_a_run_keeps_and_tells_pseudonyms_only(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    LocalRunner(settings(folder, {"file": str(folder / "key")})).run()
    found = kept(folder)
    clients = {PSEUDONYMS.of("client", name) for name in NAMED}
    assert {id_ for kind, id_ in found.rows if kind == "client"} == clients
    assert ("organisation", PSEUDONYMS.of("organisation", ORGANISATION)) in found.rows
    assert clients <= {alert.entity.id for alert in alerts(folder)}
    out, err = capfd.readouterr()
    everything = bytes_of([*(folder / "store").iterdir(), folder / "sent.jsonl"]) + (out + err).encode()
    assert not [name for name in (*NAMED, ORGANISATION) if name.encode() in everything]


def test_what_is_told_is_what_is_told_of_the_names(folder: Path) -> None:
    LocalRunner(settings(folder, None, store={"path": str(folder / "plain" / "store")})).run()
    LocalRunner(settings(folder, {"file": str(folder / "key")})).run()
    plain, named = alerts(folder / "plain"), alerts(folder)
    assert [(a.kind, a.severity, a.score, a.queries) for a in plain if a.entity.kind == "client"] == [
        (a.kind, a.severity, a.score, a.queries) for a in named if a.entity.kind == "client"
    ]


def test_a_store_keeps_ids_in_one_way(folder: Path) -> None:
    LocalRunner(settings(folder, None)).run()
    with pytest.raises(StoreError, match="keeps its ids without pseudonyms: give the ids"):
        LocalRunner(settings(folder, {"file": str(folder / "key")}))
    LocalRunner(settings(folder, None)).run()  # the refused one holds no lock
    other = {"store": {"path": str(folder / "other")}}
    LocalRunner(settings(folder, {"file": str(folder / "key")}, **other)).run()
    (folder / "key").write_text("another key, long enough")
    with pytest.raises(StoreError, match="keeps its ids with pseudonyms of another key"):
        LocalRunner(settings(folder, {"file": str(folder / "key")}, **other))
    with pytest.raises(StoreError, match="keeps its ids with pseudonyms: give"):
        LocalRunner(settings(folder, None, **other))


def test_settings_that_would_keep_names_are_refused(folder: Path) -> None:
    key = {"file": str(folder / "key")}
    with pytest.raises(SettingsError, match=r"log\.keep_payload_of_dead_letters: payloads hold the names"):
        settings(folder, key, log={"keep_payload_of_dead_letters": True})
    suppression = {"id": "ann", "until": "2026-12-31T00:00:00Z", "reason": "agreed"}
    with pytest.raises(SettingsError, match=r'policy\.suppressions\[0\]\.id: "ann" is no pseudonym'):
        settings(folder, key, policy={"suppressions": [suppression]})
    settings(folder, key, policy={"suppressions": [suppression | {"id": PSEUDONYMS.of("client", "ann")}]})
    settings(folder, None, policy={"suppressions": [suppression]})


def test_a_key_that_is_not_there_and_a_format_that_is_not_known_are_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        decoder("native", Secret(file=str(tmp_path / "none")))
    with pytest.raises(SettingsError, match='did you mean "native"'):
        decoder("natve", None)
