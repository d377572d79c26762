"""What answers mean, for those that a test server cannot be brought to give; the others are in test_elasticsearch."""

from __future__ import annotations

from typing import Any

import pytest

from detector.errors import SinkBusy, SinkRefused
from sinks.contract import Delivery, Refusal
from sinks.data_stream_answers import LONGEST_REASON, Place, delivery_of, error_of, merged, reason_of, where_they_can_be
from tests.sinks.alerts import alert

STREAM = "logs-querywarden.alert-default"
PLACE = Place("Elasticsearch", "Elasticsearch 9", STREAM, ("create_doc",), "index-template.json")
DAYS = [f".ds-{STREAM}-{day}-{n:06}" for n, day in enumerate(["2026.01.01", "2026.01.31", "2026.03.02", "2026.04.01"])]


def item(id_: str, status: int, **fields: Any) -> dict[str, Any]:
    return {"create": {"_id": id_, "_index": STREAM, "status": status, **fields}}


def test_each_status_has_its_meaning() -> None:
    error = {"type": "document_parsing_exception", "reason": "bad date", "caused_by": {"type": "x", "reason": "y"}}
    items = [item("a", 201), item("b", 409), item("c", 429), item("d", 503), item("e", 400, error=error)]
    refused = (Refusal("e", "document_parsing_exception: bad date (x: y)"),)
    assert delivery_of(items, PLACE) == Delivery(retry=("c", "d"), refused=refused)


def test_the_failure_store_is_not_the_data_stream() -> None:
    (refusal,) = delivery_of([item("a", 201, failure_store="used")], PLACE).refused
    assert "failure store" in refusal.reason


@pytest.mark.parametrize(
    ("status", "error", "advice"),
    [
        (401, {"type": "security_exception", "reason": "r"}, "credentials are missing or wrong"),
        (403, {"type": "security_exception", "reason": "r"}, "create_doc"),
        (403, {"type": "cluster_block_exception", "reason": "r"}, "lift the block"),
        (404, {"type": "index_not_found_exception", "reason": "r"}, r"index-template\.json"),
    ],
)
def test_what_is_wrong_with_the_stream_holds_the_queue(status: int, error: dict[str, str], advice: str) -> None:
    with pytest.raises(SinkRefused, match=advice):
        delivery_of([item("a", 201), item("b", status, error=error)], PLACE)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_request_that_may_do_better_later(status: int) -> None:
    error = error_of(status, "<html>busy</html>", {"retry-after": "7"}, PLACE)
    assert isinstance(error, SinkBusy)
    assert error.retry_after_s == 7.0


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405])
def test_a_request_that_will_not(status: int) -> None:
    assert isinstance(error_of(status, None, {}, PLACE), SinkRefused)


def test_a_long_reason_is_cut() -> None:
    assert len(reason_of({"type": "t", "reason": "x" * 9999})) == LONGEST_REASON


def test_the_longer_pause_counts() -> None:
    both = merged(Delivery(retry=("a",), retry_after_s=2.0), Delivery(retry=("b",), retry_after_s=5.0))
    assert both == Delivery(retry=("a", "b"), retry_after_s=5.0)


@pytest.mark.parametrize(
    ("at", "looked_at"),
    [
        ("2026-04-05T00:00:00Z", [3, 2]),  # made after the last rollover; the one before for a clock that runs ahead
        ("2026-03-02T00:00:00Z", [3, 2, 1]),  # on the day of a rollover
        ("2026-02-01T00:00:00Z", [3, 2, 1, 0]),  # within a day of one
        ("2026-02-02T00:00:00Z", [3, 2, 1]),
        ("2099-01-01T00:00:00Z", [3, 2]),
        ("no date", [3, 2, 1, 0]),
    ],
)
def test_only_indices_that_can_hold_the_alert_are_looked_at(at: str, looked_at: list[int]) -> None:
    assert where_they_can_be([alert(1, at=at)], DAYS) == [DAYS[n] for n in looked_at]


def test_an_index_with_another_name_is_looked_at() -> None:
    names = [f"partial-{DAYS[0]}", "restored", DAYS[3]]
    assert where_they_can_be([alert(1, at="2026-04-05T00:00:00Z")], names) == names[::-1]


def test_there_is_nothing_to_look_at_before_the_first_alert() -> None:
    assert where_they_can_be([alert(1)], []) == []
