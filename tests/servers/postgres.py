"""Starts a real PostgreSQL on loopback, as a user that is not root, in a folder of its own (Debian's `postgresql`)."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.servers.fetched import ServerUnavailable

PACKAGED = Path("/usr/lib/postgresql")
USERS = ("postgres", "nobody")
START_S = 60


def program(name: str) -> Path:
    """`initdb` or `pg_ctl`. Raises ServerUnavailable."""
    found = [*sorted(PACKAGED.glob(f"*/bin/{name}"), reverse=True), *filter(None, [shutil.which(name)])]
    if not found:
        raise ServerUnavailable(f"there is no PostgreSQL ({name}) here: Debian's package is postgresql")
    return Path(found[0])


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a database that is empty, while the server runs."""
    initdb, control = program("initdb"), program("pg_ctl")
    folder = Path(tempfile.mkdtemp(prefix="querywarden-postgres-"))
    user = _user()
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, log = folder / "data", folder / "log"

    def run(*command: str | Path) -> None:
        done = subprocess.run(
            [*map(str, command)], user=user, group=user and pwd.getpwnam(user).pw_gid, extra_groups=user and [],
            cwd=folder, env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr + (log.read_text() if log.exists() else "")

    try:
        run(initdb, "-D", data, "-U", "querywarden", "--auth=trust", "--no-sync", "-E", "UTF8")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        # its output must not be our pipe: the server would keep it open, and we would wait for ever
        run("sh", "-c", f"'{control}' -D '{data}' -l '{log}' -w -t {START_S} -o '{options}' start >/dev/null 2>&1")
        try:
            yield f"postgresql://querywarden@127.0.0.1:{port}/postgres"
        finally:
            run(control, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Databases:
    """Databases of a server, each empty when it is given out."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._count = 0

    def new(self) -> str:
        """The URL of one."""
        import psycopg

        self._count += 1
        name = f"made_{self._count}"
        with closing(psycopg.connect(self._url, autocommit=True)) as db:
            db.execute(f"CREATE DATABASE {name}")
        return self._url.rpartition("/")[0] + f"/{name}"


def _user() -> str | None:
    """Whom to run as: PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in USERS if name in known)
