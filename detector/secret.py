"""Secrets come from the environment or a file, never from the settings themselves, and never reach a log."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from detector.errors import SettingsError


class Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reference: `{ env = "NAME" }` or `{ file = "/run/secrets/name" }`. Its repr shows the reference only."""

    env: str | None = None
    file: str | None = None

    def reveal(self) -> str:
        """The secret itself, without a trailing newline.

        Raises SettingsError when the reference names nothing, both, or something that is not there.
        """
        if (self.env is None) == (self.file is None):
            raise SettingsError('a secret is a reference: { env = "NAME" } or { file = "PATH" }')
        if self.env is not None:
            value = os.environ.get(self.env)
            if value is None:
                raise SettingsError(f"the environment variable {self.env} that a secret refers to is not set")
            return value
        assert self.file is not None
        try:
            return Path(self.file).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise SettingsError(f"the secret file {self.file} cannot be read: {error.strerror}") from error
