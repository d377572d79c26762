"""`check`: reaches everything that the settings name, sends each sink a test alert, and says what is wrong."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from detector.errors import QuerywardenError
from detector.profile import artefact
from detector.pseudonyms import mark
from detector.run.health import Health, heartbeat
from detector.run.judge import check_groups, use_of
from detector.settings import Settings
from detector.sources import AnySourceSettings, KafkaSettings
from detector.sources.kafka import probe
from sinks import AnySinkSettings, open_sink


def check(settings: Settings) -> tuple[list[str], bool]:
    """One line for each part, and whether all are well."""
    parts = [("profile", _profile), ("source", _source)]
    if settings.shadow.profile is not None:
        parts.append(("shadow", _shadow))
    if settings.entities.pseudonyms is not None:
        parts.append(("pseudonyms", _pseudonyms))
    lines, well = [], True
    for name, look in parts:
        line, good = _said(name, lambda look=look: look(settings))
        lines.append(line)
        well = well and good
    for sink in settings.sinks:
        line, good = _said(f"sink {sink.name}", lambda sink=sink: _sink(sink))
        lines.append(line)
        well = well and good
    if not settings.sinks:
        lines.append("sinks: none are set, so alerts only wait in the store")
    return lines, well


def _said(name: str, look) -> tuple[str, bool]:  # type: ignore[no-untyped-def]
    try:
        return f"{name}: ok, {look()}", True
    except QuerywardenError as error:
        return f"{name}: FAILED, {error}", False


def _profile(settings: Settings) -> str:
    if settings.profile.path is None:
        return "none is set: learning mode, budgets only"
    return _loaded(Path(settings.profile.path), settings)


def _shadow(settings: Settings) -> str:
    assert settings.shadow.profile is not None
    return _loaded(Path(settings.shadow.profile), settings)


def _pseudonyms(settings: Settings) -> str:
    mark(settings.entities.pseudonyms)
    return "the key can be read"


def _loaded(path: Path, settings: Settings) -> str:
    profile = artefact.load(path)
    check_groups(settings, profile)
    use_of(settings, profile)
    settings.policy.over(profile.summary.policy.thresholds)
    s = profile.summary
    promise = "none, it only observes" if s.promise is None else f"{s.promise:.2%}"
    return f"{s.id} of the model {s.model}, promise {promise}"


def _source(settings: Settings) -> str:
    source: AnySourceSettings = settings.source
    if isinstance(source, KafkaSettings):
        return probe(source)
    reader = source.connect()
    reader.open({})
    try:
        return f"{len(reader.streams())} streams found"
    finally:
        reader.close()


def _sink(settings: AnySinkSettings) -> str:
    sink = open_sink(settings)
    try:
        answered = sink.check()
        test = heartbeat(
            Health(reasons=("this is a test by `querywarden check`",)),
            instance=socket.gethostname(),
            sink=settings.name,
            backlog=0,
            at_s=time.time(),
        )
        delivery = sink.deliver([test])
    finally:
        sink.close()
    if delivery.refused:
        raise QuerywardenError(f"it answers ({answered}), but refuses a test alert: {delivery.refused[0].reason}")
    if delivery.retry:
        raise QuerywardenError(f"it answers ({answered}), but is too busy to take a test alert; try again")
    return f"{answered}; a test alert was taken"
