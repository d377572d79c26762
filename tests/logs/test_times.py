from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import DecodeError
from detector.logs.times import microseconds

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1970, 1, 3), datetime(2099, 12, 29), timezones=ZONES)  # noqa: DTZ001 (bounds are naive)


def exact(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@given(MOMENTS)
def test_rfc_3339_agrees_with_datetime(moment: datetime) -> None:
    assert microseconds(moment.isoformat()) == exact(moment)


@given(st.integers(0, 4_102_444_799_999_999))
def test_a_float_of_seconds_gives_the_microsecond_that_was_written(at_us: int) -> None:
    assert microseconds(float(f"{at_us // 1_000_000}.{at_us % 1_000_000:06}")) == at_us


@given(st.integers(0, 4_102_444_799))
def test_an_integer_of_seconds_is_exact(at: int) -> None:
    assert microseconds(at) == at * 1_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01t00:00:01z", 1_000_000),
        ("1970-01-01 00:00:01.5Z", 1_500_000),
        ("1970-01-01T00:00:01.123456789Z", 1_123_456),
        ("1970-01-01T00:00:01.9999999Z", 1_999_999),
        ("1970-01-02T00:00:00-00:00", 86_400_000_000),
        ("1970-01-01T05:30:01+05:30", 1_000_000),
        ("1969-12-31T23:00:01-01:00", 1_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_799_999_999),
        ("2017-01-01T05:29:60.25+05:30", 1_483_228_799_999_999),
    ],
)
def test_forms_of_rfc_3339(text: str, expected: int) -> None:
    assert microseconds(text) == expected


@pytest.mark.parametrize(
    "at",
    [
        "",
        "1726000000",
        "2024-05-01",
        "2024-05-01T10:00:00",
        "2024-05-01T10:00Z",
        "2024-W18-3T10:00:00Z",
        "2024-02-30T10:00:00Z",
        "2024-05-01T24:00:00Z",
        "2024-05-01T10:00:61Z",
        "2024-05-01T10:00:00+24:00",
        "2024-05-01T10:00:00+01:60",
        "2024-05-01T10:00:00.Z",
        "2024-05-01T10:00:00.1234567890Z",
        "٢٠٢٤-05-01T10:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "1969-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        "9999-12-31T23:59:60-23:59",
        -1,
        -0.001,
        4_102_444_800,
        10**30,
        1e300,
    ],
)
def test_what_is_no_time_between_1970_and_2100_is_refused(at: float | str) -> None:
    with pytest.raises(DecodeError) as caught:
        microseconds(at, "c")
    assert caught.value.reason == "time"
    assert caught.value.client == "c"


@pytest.mark.parametrize("at", [1_726_000_000_000, 1_726_000_000_123.0])
def test_milliseconds_are_named(at: float) -> None:
    with pytest.raises(DecodeError, match="looks like milliseconds"):
        microseconds(at)
