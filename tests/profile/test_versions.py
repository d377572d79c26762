"""A profile is for one version of the model: the most frequent of its honest log, or the one that was asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from detector.errors import ProfileError
from detector.logs.native import decode_many
from detector.profile import honest
from detector.profile.honest import Survey
from detector.profile.report import report
from tests import people
from tests.conftest import fitted

ASKED = people.honest(11, 220, days=6.0, life=2.0, volume=18)
LOG = people.log_of(ASKED)


def told(records: list[bytes], **more: Any) -> list[bytes]:
    return [json.dumps(json.loads(record) | more).encode() for record in records]


def survey(log: list[bytes], version: str | None = None) -> Survey:
    return honest.survey(lambda: people.chunks(log), decode_many, None, version)


def test_the_most_frequent_version_is_learned_from_with_what_names_none() -> None:
    log = [*told(LOG[:100], model_version=7), *told(LOG[100:130], model_version="8"), *LOG[130:150]]
    found = survey(log)
    assert (found.version, dict(found.versions), found.queries) == ("7", {"7": 100, "8": 30}, 120)
    kept = {q.client for q in ASKED[:100]} | {q.client for q in ASKED[130:150]}
    assert set(found.index) == kept
    assert min(found.first) == ASKED[0].at
    assert len(found.first) == len(found.last) == len(found.volume) == len(found.groups) == len(kept)
    assert survey(log, "8").queries == 50


def test_a_version_that_the_log_does_not_hold_is_refused() -> None:
    with pytest.raises(ProfileError, match="no query of the version 9 in the log; versions seen: 7"):
        survey(told(LOG[:10], model_version=7), "9")
    with pytest.raises(ProfileError, match="versions seen: none"):
        survey(LOG[:10], "9")


def test_failed_queries_teach_nothing() -> None:
    found = survey([*told(LOG[:100], status="error"), *LOG[100:150]])
    assert found.queries == 50
    assert set(found.index) == {q.client for q in ASKED[100:150]}


def test_a_profile_of_one_of_two_versions_is_that_of_its_queries_alone() -> None:
    others = people.log_of(people.noise("c11-1", n=40))
    mixed = [*told(LOG, model_version=7), *told(others, model_version=8), *told(others, status="error")]
    alone, made = fitted(told(LOG, model_version=7)), fitted(mixed)
    assert made.summary.versions == alone.summary.versions == ("7",)
    assert made.suprema["client"].tolist() == alone.suprema["client"].tolist()
    assert "the profile is for version 7; queries of others were left out: 8" in made.summary.remarks
    assert not alone.summary.remarks
    assert report(made)[0].endswith("of the model made, version 7 (20 inputs)")
