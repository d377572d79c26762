"""What may be asked of a running process: the paths that its port knows."""

from __future__ import annotations

import urllib.error
import urllib.request
from contextlib import closing

from detector.run.health import Health
from detector.run.telemetry import Endpoint, Telemetry


def status(path: str) -> int:
    """What the port answers to this path when all is well; 404 for one that it does not know."""
    with closing(Endpoint(Telemetry(), Health, port=0)) as endpoint:
        host, port = endpoint.address
        try:
            with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
