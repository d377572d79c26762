"""Where a list goes on: after the sort key of the last item, so that items which come and go meanwhile move nothing."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from detector.errors import SettingsError


def after(key: tuple[Any, ...]) -> str:
    """A cursor: of what follows `key`."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def key_of(cursor: str, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    """The sort key of a cursor, of values of these types. Raises SettingsError for one that is none."""
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=tuple[kinds])  # type: ignore[valid-type]
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise SettingsError(f'cursor: "{cursor[:80]}" was not given by this list') from error
