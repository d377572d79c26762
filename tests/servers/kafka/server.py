"""Starts, stops and kills one real Apache Kafka node (KRaft: broker and controller in one process).

The data survive `stop` and `kill`: `start` again comes back on the same port. By hand:
`python -m tests.servers.kafka.server DIRECTORY --port 9092`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.java import java_home

HERE = Path(__file__).resolve().parent
CLUSTER_ID = "q0Kx3cZkQ7mFJc8vW1nT5A"  # any 16 bytes in base64url; fixed, so that a second format is a no-op

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
log.dirs={data}
num.partitions=1
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.threads=1
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""

LOG4J = """\
<Configuration status="WARN">
  <Appenders><Console name="out"><PatternLayout pattern="%d{ISO8601} %p %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="INFO"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


class KafkaServerError(Exception):
    """The server could not be installed or did not become ready; the message ends with the tail of its log."""


class KafkaServer:
    """One Kafka node on 127.0.0.1. `port=0` takes a free port, which stays the same over restarts."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        heap_mb: int = 256,
        extra: dict[str, str] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.jars = cache() / "kafka" / "jars"
        self.port = port or free_port()
        self.controller_port = free_port()
        self.heap_mb = heap_mb
        self.extra = extra or {}
        self.log = self.directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, timeout_s: float = 60.0) -> Self:
        """Formats the storage the first time, starts the node and returns when it answers as a broker."""
        if is_ready(self.port):  # else that server would answer in place of ours
            raise KafkaServerError(f"a Kafka server already answers on {self.bootstrap}")
        install_jars(self.jars)
        properties = self._write_properties()
        if not (self.directory / "data" / "meta.properties").exists():
            self._format(properties)
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal reaches the tests, not the server they must stop.
            self.process = subprocess.Popen(
                self._java("kafka.Kafka", str(properties)), stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + timeout_s
        while not is_ready(self.port):
            if self.process.poll() is not None:
                raise KafkaServerError(f"Kafka exited with {self.process.returncode}\n{self._tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise KafkaServerError(f"Kafka not ready after {timeout_s:.0f} s\n{self._tail()}")
            time.sleep(0.1)
        return self

    def stop(self, timeout_s: float = 30.0) -> None:
        """Clean shutdown (SIGTERM); falls back to SIGKILL."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """Crash (SIGKILL): what a power cut would leave, as far as the process can tell."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _write_properties(self) -> Path:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "log4j2.xml").write_text(LOG4J)
        text = PROPERTIES.format(
            port=self.port, controller_port=self.controller_port, data=(self.directory / "data").as_posix()
        )
        path = self.directory / "server.properties"
        # A later line wins in a properties file, so `extra` may replace any setting above.
        path.write_text(text + "".join(f"{key}={value}\n" for key, value in self.extra.items()))
        return path

    def _format(self, properties: Path) -> None:
        tool = self._java("kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config", str(properties))
        done = subprocess.run(tool, capture_output=True, text=True, check=False)
        if done.returncode:
            raise KafkaServerError(f"formatting the storage failed\n{done.stdout}{done.stderr}")

    def _java(self, main: str, *arguments: str) -> list[str]:
        return [
            str(java_home(17) / "bin" / "java"),
            f"-Xmx{self.heap_mb}m",
            "-XX:+UseSerialGC",  # small heap, few cores: the collector with the smallest footprint
            "-XX:TieredStopAtLevel=1",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={self.directory / 'log4j2.xml'}",
            "-cp",
            f"{self.jars}{os.sep}*",
            main,
            *arguments,
        ]

    def _tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def cache() -> Path:
    """Where downloaded servers are kept: $QUERYWARDEN_TEST_CACHE, else build/servers in the repository."""
    return Path(os.environ.get("QUERYWARDEN_TEST_CACHE") or HERE.parents[2] / "build" / "servers").resolve()


def install_jars(jars: Path) -> None:
    """Fills `jars` through Maven, once per pom.xml: the finished folder holds a copy of the pom that made it."""
    pom, stamp = HERE / "pom.xml", jars / "pom.xml"
    if stamp.exists() and stamp.read_bytes() == pom.read_bytes():
        return
    shutil.rmtree(jars, ignore_errors=True)
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
    if shutil.which("mvn") is None:
        raise KafkaServerError(f"no Maven found: put mvn on PATH, or Kafka's jars and {pom} into {jars}")
    done = subprocess.run(["mvn", "-B", "-q", "-f", str(pom), *goal], capture_output=True, text=True, check=False)
    if done.returncode:
        raise KafkaServerError(f"Maven could not fetch Kafka\n{done.stdout}{done.stderr}")
    stamp.write_bytes(pom.read_bytes())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(port: int) -> bool:
    """True once a Metadata request (key 3, version 1) is answered with one live broker."""
    client = b"ready"
    body = struct.pack(">hhih", 3, 1, 7, len(client)) + client + struct.pack(">i", 0)  # no topics wanted
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            connection.settimeout(2.0)
            answer = connection.makefile("rb")
            (size,) = struct.unpack(">i", answer.read(4))
            correlation, brokers = struct.unpack(">ii", answer.read(size)[:8])
    except (OSError, struct.error):
        return False
    return bool(correlation == 7 and brokers == 1)


def main() -> None:
    """Runs a node until it is interrupted or terminated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=9092)
    arguments = parser.parse_args()
    server = KafkaServer(arguments.directory, port=arguments.port)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with server:
        sys.stdout.write(f"ready on {server.bootstrap}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
