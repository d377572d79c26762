"""`querywarden run` in a process of its own, which can be watched, stopped and killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.servers.kafka.server import free_port

PATIENCE_S = 180.0  # of a test that shares two cores with others
LOOK_S = 0.02

Metrics = dict[tuple[str, ...], float]  # name and label values -> value


class Child:
    """Starts when made. What it logs goes to `log`, behind what earlier ones wrote there. name: the command."""

    def __init__(self, config: Path, log: Path, name: str = "run") -> None:
        self.log = log
        self._log_begins = log.stat().st_size if log.exists() else 0
        self._port = json.loads(config.with_suffix(".json").read_text())["telemetry"]["port"]
        with log.open("ab") as out:
            command = [sys.executable, "-m", "detector.cli", name, "--config", str(config)]
            self.process = subprocess.Popen(command, stdout=out, stderr=out)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an answer; status 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> Metrics:
        """Empty while nobody answers."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}

    def until(self, condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
        """Waits for a condition; fails when the process ends before, or takes too long."""

        def met() -> object:
            assert self.process.poll() is None, f"the runner ended with {self.process.returncode}\n{self.tail()}"
            return condition()

        until(met, lambda: f"{what}\n{self.tail()}", patience_s)

    def said(self, sentence: str) -> bool:
        """Whether it has logged this."""
        return sentence.encode() in self.log.read_bytes()[self._log_begins :]

    def tail(self, lines: int = 25) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def command(name: str, config: Path) -> tuple[int, str]:
    """Runs a command to its end: status, and what it said. name: with its options."""
    done = subprocess.run(
        [sys.executable, "-m", "detector.cli", *name.split(), "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    return done.returncode, done.stdout + done.stderr


def total(metrics: Metrics, name: str) -> float:
    """The sum of a metric over its labels; 0 where there is none yet."""
    return sum(value for (found, *_), value in metrics.items() if found.removesuffix("_total") == name)


def until(condition: Callable[[], object], what: Callable[[], str], patience_s: float = PATIENCE_S) -> None:
    """Looks again and again: what other processes do cannot be awaited otherwise."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, f"still waiting for {what()}"
        time.sleep(LOOK_S)


def configured(path: Path, document: Mapping[str, Any]) -> Path:
    """Writes settings as TOML (and beside it as JSON, for the child), with metrics on a free port."""
    document = {**document, "telemetry": {"port": free_port()} | dict(document.get("telemetry", {}))}
    if document["telemetry"]["port"] == 0:
        document["telemetry"]["port"] = free_port()
    path.write_text("".join(f"{name} = {_toml(value)}\n" for name, value in document.items()))
    path.with_suffix(".json").write_text(json.dumps(document))
    return path


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
