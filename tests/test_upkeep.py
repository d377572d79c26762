"""The commands of everyday, as an operator types them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from detector.pseudonyms import Pseudonyms
from detector.run.local import LocalRunner
from detector.run.store import Reader
from detector.settings import load
from tests import people
from tests.configured import settings_file
from tests.conftest import Call

KEY = "a key that nobody knows"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, saved: Path, other_saved: Path) -> Path:
    """A folder with two profiles of one model, and a log in which c9 copies."""
    folder = tmp_path_factory.mktemp("day")
    (folder / "profile").symlink_to(saved)
    (folder / "new").symlink_to(other_saved)
    asked = [*people.honest(3, 60)[:200], *people.noise("c9")]
    (folder / "log.jsonl").write_bytes(b"\n".join(people.log_of(asked)))
    return folder


@pytest.fixture
def config(day: Path, tmp_path: Path) -> Path:
    return settings_file(tmp_path, day)


def append(config: Path, text: str) -> None:
    with config.open("a") as file:
        file.write(text)


def named(folder: Path) -> set[str]:
    with closing(Reader(folder / "state.sqlite")) as reader:
        return {id_ for (id_,) in reader.db.read("SELECT id FROM names")}


def test_a_client_is_forgotten_where_nobody_runs(call: Call, tmp_path: Path, config: Path) -> None:
    call("run", "--config", config)
    assert "c9" in named(tmp_path / "store")
    status, out, err = call("forget", "--config", config, "c9")
    assert (status, out, err) == (0, f"{tmp_path}/store: client c9 is forgotten.\n", "")
    assert "c9" not in named(tmp_path / "store")
    assert call("forget", "--config", config, "o3-1", "--kind", "organisation")[0] == 0


def test_a_running_one_is_asked_and_the_shadow_too(call: Call, day: Path, tmp_path: Path, config: Path) -> None:
    append(config, f'[shadow]\nprofile = "{day}/new"\nstore = "{tmp_path}/shadow"\n')
    call("run", "--config", config)
    runner = LocalRunner(load(config, {}))  # holds the locks
    status, out, _ = call("forget", "--config", config, "c9", "--keep-alerts")
    assert status == 0
    assert out.count("the runner takes it within a second") == 2
    runner.run()
    assert "c9" not in named(tmp_path / "store") | named(tmp_path / "shadow")


def test_a_pseudonym_is_printed_and_forgotten_by_name(
    call: Call, tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PSEUDONYM_KEY", KEY)
    append(config, '[entities]\npseudonyms = { env = "PSEUDONYM_KEY" }\n')
    call("run", "--config", config)
    status, out, _ = call("pseudonym", "--config", config, "c9")
    assert (status, out) == (0, Pseudonyms(KEY).of("client", "c9") + "\n")
    assert out.strip() in named(tmp_path / "store")
    call("forget", "--config", config, "c9")
    assert out.strip() not in named(tmp_path / "store")


def test_fit_replay_and_explain_take_pseudonyms(call: Call, day: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    key = ("--pseudonyms", tmp_path / "key")
    his = Pseudonyms(KEY).of("client", "c9")
    log, profile = ("--log", day / "log.jsonl"), ("--profile", day / "profile")
    call("replay", *profile, *log, "--alerts", tmp_path / "alerts.jsonl", *key)
    assert his in (tmp_path / "alerts.jsonl").read_text()
    assert '"id":"c9"' not in (tmp_path / "alerts.jsonl").read_text()
    for who in ("c9", his):
        assert f"Client {his} asked 60" in call("explain", *profile, *log, "--no-plot", who, *key)[1]
    (tmp_path / "honest.jsonl").write_bytes(b"\n".join(people.log_of(people.honest(3, 60))))
    fit = ("fit", "--log", tmp_path / "honest.jsonl", "--promise", "0.3", "--horizon", "log", "--exclude", "c3-1")
    status, out, _ = call(*fit, "--out", tmp_path / "made", *key)
    assert status == 0
    assert "1 were taken out by hand" in out
    assert "c3-" not in (tmp_path / "made" / "profile.json").read_text()


def test_a_store_is_shown_copied_put_back_and_upgraded(call: Call, tmp_path: Path, config: Path) -> None:
    call("run", "--config", config)
    assert "entities" in call("store", "show", "--config", config)[1]
    status, out, _ = call("store", "backup", "--config", config, tmp_path / "copy")
    assert (status, out.startswith(f"Copied to {tmp_path}/copy: ")) == (0, True)
    status, _, err = call("store", "restore", "--config", config, tmp_path / "copy")
    assert (status, "--force replaces it" in err) == (1, True)
    status, out, _ = call("store", "restore", "--config", config, tmp_path / "copy", "--force")
    assert status == 0
    assert f"What was there is in {tmp_path}/store/before-restore-" in out
    assert call("run", "--config", config)[0] == 0
    assert call("store", "upgrade", "--config", config)[1].count("nothing to do") == 2


def test_check_says_how_the_shadow_and_the_key_are(
    call: Call, day: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(config, f'[shadow]\nprofile = "{day}/new"\nstore = "s"\n[entities]\npseudonyms = {{ env = "KEY_OF_IDS" }}\n')
    status, out, _ = call("check", "--config", config)
    assert status == 1
    assert "\nshadow: ok, " in out
    assert "\npseudonyms: FAILED, the environment variable KEY_OF_IDS" in out
    monkeypatch.setenv("KEY_OF_IDS", KEY)
    assert "\npseudonyms: ok, the key can be read" in call("check", "--config", config)[1]


def test_profiles_are_compared_with_whom_each_names(call: Call, day: Path) -> None:
    status, out, err = call("profile", "compare", day / "profile", day / "new", "--log", day / "log.jsonl")
    assert (status, err) == (0, "")
    assert "Signals, the new honest clients by the old profile's bins:" in out
    both = next(line for line in out.splitlines() if line.startswith("Named by both: "))
    assert "client c9" in both
    assert "Named" not in call("profile", "compare", day / "profile", day / "new")[1]


def test_a_shadow_says_how_it_stands(call: Call, day: Path, tmp_path: Path, config: Path) -> None:
    assert "no [shadow] is set" in call("shadow", "--config", config)[2]
    append(config, f'[shadow]\nprofile = "{day}/new"\nstore = "{tmp_path}/shadow"\n')
    assert "there is no store" in call("shadow", "--config", config)[2]
    call("run", "--config", config)
    status, out, _ = call("shadow", "--config", config)
    assert status == 0
    assert "260 queries judged" in out
    assert "Named by both: 1 (client c9)" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("forget --config {config} c9", "there is no store at"),
        ("forget --config {config} c9 --kind organization", 'did you mean "organisation"'),
        ("pseudonym --config {config} c9", "entities.pseudonyms is not set"),
        ("store show --config {config}", "there is no store at"),
        ("store backup --config {config} {tmp}/copy", "there is no store at"),
        ("store restore --config {config} {tmp}/copy", "is no backup"),
        ("store upgrade --config {config}", "there is no store at"),
        ("profile compare {day}/profile {tmp}/none", "is not a profile"),
        ("successor --config {config} --since 2026-01-01T00:00:00Z", "a log time is for --workers"),
        ("successor --config {config} --workers --since soon", "--since: 'soon' is not an RFC 3339 time"),
        ("replay --profile {day}/profile --log {day}/log.jsonl --alerts {tmp}/a --pseudonyms NONE", "secret file NONE"),
    ],
)
def test_an_error_is_one_line(call: Call, day: Path, tmp_path: Path, config: Path, arguments: str, said: str) -> None:
    status, out, err = call(*arguments.format(tmp=tmp_path, day=day, config=config).split())
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert said in err
    assert not (tmp_path / "store").exists()
