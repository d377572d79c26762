"""Packs the Splunk app: `python deploy/splunk/package.py build/querywarden.spl`. The same files give the same bytes."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from pathlib import Path

APP = Path(__file__).parent / "querywarden"
LICENSE = APP.parents[2] / "LICENSE"
OLD = 315_532_800  # 1980: the time of every file


def package() -> bytes:
    """A gzipped tar whose one folder is the app, with the project's licence: files 0644, folders 0755, of nobody."""
    members = {path.relative_to(APP.parent): path for path in [APP, *APP.rglob("*")]}
    members[Path(APP.name) / LICENSE.name] = LICENSE
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, path in sorted(members.items()):
            if not _is_left_behind(name):
                archive.addfile(_entry(name, path), io.BytesIO(path.read_bytes()) if path.is_file() else None)
    return gzip.compress(tar.getvalue(), mtime=0)


def _is_left_behind(name: Path) -> bool:
    """By a Splunk (`local`) or an editor: not the app."""
    return any(part.startswith(".") or part == "local" for part in name.parts)


def _entry(name: Path, path: Path) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name.as_posix())
    entry.mtime = OLD
    if path.is_dir():
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    else:
        entry.size, entry.mode = path.stat().st_size, 0o644
    return entry


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(package())
