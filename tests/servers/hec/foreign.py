"""Knows clients of the HTTP Event Collector that are not ours: npm's `splunk-logging`, PyPI's `splunk-hec-handler`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.servers.fetched import fetched, program, run

NPM = "splunk-logging@0.11.1"
PYPI = "splunk-hec-handler==1.2.0"
SCRIPT = Path(__file__).with_name("foreign.js")
HANDLER = """
import json, logging, sys
from splunk_hec_handler import SplunkHecHandler
port, token, endpoint, *messages = sys.argv[1:]
log = logging.getLogger("foreign")
log.addHandler(SplunkHecHandler("127.0.0.1", token, port=int(port), proto="http", endpoint=endpoint, source="foreign"))
for message in messages:
    log.error(json.loads(message))
"""


def npm_client() -> Path:
    """The folder in which Node finds it."""
    return fetched(
        "hec-npm", lambda build: run([program("npm", "Node 20"), "install", "--silent", "--prefix", str(build), NPM])
    )


def pypi_client() -> Path:
    return fetched(
        "hec-pypi", lambda build: run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(build), PYPI])
    )


def send_with_npm(url: str, token: str, *messages: Any, path: str = "/services/collector/event/1.0") -> dict[str, Any]:
    """One request with all messages; the status and body that the client was answered with."""
    environ = {**os.environ, "NODE_PATH": str(npm_client() / "node_modules")}
    command = ["node", str(SCRIPT), url, token, path, *map(json.dumps, messages)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def send_with_pypi(port: int, token: str, *messages: Any, endpoint: str = "event") -> str:
    """One request a message; what the client said of a failure, empty where there was none."""
    environ = {**os.environ, "PYTHONPATH": str(pypi_client())}
    command = [sys.executable, "-c", HANDLER, str(port), token, endpoint, *map(json.dumps, messages)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return done.stderr
