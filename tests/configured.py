"""The settings of a runner over a log and a profile that a test made."""

from __future__ import annotations

from pathlib import Path


def settings_file(folder: Path, day: Path, more: str = "") -> Path:
    """querywarden.toml in `folder`, where its store is too: it reads the log and the profile of `day`."""
    path = folder / "querywarden.toml"
    path.write_text(f"""
[source]
type = "file"
paths = ["{day}/log.jsonl"]
[profile]
path = "{day}/profile"
[store]
path = "{folder}/store"
[telemetry]
port = 0
{more}""")
    return path
