"""How times are written in logs (epoch seconds, RFC 3339) and which integer microsecond they mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from detector.errors import DecodeError
from detector.logs.contract import TIME

END_S = 4_102_444_800.0  # 2100-01-01
LOOKS_LIKE_MS = 1e11  # as seconds this is the year 5138; as milliseconds 1973

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Stricter than what datetime reads: no week dates, no hour 24, no time without an offset.
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,9})?"
    r"([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
# How most logs write it, with all digits replaced by 0.
_USUAL = re.compile(r"0000-00-00T00:00:00(?:\.0{1,6})?Z")
_DIGITS = bytes.maketrans(b"123456789", b"000000000")


def microseconds(at: float | str, client: str | None = None) -> int:
    """The time in microseconds since 1970, UTC.

    A float is rounded to the nearest microsecond: until 2100 the spacing of doubles is half a microsecond or less, so
    this is what was written. Digits of RFC 3339 beyond microseconds are cut off. The leap second :60 is read as the
    last microsecond before it ends, since the epoch has no name for it.

    Raises DecodeError("time") outside 1970..2100, and when text is not RFC 3339.

    >>> microseconds(1.5), microseconds("1970-01-01T01:00:01.5+01:00")
    (1500000, 1500000)
    """
    if isinstance(at, str):
        found = _parsed(at, client)
    else:
        # An int is multiplied as such: a float would lose digits, and far outside has no whole number of microseconds.
        found = round(at * 1e6 if -1.0 < at < END_S else -1.0) if isinstance(at, float) else at * 1_000_000
    if not 0 <= found < END_S * 1e6:
        raise DecodeError(TIME, _out_of_range(at), client=client)
    return found


def all_at_once(texts: Sequence[str]) -> list[int] | None:
    """`microseconds` of each, in a fifth of the time, where all are written alike and as most logs do it: in UTC with a
    Z, the same digits of a second in all. None where they are not, or one is no time.

    >>> all_at_once(["1970-01-01T00:00:01.5Z", "1970-01-01T00:00:02.0Z"]), all_at_once(["1970-01-01 00:00:01Z"])
    ([1500000, 2000000], None)
    """
    if len(set(map(len, texts))) != 1:
        return None
    digits = "".join(texts).encode("utf-8", "surrogatepass").translate(_DIGITS).decode("utf-8", "surrogatepass")
    form = digits[: len(texts[0])]
    if _USUAL.fullmatch(form) is None or digits != form * len(texts):
        return None
    try:
        found = np.array([text[:-1] for text in texts], "M8[us]").astype(np.int64)
    except ValueError:  # the 30th of February, the leap second
        return None
    return found.tolist() if found.min() >= 0 and found.max() < END_S * 1e6 else None


def _parsed(text: str, client: str | None) -> int:
    match = _RFC_3339.fullmatch(text)
    if match is None:
        raise DecodeError(TIME, f"`at` is {text[:40]!r}, which is not an RFC 3339 time", client=client)
    if text[17:19] == "60":
        text = f"{text[:17]}59.999999{match[1]}"
    try:
        since = datetime.fromisoformat(text.upper()) - _EPOCH  # cuts digits beyond microseconds off
    except ValueError as error:
        raise DecodeError(TIME, f"`at` is {text[:40]!r}: {error}", client=client) from error
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _out_of_range(at: float | str) -> str:
    if isinstance(at, str):
        return f"`at` is {at[:40]!r}, outside 1970..2100"
    at = min(max(at, -1e300), 1e300)  # an integer may be too long for a float
    if at > LOOKS_LIKE_MS:
        return f"`at` is {at:.6g}, which looks like milliseconds: seconds since 1970 are expected"
    return f"`at` is {at:.6g}, outside 1970..2100 as seconds"
