"""The command line: what each command says when all is well, and one line on stderr when it is not."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.run.store import Reader
from tests import people
from tests.configured import settings_file
from tests.conftest import Call
from tests.servers.kafka.server import free_port


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, profile: Profile) -> Path:
    """A folder with a profile, an honest log and one in which c9 copies."""
    folder = tmp_path_factory.mktemp("day")
    artefact.save(profile, folder / "profile")
    honest = people.honest(3, 60)
    (folder / "honest.jsonl").write_bytes(b"\n".join(people.log_of(honest)))
    (folder / "log.jsonl").write_bytes(b"\n".join([*people.log_of([*honest[:200], *people.noise("c9")]), b"rubbish"]))
    return folder


@pytest.fixture
def config(day: Path, tmp_path: Path) -> Path:
    return settings_file(tmp_path, day, f'[[sinks]]\ntype = "file"\npath = "{tmp_path}/alerts.jsonl"\n')


def test_fit_makes_a_profile_and_says_what_it_promises(call: Call, day: Path, tmp_path: Path) -> None:
    status, out, err = call(
        *("fit", "--log", day / "honest.jsonl", "--promise", "0.3", "--horizon", "log", "--out", tmp_path / "profile")
    )
    assert (status, err) == (0, "")
    assert "at most 30.00%" in out
    assert out.endswith(f"Saved to {tmp_path / 'profile'}\n")
    assert call("profile", "show", tmp_path / "profile")[:2] == (0, out.partition("\n\nSaved")[0] + "\n")


def test_replay_writes_alerts_and_counts_what_it_read(call: Call, day: Path, tmp_path: Path) -> None:
    status, out, err = call(
        *("replay", "--profile", day / "profile", "--log", day / "log.jsonl", "--alerts", tmp_path / "alerts.jsonl")
    )
    alerts = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert (status, err) == (0, "")
    assert out.startswith("261 records, 260 queries judged")
    assert "Set aside: 1 json" in out
    assert "c9" in {alert["entity"]["id"] for alert in alerts}


def test_run_tells_what_replay_tells(call: Call, day: Path, tmp_path: Path, config: Path) -> None:
    assert call("run", "--config", config)[0] == 0
    call(*("replay", "--profile", day / "profile", "--log", day / "log.jsonl", "--alerts", tmp_path / "replayed.jsonl"))
    told = [line for line in (tmp_path / "alerts.jsonl").read_text().splitlines() if '"kind":"health"' not in line]
    assert sorted(told) == sorted((tmp_path / "replayed.jsonl").read_text().splitlines())
    assert told


def test_run_can_be_told_to_leave_the_past_alone(call: Call, tmp_path: Path, config: Path) -> None:
    assert call("run", "--config", config, "--no-alerts-before", "2026-06-01T00:00:00Z")[0] == 0
    assert '"kind":"extraction"' not in (tmp_path / "alerts.jsonl").read_text()


def test_check_says_of_each_part_how_it_is(call: Call, config: Path) -> None:
    status, out, err = call("check", "--config", config)
    assert (status, err) == (0, "")
    assert [line.partition(",")[0] for line in out.splitlines()] == ["profile: ok", "source: ok", "sink file: ok"]


def test_explain_says_why_and_draws(call: Call, day: Path, tmp_path: Path) -> None:
    status, out, err = call(
        *("explain", "--profile", day / "profile", "--log", day / "log.jsonl", "c9", "--plot", tmp_path / "c9.png")
    )
    assert (status, err) == (0, "")
    assert "Client c9 asked 60 queries" in out
    assert (tmp_path / "c9.png").read_bytes().startswith(b"\x89PNG")


def test_policy_apply_asks_the_runner(call: Call, tmp_path: Path, config: Path) -> None:
    call("run", "--config", config)
    with config.open("a") as file:
        file.write("[policy.thresholds.client]\nmedium = 1.7\n")
    status, out, _ = call("policy", "apply", "--config", config, "--since", "2026-05-01T00:00:00Z")
    assert (status, out.startswith("Asked for the policy ")) == (0, True)
    call("run", "--config", config)
    reader = Reader(tmp_path / "store" / "state.sqlite")
    assert reader.request_state(1) == ("taken", "")
    reader.close()


def test_config_schema_is_a_json_schema(call: Call) -> None:
    status, out, _ = call("config", "schema")
    assert status == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(out))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("profile show {tmp}/nothing", "{tmp}/nothing is not a profile"),
        ("replay --profile {day}/profile --log {tmp}/no.jsonl --alerts {tmp}/a", "no file matches {tmp}/no.jsonl"),
        ("replay --profile {day}/profile --log {day}/log.jsonl --alerts {tmp}/no/a", "{tmp}/no/a: No such file"),
        (
            "replay --profile {day}/profile --log {day}/log.jsonl --alerts {tmp}/a --format natve",
            'did you mean "native"',
        ),
        ("fit --log {day}/honest.jsonl --promise 0.001 --horizon log --out {tmp}/p", "cannot promise 0.100%"),
        ("fit --log {day}/honest.jsonl --horizon 90d --out {tmp}/p", "the promise is for 90d"),
        ("fit --log {day}/honest.jsonl --training {tmp}/no.npz --out {tmp}/p", "the training data {tmp}/no.npz"),
        ("explain --profile {day}/profile --log {day}/log.jsonl nobody", "no query of a client nobody"),
        ("run --config {tmp}/no.toml", "the settings file {tmp}/no.toml cannot be read"),
        ("run --config {config} --from earliest", "--from is for a Kafka source"),
        ("run --config {config} --no-alerts-before yesterday", "run.no_alerts_before"),
        ("check --config {tmp}/no.toml", "the settings file {tmp}/no.toml cannot be read"),
        ("policy apply --config {config}", "there is no store at"),
        ("policy apply --config {config} --since today", "--since: 'today' is not an RFC 3339 time"),
    ],
)
def test_an_error_is_one_line_on_stderr(
    call: Call, day: Path, tmp_path: Path, config: Path, arguments: str, said: str
) -> None:
    def filled(text: str) -> str:
        return text.format(tmp=tmp_path, day=day, config=config)

    status, out, err = call(*filled(arguments).split())
    assert (status, out) == (1, "")
    assert err.startswith("querywarden: ")
    assert err.count("\n") == 1
    assert filled(said) in err


def test_an_unknown_setting_gets_the_nearest_right_name(call: Call, config: Path) -> None:
    config.write_text(config.read_text().replace("[store]\npath", "[store]\npaht"))
    status, _, err = call("run", "--config", config)
    assert (status, 'store.paht: unknown key; did you mean "path"?' in err) == (1, True)


def test_arguments_that_cannot_be_meant_are_refused(call: Call) -> None:
    for arguments in ("fit --log a --out b --promise 2", "fit --log a --out b --horizon soon", "replay", "no-such"):
        with pytest.raises(SystemExit) as refused:
            call(*arguments.split())
        assert refused.value.code == 2


def test_check_says_which_part_is_not_well_and_shows_no_secret(
    call: Call, day: Path, tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "correct-horse")
    monkeypatch.setenv("ES_KEY", "battery-staple")
    dead = f"127.0.0.1:{free_port()}"
    config.write_text(f"""
sinks = [
  {{ type = "file", path = "{tmp_path}/no/alerts.jsonl" }},
  {{ type = "elasticsearch", url = "http://{dead}", api_key = {{ env = "ES_KEY" }} }},
]
[source]
type = "kafka"
brokers = ["{dead}"]
topic = "inference"
sasl_mechanism = "PLAIN"
username = "alice"
password = {{ env = "KAFKA_PASSWORD" }}
connect_timeout_s = 0.3
[profile]
path = "{day}/profile"
""")
    status, out, err = call("check", "--config", config)
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert status == 1
    assert lines["profile"].startswith("ok")
    assert lines["source"].startswith(f"FAILED, the Kafka brokers at {dead} do not answer")
    assert lines["sink file"].startswith("FAILED, cannot append alerts")
    assert lines["sink elasticsearch"].startswith("FAILED, Elasticsearch cannot be reached")
    assert not any(secret in out + err for secret in ("correct-horse", "battery-staple"))
