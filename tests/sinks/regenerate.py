"""Writes the golden files anew: `python -m tests.sinks.regenerate`, then read the diff before you commit it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from sinks.data_stream import payload
from sinks.ecs import document
from sinks.file import FileSettings
from sinks.splunk_hec_events import body, event
from tests.sinks.alerts import golden

GOLDEN = Path(__file__).parent / "golden"
METADATA = {"source": "querywarden", "sourcetype": "querywarden:alert"}
STREAM = {"dataset": "querywarden.alert", "namespace": "default"}


def golden_files() -> dict[str, bytes]:
    """What each golden file should hold, by its name."""
    documents = [document(alert, **STREAM) for alert in golden()]
    return {
        "alerts.jsonl": _file_lines(),
        "bulk.ndjson": b"".join(line + b"\n" for line in payload(golden(), **STREAM)),
        "hec.json": body(event(alert, METADATA) for alert in golden()),
        "ecs.json": msgspec.json.format(msgspec.json.encode(documents), indent=2) + b"\n",
    }


def _file_lines() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "alerts.jsonl"
        sink = FileSettings(path=str(path)).open()
        sink.deliver(golden())
        sink.close()
        return path.read_bytes()


if __name__ == "__main__":
    for name, data in golden_files().items():
        (GOLDEN / name).write_bytes(data)
