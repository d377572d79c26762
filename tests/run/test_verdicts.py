"""Verdicts are kept with their evidence, order the open cases, go with whom they are about, and change no alert."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from detector.errors import StoreError
from detector.learned.triage import ANSWERS, LEAST, Answer
from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.run.backup import STATE
from detector.run.database import Database, Schema
from detector.run.outbox import Outbox
from detector.run.store import FIRST, FORGETTINGS, Reader, Store
from detector.run.upgrade import upgrade
from detector.run.verdicts import Made, Verdict, cases
from tests import people
from tests.configured import settings_file
from tests.conftest import Call
from tests.run.made import key

COPIERS = [f"copier-{i}" for i in range(4)]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, profile: Profile) -> Path:
    """A folder with a profile, and a log in which four copy."""
    folder = tmp_path_factory.mktemp("day")
    artefact.save(profile, folder / "profile")
    asked = [
        *people.honest(3, 60)[:200],
        *(one for i, who in enumerate(COPIERS) for one in (people.noise, people.children)[i % 2](who, seed=i)),
    ]
    (folder / "log.jsonl").write_bytes(b"\n".join(people.log_of(asked)))
    return folder


def config_in(folder: Path, day: Path) -> Path:
    return settings_file(folder, day, "[policy.storm]\nat_least = 0\n")


@pytest.fixture
def config(call: Call, day: Path, tmp_path: Path) -> Path:
    """Settings of a store in which the cases of the day are open."""
    path = config_in(tmp_path, day)
    assert call("run", "--config", path)[0] == 0
    return path


def case_of(folder: Path, client: str) -> str:
    with closing(Outbox(folder / "store" / "outbox.sqlite")) as outbox:
        return next(alert.case_id for alert in outbox.kept() if alert.entity.id == client)


def kept(folder: Path, profile: Profile) -> list[Verdict]:
    with cases(folder / "store", profile) as found:
        return found.verdicts()


def test_a_verdict_is_kept_with_what_it_was_given_on(
    call: Call, config: Path, tmp_path: Path, profile: Profile
) -> None:
    case = case_of(tmp_path, COPIERS[0])
    status, out, err = call("verdict", case, "attack", "--note", "asked noise", "--by", "ann", "--config", config)
    assert (status, out, err) == (0, f"Case {case}: attack, said by ann. 1 cases are judged.\n", "")
    (one,) = kept(tmp_path, profile)
    assert (one.case_id, one.answer, one.by, one.note, one.profile) == (
        case, "attack", "ann", "asked noise", profile.summary.id,
    )  # fmt: skip
    with closing(Outbox(tmp_path / "store" / "outbox.sqlite")) as outbox:
        assert one.at == max(alert.at for alert in outbox.kept() if alert.case_id == case)
    assert one.evidence.signals == profile.kit.names
    assert max(one.evidence.odds) >= 100
    assert COPIERS[0].encode() not in msgspec.msgpack.encode(one)


def test_who_says_it_is_the_user_of_the_process_or_has_to_be_named(
    call: Call, config: Path, tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "eve")
    case = case_of(tmp_path, COPIERS[0])
    call("verdict", case, "unsure", "--config", config)
    assert kept(tmp_path, profile)[0].by == "eve"
    assert "  verdicts: 1\n" in call("store", "show", "--config", config)[1]

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nobody)
    status, _, err = call("verdict", case, "attack", "--config", config)
    assert (status, "--by: say who you are" in err) == (1, True)


def test_a_later_verdict_counts_and_the_first_stays(call: Call, config: Path, tmp_path: Path) -> None:
    case = case_of(tmp_path, COPIERS[0])
    call("verdict", case, "attack", "--by", "ann", "--config", config)
    assert "1 cases are judged" in call("verdict", case, "honest", "--by", "bob", "--config", config)[1]
    first, second = call("verdicts", "--config", config)[1].splitlines()
    assert first.endswith("attack, said by ann (replaced)")
    assert second.endswith("honest, said by bob")


def test_an_unknown_case_is_an_error_with_the_nearest(call: Call, config: Path, tmp_path: Path) -> None:
    case = case_of(tmp_path, COPIERS[0])
    wrong = case[:-1] + ("0" if case[-1] != "0" else "1")
    status, _, err = call("verdict", wrong, "attack", "--config", config)
    assert status == 1
    assert f"belongs to a case {wrong}; the nearest are {case}, " in err


def test_without_verdicts_cases_stand_in_the_order_of_their_score(call: Call, config: Path) -> None:
    out = call("cases", "--config", config)[1]
    scores = [float(line.split("score ")[1].split()[0]) for line in out.splitlines() if ", score " in line]
    assert len(scores) >= len(COPIERS)
    assert "triage needs" in out
    assert "an attack, as" not in out
    assert call("cases", "--config", config, "--top", "1")[1].count(", score ") == 1


def test_verdicts_order_the_open_cases_and_say_why(
    config: Path, tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.setattr("detector.run.verdicts.counting", list)  # so that few cases are enough
    noise, walk = (case_of(tmp_path, client) for client in COPIERS[:2])
    with cases(tmp_path / "store", profile) as found:
        for i in range(LEAST):
            found.say(noise, "attack", by="ann", note="", said_at=float(i))
            found.say(walk, "honest", by="ann", note="", said_at=float(i))
        words = {one.alert.case_id: one.word for one in found.waiting()}
    alike, other = (words[case_of(tmp_path, client)] for client in COPIERS[2:])
    assert alike is not None
    assert other is not None
    assert alike.probability > 0.5 > other.probability
    lines = call("cases", "--config", config)[1].splitlines()
    places = {client: next(i for i, line in enumerate(lines) if f" {client}:" in line) for client in COPIERS}
    assert places[COPIERS[2]] < places[COPIERS[3]] < min(places[COPIERS[0]], places[COPIERS[1]])
    assert lines[places[COPIERS[0]]].endswith("; judged attack by ann")
    assert f"an attack, as {2 * LEAST} verdicts say: " in lines[places[COPIERS[2]] + 1]
    assert "speaks for an attack (+" in lines[places[COPIERS[2]] + 1]


def test_no_verdict_changes_an_alert(call: Call, day: Path, tmp_path: Path, profile: Profile) -> None:
    """What is asked before the verdicts and after them, under each answer on every case, and under none."""
    before = (day / "log.jsonl").read_bytes()
    later = people.START_US + 2 * people.DAY_US
    again = [*people.noise(COPIERS[1], at=later), *people.noise("new", seed=7, at=later)]
    after = b"\n".join(people.log_of(people.in_order(again)))
    found = []
    for answer in (None, *ANSWERS):
        folder = tmp_path / str(answer)
        folder.mkdir()
        log, config = folder / "log.jsonl", config_in(folder, folder)
        config.write_text(config.read_text().replace(f"{folder}/profile", f"{day}/profile"))
        log.write_bytes(before + b"\n")
        assert call("run", "--config", config)[0] == 0
        if answer:
            _say_of_all(folder, profile, answer)
        with log.open("ab") as file:
            file.write(after + b"\n")
        assert call("run", "--config", config)[0] == 0
        assert case_of(folder, "new")
        found.append(_told(folder))
    assert found == [found[0]] * len(found)


def _say_of_all(folder: Path, profile: Profile, answer: Answer) -> None:
    with cases(folder / "store", profile) as open_cases:
        waiting = open_cases.waiting()
        assert waiting
        for _ in range(LEAST):
            for one in waiting:
                open_cases.say(one.alert.case_id, answer, by="ann", note="", said_at=0.0)


def _told(folder: Path) -> Sequence[tuple[bytes, ...]]:
    """Alerts, held alerts, rows, cases and the tape, as they are kept."""
    with closing(Outbox(folder / "store" / "outbox.sqlite")) as outbox, closing(Reader(folder / "store" / STATE)) as of:
        told = [(msgspec.json.encode(alert),) for alert in (*outbox.kept(), *outbox.held())]
        rows = [of.db.read(f"SELECT * FROM {table} ORDER BY key") for table in ("rows", "cases")]
        return [*told, *(row for table in rows for row in table), *((msgspec.json.encode(p),) for p in of.tape())]


def test_made_cases_teach_before_any_verdict_and_are_taken_once(
    call: Call, config: Path, tmp_path: Path, profile: Profile
) -> None:
    with cases(tmp_path / "store", profile) as found:
        seen = found.say(case_of(tmp_path, COPIERS[0]), "unsure", by="ann", note="", said_at=0.0).evidence
    usual = msgspec.structs.replace(seen, odds=tuple(0 for _ in seen.odds), level=30)
    made = [
        Made(
            case_id=f"made-{i}", profile=profile.summary.id, truth=truth, at="2026-01-01T00:00:00.000000Z", evidence=of
        )
        for i in range(LEAST)
        for i, truth, of in ((2 * i, "honest", usual), (2 * i + 1, "uniform", seen))
    ]
    file = tmp_path / "made.jsonl"
    file.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in made))
    for _ in range(2):
        status, out, _ = call("verdicts", "--config", config, "--teach", file)
        assert (status, out) == (0, f"Taken: {LEAST} made attacks, and {LEAST} made honest cases.\n")
    out = call("cases", "--config", config)[1]
    assert f"an attack, as {2 * LEAST} verdicts say" in out
    file.write_bytes(file.read_bytes().replace(profile.summary.id.encode(), b"other"))
    status, _, err = call("verdicts", "--config", config, "--teach", file)
    assert (status, "line 1: of profile other, the settings name" in err) == (1, True)
    file.write_bytes(b"rubbish")
    status, _, err = call("verdicts", "--config", config, "--teach", file)
    assert (status, "made.jsonl, line 1: " in err) == (1, True)


def test_verdicts_go_with_whom_they_are_about(call: Call, config: Path, tmp_path: Path, profile: Profile) -> None:
    gone, stays = (case_of(tmp_path, client) for client in COPIERS[:2])
    for case in (gone, stays):
        call("verdict", case, "attack", "--config", config)
    assert call("forget", "--config", config, COPIERS[0])[0] == 0
    assert [one.case_id for one in kept(tmp_path, profile)] == [stays]
    assert call("verdict", gone, "attack", "--config", config)[0] == 1


def test_a_store_of_another_profile_and_none_at_all_are_refused(config: Path, tmp_path: Path, profile: Profile) -> None:
    other = replace(profile, summary=msgspec.structs.replace(profile.summary, id="other"))
    with pytest.raises(StoreError, match="holds rows of profile"), cases(tmp_path / "store", other):
        pass
    with pytest.raises(StoreError, match="there is no store"), cases(tmp_path / "nothing", profile):
        pass


def test_a_store_of_before_verdicts_is_taken_forward(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    Database(store / STATE, Schema("store", (FIRST, FORGETTINGS))).close()
    with closing(Database(store / STATE, Schema("store", (FIRST, FORGETTINGS)))) as db, db.transaction("made") as made:
        made.execute("INSERT INTO meta VALUES ('profile', 'p')")
        made.execute("INSERT INTO cases VALUES (?, ?)", (key(1), b"case"))
    Outbox(store / "outbox.sqlite").close()
    with pytest.raises(StoreError, match="store schema 2, this querywarden needs 4"):
        Reader(store / STATE)
    assert "store schema 2 -> 4" in upgrade(store)[0]
    with closing(Store(store / STATE, profile="p")) as opened:
        assert dict(opened.load().cases) == {key(1): b"case"}
        assert opened.db.read("SELECT count(*) FROM verdicts") == [(0,)]
