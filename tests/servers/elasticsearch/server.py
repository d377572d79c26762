"""Knows how to run one real Elasticsearch node on loopback: start, pause, stop, kill, and start again on its data."""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.servers.elasticsearch.home import User, lay_out
from tests.servers.elasticsearch.jars import JAVA, cache_folder, prepared
from tests.servers.java import java_home

NO_USERS: Mapping[str, User] = MappingProxyType({})
POLL_S = 0.1


class ElasticsearchServer:
    """The same object may be started again after stop() or kill(): port and data stay.

    users: name -> (password, comma-separated roles such as "superuser"). Given, the security module is on (basic
    auth, API keys, roles); otherwise the node takes any request. tls: (certificate, key) as PEM files, for HTTPS.
    settings: more lines for elasticsearch.yml.
    """

    def __init__(
        self,
        home: Path,
        *,
        users: Mapping[str, User] = NO_USERS,
        tls: tuple[Path, Path] | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        assert users or tls is None, "tls needs users"

        self.home = home
        self.users = users
        self.port, self._transport_port = _free_ports()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._tls = tls
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.kill)

    def start(self, timeout_s: float = 120.0) -> None:
        """Returns when the node answers over HTTP (4-9 s, 25 s on a busy machine)."""
        assert self._process is None, "already started"
        jars = prepared(cache_folder())
        lay_out(self.home, jars, self._config(), self.users)
        for source, target in zip(self._tls or (), ("http.crt", "http.key"), strict=False):
            shutil.copy(source, self.home / "config" / target)
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                _command(jars, self.home),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                start_new_session=True,
            )
        self._wait(timeout_s)

    def stop(self, timeout_s: float = 30.0) -> None:
        """Ends it in good order (SIGTERM); SIGKILL if that takes longer than `timeout_s`."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """As kill -9: what was acknowledged must survive it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing, as if hung; resume() lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _config(self) -> dict[str, object]:
        config: dict[str, object] = {
            "cluster.name": "test",
            "node.name": "test-node",
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": self._transport_port,
            "discovery.type": "single-node",
            "cluster.routing.allocation.disk.threshold_enabled": False,
        }
        if self.users:
            config["xpack.security.enabled"] = True
        if self._tls:
            config["xpack.security.http.ssl.enabled"] = True
            config["xpack.security.http.ssl.certificate"] = "http.crt"
            config["xpack.security.http.ssl.key"] = "http.key"
        return config | dict(self._settings)

    def _wait(self, timeout_s: float) -> None:
        assert self._process is not None
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self._process.poll() is not None:
                code, self._process = self._process.returncode, None
                raise RuntimeError(f"Elasticsearch ended with {code}:\n{self._tail()}")
            if self._healthy():
                return
            time.sleep(POLL_S)  # a process that starts announces nothing that could be awaited
        self.kill()
        raise TimeoutError(f"Elasticsearch is not ready after {timeout_s} s:\n{self._tail()}")

    def _healthy(self) -> bool:
        request = urllib.request.Request(self.url + "/_cluster/health?wait_for_status=yellow&timeout=1s")
        for name, (password, _) in list(self.users.items())[:1]:
            token = base64.b64encode(f"{name}:{password}".encode()).decode()
            request.add_header("Authorization", "Basic " + token)
        context = ssl._create_unverified_context()  # noqa: S323 - asks on loopback whether it is up, no more
        unverified = urllib.request.HTTPSHandler(context=context)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), unverified)
        with contextlib.suppress(OSError, ValueError), opener.open(request, timeout=5) as answer:
            return json.load(answer)["status"] in ("yellow", "green")
        return False

    def _tail(self) -> str:
        return "\n".join((self.home / "server.log").read_text(errors="replace").splitlines()[-40:])


def _command(jars: Path, home: Path) -> list[str]:
    command = [
        str(java_home(JAVA, compiler=True) / "bin" / "java"),
        "-Xms512m",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-Dfile.encoding=UTF-8",
        "-Djava.locale.providers=CLDR",
        f"-Djava.io.tmpdir={home / 'tmp'}",
        "-Dio.netty.noUnsafe=true",
        "--enable-native-access=ALL-UNNAMED",
    ]
    if (jars / "native").exists():
        command += [
            f"-Des.nativelibs.path={jars / 'native'}",
            "-Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false",
        ]
    return [*command, "-cp", f"{jars / 'lib'}/*", "EsNode", str(home)]


def _free_ports() -> tuple[int, int]:
    """Two ports that were free a moment ago; both are held at once so that they differ."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
