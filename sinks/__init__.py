"""The destinations there are. Another one is a file here, one more name in `SINKS` and in `AnySinkSettings`."""

from __future__ import annotations

from sinks.contract import Sink
from sinks.elasticsearch import ElasticsearchSettings
from sinks.file import FileSettings
from sinks.opensearch import OpenSearchSettings
from sinks.splunk_hec import SplunkHecSettings

AnySinkSettings = FileSettings | ElasticsearchSettings | OpenSearchSettings | SplunkHecSettings  # decoded by `type`
SINKS: tuple[type[AnySinkSettings], ...] = (FileSettings, ElasticsearchSettings, OpenSearchSettings, SplunkHecSettings)


def open_sink(settings: AnySinkSettings) -> Sink:
    """Makes the sink; mypy sees here that every one of them keeps the contract."""
    return settings.open()
