"""The sources that settings can name: one file a source, one contract (`contract.Source`)."""

from __future__ import annotations

from detector.sources.files import FileSettings
from detector.sources.kafka import KafkaSettings
from detector.sources.stdin import StdinSettings

__all__ = ["SOURCES", "AnySourceSettings", "FileSettings", "KafkaSettings", "StdinSettings"]

SOURCES = (FileSettings, KafkaSettings, StdinSettings)

AnySourceSettings = FileSettings | KafkaSettings | StdinSettings
