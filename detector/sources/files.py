"""Files of JSON lines: their settings, and how a file that is replayed once differs from one that is followed."""

from __future__ import annotations

import msgspec

from detector.errors import SettingsError
from detector.sources.files_bounded import FileReplay
from detector.sources.files_followed import FileFollower


class FileSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="file"):
    """JSON lines from files: plain, gzip or zstd, told by their first bytes.

    paths: files, or patterns with `*`, `?`, `[...]` and `**`; read from the one changed longest ago to the newest.
    follow: wait for plain files to grow and for new ones to match, through rotation by rename and by copytruncate;
    a last line without its newline waits for it. Without `follow` each file is read once to its end.
    batch_size: records read at a time. max_record_bytes: of a longer line only the first 64 KiB are kept, which do
    not parse, so that it becomes a dead letter.

    A log is known by its content (see `fingerprint`), so a renamed or compressed file is not read twice, and a copy
    goes on where the original ended. Copytruncate can lose what was written between copy and cut, unless the copy
    matches `paths`; and a file that is cut and grows beyond where it was within a second is noticed late.

    >>> FileSettings(paths=("inference.jsonl",)).follow
    False
    """

    paths: tuple[str, ...]
    follow: bool = False
    batch_size: int = 4000
    max_record_bytes: int = 10 * 1024 * 1024

    def __post_init__(self) -> None:
        if not self.paths:
            raise SettingsError("file source: paths names no file")
        if self.batch_size < 1 or self.max_record_bytes < 1:
            raise SettingsError("file source: batch_size and max_record_bytes must be at least 1")

    def connect(self) -> FileReplay | FileFollower:
        reader = FileFollower if self.follow else FileReplay
        return reader(self.paths, batch_size=self.batch_size, max_record_bytes=self.max_record_bytes)
