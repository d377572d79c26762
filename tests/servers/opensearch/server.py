"""Knows what one real OpenSearch node on loopback is started with, and when it is ready."""

from __future__ import annotations

import contextlib
import json
import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.servers.elasticsearch.home import LOG4J2
from tests.servers.java import java_home
from tests.servers.node import Node, free_ports
from tests.servers.opensearch.jars import JAVA, prepared


class OpenSearchServer(Node):
    """A node without plugins, so without security and ISM. settings: more lines for opensearch.yml."""

    name = "OpenSearch"

    def __init__(self, home: Path, *, settings: Mapping[str, object] | None = None) -> None:
        super().__init__(home)
        self.port, self._transport_port = free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = settings or {}

    def _prepared(self) -> list[str]:
        jars = prepared()
        for name in ("config", "data", "logs", "modules", "plugins", "tmp"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        lines = [f"{key}: {json.dumps(value)}\n" for key, value in self._config().items()]
        (self.home / "config" / "opensearch.yml").write_text("".join(lines))
        (self.home / "config" / "log4j2.properties").write_text(LOG4J2)
        return [
            str(java_home(JAVA, compiler=True) / "bin" / "java"),
            "-Xms512m",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",  # these live for seconds: half the processor time until they answer
            f"-Djava.io.tmpdir={self.home / 'tmp'}",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            os.pathsep.join((f"{jars / 'lib'}/*", str(jars / "classes"))),
            "OsNode",
            str(self.home),
        ]

    def _config(self) -> dict[str, object]:
        return {
            "cluster.name": "test",
            "node.name": "test-node",
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": self._transport_port,
            "discovery.type": "single-node",
            "cluster.routing.allocation.disk.threshold_enabled": False,
            **self._settings,
        }

    def _healthy(self) -> bool:
        url = self.url + "/_cluster/health?wait_for_status=yellow&timeout=1s"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with contextlib.suppress(OSError, ValueError), opener.open(url, timeout=5) as answer:
            return json.load(answer)["status"] in ("yellow", "green")
        return False
