"""Knows what one real Elasticsearch node on loopback is started with, and when it is ready."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.servers.elasticsearch.home import User, lay_out
from tests.servers.elasticsearch.jars import JAVA, prepared
from tests.servers.java import java_home
from tests.servers.node import Node, free_ports

NO_USERS: Mapping[str, User] = MappingProxyType({})


class ElasticsearchServer(Node):
    """A node with its data in `home`.

    users: name -> (password, comma-separated roles such as "superuser"). Given, the security module is on (basic
    auth, API keys, roles); otherwise the node takes any request. tls: (certificate, key) as PEM files, for HTTPS.
    settings: more lines for elasticsearch.yml.
    """

    name = "Elasticsearch"

    def __init__(
        self,
        home: Path,
        *,
        users: Mapping[str, User] = NO_USERS,
        tls: tuple[Path, Path] | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        assert users or tls is None, "tls needs users"

        super().__init__(home)
        self.users = users
        self.port, self._transport_port = free_ports()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._tls = tls
        self._settings = settings or {}

    def _prepared(self) -> list[str]:
        jars = prepared()
        lay_out(self.home, jars, self._config(), self.users)
        for source, target in zip(self._tls or (), ("http.crt", "http.key"), strict=False):
            shutil.copy(source, self.home / "config" / target)
        return _command(jars, self.home)

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


def _command(jars: Path, home: Path) -> list[str]:
    command = [
        str(java_home(JAVA, compiler=True) / "bin" / "java"),
        "-Xms512m",
        "-Xmx512m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",  # these live for seconds: half the processor time until they answer
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
