"""Hashes of passwords: argon2id, with the parameters of RFC 9106 for machines with little memory (64 MiB)."""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from detector.errors import SettingsError

AT_ONCE = 2  # hashes made side by side: each takes 64 MiB, and anybody may ask for one
SHORTEST = 12

_HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
_TURN = threading.BoundedSemaphore(AT_ONCE)
_NOBODY = _HASHER.hash(secrets.token_hex())  # verified where there is no such account: that takes as long


def hash_of(password: str) -> str:
    """Raises SettingsError for a password that is too short."""
    if len(password) < SHORTEST:
        raise SettingsError(f"a password of fewer than {SHORTEST} characters is too easy to guess")
    return _HASHER.hash(password)


def check_hash(hashed: str) -> None:
    """Raises SettingsError for what is not the hash of a password."""
    if not hashed.startswith("$argon2id$"):
        raise SettingsError(
            "dashboard.local.password_hash: no argon2id hash; `querywarden dashboard --hash-password` prints one"
        )


def fits(password: str, hashed: str | None) -> bool:
    """hashed None: there is no such account."""
    with _TURN:
        try:
            _HASHER.verify(hashed or _NOBODY, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False
    return hashed is not None
