"""Packs the Splunk app: `python deploy/splunk/package.py build/querywarden.spl`. The same files give the same bytes."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from pathlib import Path

APP = Path(__file__).parent / "querywarden"


def package(app: Path = APP) -> bytes:
    """A gzipped tar whose one folder is the app's name: files 0644, folders 0755, of nobody, from 1980."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in [app, *sorted(app.rglob("*"))]:
            name = Path(app.name) / path.relative_to(app)
            if any(part.startswith(".") or part == "local" for part in name.parts):
                continue  # what a Splunk or an editor leaves behind is not the app
            info = archive.gettarinfo(path, name.as_posix())
            info.mode = 0o755 if path.is_dir() else 0o644
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = 315_532_800
            archive.addfile(info, io.BytesIO(path.read_bytes()) if path.is_file() else None)
    return gzip.compress(tar.getvalue(), mtime=0)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(package())
