"""querywarden. Importing it decides where Numba keeps compiled kernels, before any kernel is defined.

Numba's cache looks at the file of a kernel, not at the files of those it calls: after an edit or an upgrade a stale
one could run. So the cache lies in a folder named by the hash of all kernels' sources.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import numba

_KERNELS = (
    "features",
    "detector/evidence",
    "detector/exposure",
    "detector/profile",
    "detector/learned/days.py",
    "detector/learned/halves.py",
    "detector/rings",
    "detector/columns.py",
    "detector/entities.py",
    "detector/openings.py",
    "detector/query.py",
    "detector/tape.py",
    "detector/text",
)


def _cache_folder() -> Path:
    root = Path(__file__).parent.parent
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for place in _KERNELS:
        path = root / place
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return Path("querywarden") / digest.hexdigest()


def _base_folder() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        (home / "querywarden").mkdir(parents=True, exist_ok=True)
    except OSError:  # a service user without a home, or a read-only one
        return Path(tempfile.gettempdir()) / f"querywarden-{os.getuid()}"
    return (
        home if os.access(home / "querywarden", os.W_OK) else Path(tempfile.gettempdir()) / f"querywarden-{os.getuid()}"
    )


if not numba.config.CACHE_DIR:  # NUMBA_CACHE_DIR
    numba.config.CACHE_DIR = str(_base_folder() / _cache_folder())
else:
    numba.config.CACHE_DIR = str(Path(numba.config.CACHE_DIR) / _cache_folder())
