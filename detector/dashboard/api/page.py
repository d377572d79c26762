"""The page itself: the files that `make page` built, held in memory, and index.html for every other address."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path
from typing import NamedTuple

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

STATIC = Path(__file__).parents[1] / "static"
INDEX = "index.html"
NOT_BUILT = (
    "The dashboard's page was not built. In a checkout: `make page` (Node 20), then start the dashboard again.\n"
    "The API is at /api/v1, and described at /openapi.json.\n"
)
# Vite names what lies in assets/ by its content.
FOR_EVER, ASK_AGAIN = "public, max-age=31536000, immutable", "no-cache"


class File(NamedTuple):
    body: bytes
    media_type: str
    etag: str
    cache: str


def files(folder: Path) -> dict[str, File]:
    """By path below `folder`; empty where nothing was built. What is not listed here cannot be asked for."""
    if not (folder / INDEX).exists():
        return {}
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): _file(path, folder) for path in found}


def _file(path: Path, folder: Path) -> File:
    body = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    cache = FOR_EVER if path.relative_to(folder).parts[0] == "assets" else ASK_AGAIN
    return File(body, kind, f'"{hashlib.sha256(body).hexdigest()[:32]}"', cache)


def page(folder: Path):  # type: ignore[no-untyped-def]
    """The handler for all that is no part of the API."""
    known = files(folder)

    @get(["/", "/{path:path}"], opt={"role": "anybody"}, include_in_schema=False, sync_to_thread=False)
    def answer(path: FromPath[str] = "") -> Response[bytes]:
        name = path.strip("/")
        if name.startswith(("api/", "oidc/")) or name == "api":
            raise NotFoundException("the API has no such route")
        if not known:
            return Response(NOT_BUILT.encode(), status_code=503, media_type="text/plain")
        if name.startswith("assets/") and name not in known:
            raise NotFoundException("the page has no such file")
        file = known.get(name) or known[INDEX]
        return Response(file.body, media_type=file.media_type, headers={"ETag": file.etag, "Cache-Control": file.cache})

    return answer
