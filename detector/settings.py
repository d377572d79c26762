"""What an operator may set: one TOML file, with the environment on top, checked whole before anything starts."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from detector.alert import SEVERITIES, UNNAMED, Severity, stable_id
from detector.dashboard_settings import DashboardSettings
from detector.errors import SettingsError, nearest_name
from detector.logs import DECODERS
from detector.misfit import is_text, misfit, type_at
from detector.only import Only
from detector.policy import (
    Budget,
    ClassName,
    Declaration,
    ExposureBudget,
    Maintenance,
    Policy,
    Release,
    Storm,
    Suppression,
    Threshold,
)
from detector.pseudonyms import is_pseudonym
from detector.secret import Secret
from detector.sources import AnySourceSettings
from sinks import AnySinkSettings

PREFIX = "QUERYWARDEN_"

Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a record of the log is read.

    format: the name of the log format.
    keep_payload_of_dead_letters: keep the bytes of records that could not be read. They may hold what people asked,
    so this is off unless you ask for it.
    only: `group` and `value`, where a model has several uses that are judged apart: only queries whose `groups` say
    that value are read. With a profile it is the profile's own (`fit --only`), and need not be set.
    """

    format: str = "native"
    keep_payload_of_dead_letters: bool = False
    only: Only | None = None


class ProfileSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was learned from honest traffic.

    path: the folder of the profile. Without one nothing is judged: the log is only recorded, for `fit`.
    also_versions: versions of the served model for which it holds, beside the one that it was fitted for. Queries of
    others are counted and not weighed, until you name them here.
    embedder: where text is embedded by a function of your own, `python:MODULE:NAME`, as `fit --embedder` was told: it
    takes one text and gives its numbers. It is imported, so name nothing that you would not run.
    """

    path: str | None = None
    also_versions: tuple[str, ...] = ()
    embedder: str | None = None


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where state outlives the process.

    path: the store; one process writes it.
    snapshot_s: seconds between snapshots; after a crash the log since the last one is read again.
    tape_days: days of log time for which scores are kept, so that another policy can be tried on them.
    page_rows: rows of clients lie in a file in `path` that the system pages, so that more of them than fit into memory
    change nothing but speed. Off: all rows are in memory.
    """

    path: str = "querywarden-store"
    snapshot_s: Positive = 30.0
    tape_days: Annotated[int, Meta(ge=1)] = 35
    page_rows: bool = True


class TelemetrySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What querywarden says about itself.

    host: the address on which metrics and health are served; this machine only, unless you open it.
    port: the port of it; 0 serves none.
    log_level: the least level that is logged.
    log_json: log one JSON object a line; otherwise lines for people.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 9464
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = True


class SuppressionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entity that is not alerted on for a time.

    kind: the level of the entity, `client` or the name of a logged group.
    id: the entity, as the log names it.
    until: RFC 3339; the log time from which it is alerted on again. There is no "forever".
    reason: why, for whoever reads the audit.
    """

    kind: str = "client"
    id: str
    until: Moment
    reason: str


class MaintenanceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A span in which nobody is alerted on but for budgets, such as a migration that replays old queries.

    since, until: RFC 3339; log times from which and until which it lasts.
    reason: why, for whoever reads the audit.
    """

    since: Moment
    until: Moment
    reason: str


class ReleaseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that changes what everybody asks: a release, a schema, a prompt template.

    at: RFC 3339; the log time at which it went out.
    note: what it was; alerts quote it.
    grace_s: seconds of log time after it in which alerts say so.
    """

    at: Moment
    note: str
    grace_s: Positive = 86_400.0


class ClassSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That a client, or all clients of a logged group, are no people: judged by the law of their class, if the profile
    has one (`fit --class`), and by change against their own past.

    name: `automation` (scripts, batches) or `backend` (a service that gathers the queries of many).
    kind: `client`, or the kind of a logged group.
    id: the client or the group, as the log names it.
    until: RFC 3339; the log time from which it is people again. There is no "forever".
    hard: queries that a client of the class may ask per day of log time; beyond, a `budget` alert of high severity.
    by, approved_by: who declared it, and who agreed: two people, since who poses as automation is seen less well.
    reason: why, for whoever reads the audit.
    """

    name: ClassName
    kind: str = "client"
    id: str
    until: Moment
    hard: Annotated[int, Meta(ge=1)]
    by: Annotated[str, Meta(min_length=1)]
    approved_by: Annotated[str, Meta(min_length=1)]
    reason: str


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an alert is raised. What is not set here comes from the profile, whose thresholds carry the promise.

    cool_down_s: seconds of log time after a resolved case in which the entity is not alerted on again at the same or
    a lower severity.
    budget: queries that an entity may ask per day of log time, `soft` and `hard`; none unless set.
    exposure: share of what a clone of 1,000 queries knows, that an entity may learn, `soft` and `hard`, such as 0.6 and
    0.9; none unless set.
    thresholds: by level, then severity, the score that replaces the profile's, such as `high = 2.5` under
    `[policy.thresholds.client]`. Such a threshold has no promise.
    suppressions: entities that are not alerted on until a time.
    maintenance: spans of log time in which nobody is alerted on, but for budgets.
    releases: moments that changed what everybody asks; alerts soon after them say so.
    classes: clients that are no people, until a time, with a budget and a second person behind it.
    storm: when so many entities (`at_least`, 0: never) open a case on one signal within `window_s` of log time that
    the population has moved: one alert says so, and theirs are held.
    """

    cool_down_s: Annotated[float, Meta(ge=0)] = 86_400.0
    budget: Budget = Budget()
    exposure: ExposureBudget = ExposureBudget()
    thresholds: dict[str, dict[Severity, float]] = {}
    suppressions: tuple[SuppressionSettings, ...] = ()
    maintenance: tuple[MaintenanceSettings, ...] = ()
    releases: tuple[ReleaseSettings, ...] = ()
    classes: tuple[ClassSettings, ...] = ()
    storm: Storm = Storm()

    def over(self, promised: Mapping[str, tuple[Threshold, ...]]) -> Policy:
        """The policy that starts: `promised` thresholds of the profile, with what is set here put over them.

        Its version is a hash of its content. Raises SettingsError for a level that the profile does not judge, or
        when a higher severity would be reached at a lower score, or a maintenance window ends before it begins.
        """
        for index, window in enumerate(self.maintenance):
            if window.until <= window.since:
                raise SettingsError(f"policy.maintenance[{index}].until: {window.until} is not after {window.since}")
        for index, one in enumerate(self.classes):
            if one.by.casefold() == one.approved_by.casefold():
                raise SettingsError(f"policy.classes[{index}].approved_by: {one.by} cannot agree with himself")
        for level in self.thresholds:
            if level not in promised:
                raise SettingsError(f"policy.thresholds.{level}: unknown level; {nearest_name(level, promised)}")
        thresholds = {level: _ascending(level, of, self.thresholds.get(level, {})) for level, of in promised.items()}
        policy = Policy(
            version="",
            thresholds=thresholds,
            cool_down_s=self.cool_down_s,
            suppressions=tuple(Suppression(s.kind, s.id, micros(s.until), s.reason) for s in self.suppressions),
            budget=self.budget,
            exposure=self.exposure,
            maintenance=tuple(Maintenance(micros(m.since), micros(m.until), m.reason) for m in self.maintenance),
            releases=tuple(Release(micros(r.at), r.note, r.grace_s) for r in self.releases),
            storm=self.storm,
            classes=tuple(
                Declaration(c.name, c.kind, c.id, micros(c.until), c.hard, c.by, c.approved_by, c.reason)
                for c in self.classes
            ),
        )
        content = msgspec.json.encode(policy, order="deterministic").decode()
        return msgspec.structs.replace(policy, version=stable_id(content)[:12])


class DeliverySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How alerts reach the sinks.

    heartbeat_s: seconds after which a sink that had nothing to take is checked, so that a dead destination is known
    before it is needed.
    drain_s: seconds that the outbox may still deliver when querywarden is stopped; the rest waits in the store.
    """

    heartbeat_s: Positive = 60.0
    drain_s: Annotated[float, Meta(ge=0)] = 10.0


class LearningSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the one-class model goes on learning.

    successor: what becomes of the model that was learned and calibrated beside the one in force, at the close of an
    epoch. `ask` keeps it until a person approves it (`querywarden successor`); with `auto` it takes over by itself
    where what it changes can be chance, at most once a horizon; `off` drops it.
    """

    successor: Literal["ask", "auto", "off"] = "ask"


class RunSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a run starts.

    no_alerts_before: RFC 3339; what crosses a threshold before this log time is recorded and not decided, so that
    reading old logs does not page anybody; who is still above it then is alerted on at the next point after it. Unset:
    everything is sent.
    """

    no_alerts_before: Moment | None = None


class EntitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is judged beside clients.

    groups: kinds of logged groups, such as `organisation`, that the profile must judge beside clients: one that it does
    not judge is an error. Which it judges is chosen by `fit`.
    pseudonyms: the key with which ids of clients and groups are replaced right behind decode: state, alerts and logs
    name pseudonyms only. Unset: they name what the log names.
    unnamed_members: groups whose alerts do not list the clients in it. Behind one address may be a whole office.
    """

    groups: tuple[str, ...] = ()
    pseudonyms: Secret | None = None
    unnamed_members: tuple[str, ...] = UNNAMED


class ShadowSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A second profile that judges the same records and alerts nobody, until it takes over. Set both keys or none.

    profile: the folder of the profile that is tried.
    store: a folder of its own for its state.
    """

    profile: str | None = None
    store: str | None = None


class ClusterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many processes share one log (`querywarden worker`); `querywarden run` reads none of it. Where it is there,
    be it empty, `querywarden dashboard` is that of the workers.

    name: before the names of the topics, the groups and the state of these workers. Another profile needs another name.
    partitions: into how many parts the clients are shared; at most so many workers judge. It can never be changed.
    replication: copies of each topic.
    retention_h: hours for which what goes from stage to stage is kept, such as a failure of all workers may last.
    session_s: seconds after which a worker that says nothing is taken for dead.
    """

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,200}$")] = "querywarden"
    partitions: Annotated[int, Meta(ge=1, le=10_000)] = 12
    replication: Annotated[int, Meta(ge=1, le=100)] = 3
    retention_h: Annotated[int, Meta(ge=1)] = 168
    session_s: Annotated[float, Meta(ge=6, le=1_800)] = 10.0


NO_CLUSTER = ClusterSettings()  # where the settings have no [cluster]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything. `source` is the only section that must be there."""

    source: AnySourceSettings
    log: LogSettings = LogSettings()
    profile: ProfileSettings = ProfileSettings()
    entities: EntitySettings = EntitySettings()
    store: StoreSettings = StoreSettings()
    shadow: ShadowSettings = ShadowSettings()
    policy: PolicySettings = PolicySettings()
    sinks: tuple[AnySinkSettings, ...] = ()
    delivery: DeliverySettings = DeliverySettings()
    learning: LearningSettings = LearningSettings()
    cluster: ClusterSettings = NO_CLUSTER
    run: RunSettings = RunSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    dashboard: DashboardSettings = DashboardSettings()

    @property
    def of_workers(self) -> bool:
        """Whether they are those of workers: a [cluster] is there, be it empty."""
        return self.cluster is not NO_CLUSTER


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of the file at `path`, with those of `environ` on top.

    `QUERYWARDEN_STORE__PATH=/var/lib/querywarden` sets `path` of `[store]`; more `__` go deeper, a number counts in
    an array (`QUERYWARDEN_SINKS__0__URL`). Values are read as TOML where they can be, else as text.

    Raises SettingsError, which names the place, what was found there and what would be right, never a secret.
    """
    document = _document(path)
    overridden = _override(document, environ)
    try:
        return settings_of(document)
    except SettingsError as error:
        names = "".join(f"; {name} is set in the environment" for place, name in overridden if place in str(error))
        raise SettingsError(f"{path}: {error}{names}") from error


def settings_of(document: Mapping[str, Any]) -> Settings:
    """Settings from what TOML gave. Raises SettingsError."""
    wrong = misfit(document, Settings)
    if wrong is not None:
        raise SettingsError(wrong)
    try:
        settings = msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error)) from error
    if settings.log.format not in DECODERS:
        near = nearest_name(settings.log.format, DECODERS)
        raise SettingsError(f'log.format: unknown format "{settings.log.format}"; {near}')
    if (settings.shadow.profile is None) != (settings.shadow.store is None):
        raise SettingsError("shadow: set both profile and store, or none of them")
    _check_names(settings)
    return settings


def _check_names(settings: Settings) -> None:
    seen: set[str] = set()
    for index, sink in enumerate(settings.sinks):
        if sink.name in seen:
            raise SettingsError(f'sinks[{index}].name: "{sink.name}" names two sinks; give each its own name')
        seen.add(sink.name)
    if settings.entities.pseudonyms is None:
        return
    if settings.log.keep_payload_of_dead_letters:
        raise SettingsError("log.keep_payload_of_dead_letters: payloads hold the names that entities.pseudonyms hides")
    named = [(f"suppressions[{i}]", one.id) for i, one in enumerate(settings.policy.suppressions)]
    named += [(f"classes[{i}]", one.id) for i, one in enumerate(settings.policy.classes)]
    for place, id_ in named:
        if not is_pseudonym(id_):
            raise SettingsError(
                f'policy.{place}.id: "{id_}" is no pseudonym, and entities.pseudonyms is set: '
                "`querywarden pseudonym` prints the right one"
            )


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of a time with an offset."""
    return (moment - datetime.fromisoformat("1970-01-01T00:00:00Z")) // timedelta(microseconds=1)


def _ascending(
    level: str, promised: tuple[Threshold, ...], overrides: Mapping[Severity, float]
) -> tuple[Threshold, ...]:
    scores = {threshold.severity: threshold.score for threshold in promised} | dict(overrides)
    ordered = sorted((Threshold(severity, score) for severity, score in scores.items()), key=lambda t: t.score)
    ranks = [SEVERITIES.index(threshold.severity) for threshold in ordered]
    if ranks != sorted(ranks):
        order = ", ".join(f"{threshold.severity} at {threshold.score:g}" for threshold in ordered)
        raise SettingsError(f"policy.thresholds.{level}: scores must rise with the severity, found {order}")
    return tuple(ordered)


def _document(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        column = error.start - error.object.rfind(b"\n", 0, error.start)
        raise SettingsError(f"{path} is not UTF-8 (at line {line}, column {column})") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error


def _override(document: dict[str, Any], environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Puts the environment's values into `document`; returns the place and the variable of each."""
    overridden = []
    for variable, text in sorted(environ.items()):
        # Other names with the prefix are not settings: secrets, the path of this file.
        if variable.startswith(PREFIX) and "__" in variable:
            parts = variable.removeprefix(PREFIX).lower().split("__")
            value: Any = text if is_text(type_at(document, Settings, parts)) else _value(text)
            _put(document, parts, value, variable)
            overridden.append((_dotted(parts), variable))
    return overridden


def _put(document: dict[str, Any], parts: list[str], value: Any, variable: str) -> None:
    node: Any = document
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(node, list):
            if not part.isdecimal() or int(part) >= len(node):
                raise SettingsError(f"{variable}: {_dotted(parts[:depth])} has {len(node)} entries, counted from 0")
            if last:
                node[int(part)] = value
            node = node[int(part)]
        elif isinstance(node, dict):
            if last:
                node[part] = value
            node = node.setdefault(part, {})
        else:
            raise SettingsError(f"{variable}: {_dotted(parts[:depth])} is a single value and has no keys")


def _dotted(parts: list[str]) -> str:
    return "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in parts).removeprefix(".")


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text
