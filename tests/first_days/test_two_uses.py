"""One model, two uses: told apart by a key that the operator fixes, and what does not say its use is not let go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from detector.errors import SettingsError
from detector.logs.contract import MISSING
from detector.logs.native import decode_many
from detector.only import Only, filtered
from detector.pipeline import Pipeline
from detector.policy import Dated, Policy
from detector.profile import artefact, fit
from detector.pseudonyms import Pseudonyms, decoder, pseudonymous
from detector.run.judge import use_of
from detector.settings import settings_of
from tests import people
from tests.conftest import HORIZON_US, Call, fitted
from tests.driving import drive

BATCH = Only("use", "batch")
OPTIONS = fit.Options(observe=True, only=BATCH, horizon_us=HORIZON_US)
TRAINED = fit.Training(people.training(), np.full(500, -1, np.int32))
NOBODY = Policy("none", {})
PEOPLE = people.honest(24, 60, days=6.0, life=2.0, volume=15)
BATCHES = [one._replace(client=f"b-{one.client}") for one in people.honest(25, 60, days=6.0, life=2.0, volume=15)]


def of_use(log: Sequence[bytes], use: str | None) -> list[bytes]:
    """The records, with `use` among their groups."""
    records = [msgspec.json.decode(line) for line in log]
    return [msgspec.json.encode(record | {"groups": {"use": use} if use else None}) for record in records]


BOTH = sorted(
    of_use(people.log_of(PEOPLE), "people") + of_use(people.log_of(BATCHES), "batch"),
    key=lambda line: float(msgspec.json.decode(line)["at"]),
)


# -- the filter


def test_only_one_use_is_seen() -> None:
    queries, sources, refused = filtered(decode_many, BATCH)(BOTH)
    assert {query.client for query in queries} == {one.client for one in BATCHES}
    assert [BOTH[i] for i in sources] == of_use(people.log_of(people.in_order(BATCHES)), "batch")
    assert not refused


def test_a_record_that_does_not_say_its_use_counts_against_its_client_in_every_use() -> None:
    unsaid = of_use(people.log_of(people.noise("sly", n=3)), None)
    for use in ("batch", "people"):
        queries, _, refused = filtered(decode_many, Only("use", use))([*BOTH, *unsaid])
        assert "sly" not in {query.client for query in queries}
        assert [(i - len(BOTH), error.reason, error.client) for i, error in refused] == [
            (i, MISSING, "sly") for i in range(3)
        ]
        assert "groups.use is missing" in str(refused[0][1])


def test_a_refused_record_stays_refused_once() -> None:
    rubbish = [b"rubbish", *of_use(people.log_of(people.noise("sly", n=1)), None)]
    _, _, refused = filtered(decode_many, BATCH)(rubbish)
    assert [(i, error.reason) for i, error in refused] == [(0, "json"), (1, MISSING)]


def test_other_models_have_no_uses_to_tell_apart() -> None:
    other = [people.line("c", people.START_US, [0.0], model="other")]
    assert not filtered(decode_many, BATCH, people.MODEL)(other)[2]
    assert filtered(decode_many, BATCH)(other)[2]


def test_the_key_is_read_before_names_are_replaced() -> None:
    key = Pseudonyms("a key that nobody knows")
    queries, _, _ = pseudonymous(filtered(decode_many, BATCH), key)(BOTH)
    assert {query.client for query in queries} == {key.of("client", one.client) for one in BATCHES}
    assert len(decoder("native", None, BATCH)(BOTH)[0]) == len(BATCHES)


# -- a profile of one use


def test_the_other_use_is_neither_learned_from_nor_judged() -> None:
    only = fit.fit(lambda: people.chunks(BOTH), filtered(decode_many, BATCH), TRAINED, OPTIONS, lambda said: None)
    alone = fitted(of_use(people.log_of(people.in_order(BATCHES)), "batch"), observe=True, only=BATCH)
    assert (only.summary.clients, only.summary.groups) == (60, ())
    assert only.summary.id == alone.summary.id
    found = drive(Pipeline(only, [Dated(0, NOBODY)], filtered(decode_many, BATCH)), people.chunks(BOTH))
    assert {id_ for kind, id_ in found.rows if kind == "client"} == {one.client for one in BATCHES}


def test_a_profile_knows_its_use_and_refuses_another(call: Call, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(BOTH))
    asked = ("fit", "--log", tmp_path / "log.jsonl", "--observe", "--only", "use=batch", "--out", tmp_path / "profile")
    status, out, err = call(*asked)
    assert (status, err) == (0, "")
    assert "for queries with use=batch only" in out
    made = artefact.load(tmp_path / "profile")
    assert made.summary.only == BATCH
    assert made.summary.clients == 60
    source = {"source": {"type": "stdin"}}
    assert use_of(settings_of(source), made) == (BATCH, people.MODEL)
    assert use_of(settings_of({**source, "log": {"only": {"group": "use", "value": "batch"}}}), made)[0] == BATCH
    with pytest.raises(SettingsError, match=r"log\.only: use=people, but the profile is for use=batch"):
        use_of(settings_of({**source, "log": {"only": {"group": "use", "value": "people"}}}), made)
    replay = call(
        "replay", "--profile", tmp_path / "profile", "--log", tmp_path / "log.jsonl", "--alerts", tmp_path / "a"
    )
    assert f"{len(BATCHES):,} queries judged, 60 clients" in replay[1]


def test_run_reads_one_use(call: Call, tmp_path: Path) -> None:
    hungry = of_use(people.log_of(people.noise("hungry", n=70)), "batch")
    other = of_use(people.log_of(people.noise("other", n=70)), "people")
    (tmp_path / "log.jsonl").write_bytes(b"\n".join([*hungry, *other]))
    (tmp_path / "querywarden.toml").write_text(f"""
sinks = [{{ type = "file", path = "{tmp_path}/alerts.jsonl" }}]
source = {{ type = "file", paths = ["{tmp_path}/log.jsonl"] }}
log = {{ only = {{ group = "use", value = "batch" }} }}
store = {{ path = "{tmp_path}/store" }}
policy = {{ budget = {{ soft = 64 }} }}
telemetry = {{ port = 0 }}
""")
    assert call("run", "--config", tmp_path / "querywarden.toml")[0] == 0
    alerts = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert [alert["entity"]["id"] for alert in alerts if alert["kind"] == "budget"] == ["hungry"]


def test_a_use_that_cannot_be_meant_is_refused(call: Call) -> None:
    with pytest.raises(SystemExit):
        call("fit", "--log", "a", "--out", "b", "--only", "batch")
    with pytest.raises(SettingsError, match=r"log\.only\.value: is missing"):
        settings_of({"source": {"type": "stdin"}, "log": {"only": {"group": "use"}}})
