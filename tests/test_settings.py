from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import SettingsError
from detector.policy import Budget, Maintenance, Release, Storm, Threshold
from detector.settings import PolicySettings, Settings, load, settings_of
from detector.sources import AnySourceSettings
from sinks import AnySinkSettings

LEAST = '[source]\ntype = "stdin"\n'
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
HUSH = "hunter2-do-not-show"
SECTIONS = [field.name for field in msgspec.structs.fields(Settings) if field.name not in {"source", "sinks"}]


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def _write(text: str) -> Path:
        path = tmp_path / "querywarden.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def fault(document: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        settings_of({"source": {"type": "stdin"}, **document})
    return str(caught.value)


def tag_of(struct: Any) -> str:
    return str(struct.__struct_config__.tag)


def test_defaults(write: Any) -> None:
    settings = load(write(LEAST), {})
    assert settings == Settings(source=settings.source)
    assert (settings.log.format, settings.log.keep_payload_of_dead_letters) == ("native", False)
    assert (settings.store.snapshot_s, settings.store.tape_days) == (30, 35)
    assert settings.profile.path is None
    assert settings.sinks == ()


def test_defaults_round_trip() -> None:
    settings = settings_of({"source": {"type": "stdin"}})
    assert settings_of(msgspec.to_builtins(settings, builtin_types=(datetime,))) == settings


def test_everything(write: Any) -> None:
    settings = load(
        write(
            LEAST
            + """
            [log]
            keep_payload_of_dead_letters = true
            [profile]
            path = "profiles/fraud"
            [store]
            path = "/var/lib/querywarden"
            snapshot_s = 10
            tape_days = 7
            [policy]
            cool_down_s = 3600
            budget = { soft = 1000, hard = 5000 }
            [policy.thresholds.client]
            high = 2.5
            [[policy.suppressions]]
            id = "acct-1"
            until = 2026-01-01T01:00:00+01:00
            reason = "load test"
            [[sinks]]
            type = "file"
            path = "alerts.jsonl"
            [[sinks]]
            type = "file"
            name = "second"
            path = "more.jsonl"
            [delivery]
            drain_s = 0
            [run]
            no_alerts_before = "2026-01-01T00:00:00Z"
            [entities]
            groups = ["organisation"]
            [telemetry]
            port = 0
            log_level = "warning"
            """
        ),
        {},
    )
    assert settings.run.no_alerts_before == NEW_YEAR
    assert settings.policy.suppressions[0].until == NEW_YEAR
    assert settings.policy.budget == Budget(1000, 5000)
    assert [sink.name for sink in settings.sinks] == ["file", "second"]


@pytest.mark.parametrize("section", SECTIONS)
def test_an_unknown_key_is_answered_with_the_nearest(section: str) -> None:
    key = next(iter(getattr(settings_of({"source": {"type": "stdin"}}), section).__struct_fields__))
    wrong = key[:-1] + "xx"
    assert fault({section: {wrong: 1}}) == f'{section}.{wrong}: unknown key; did you mean "{key}"?'


@pytest.mark.parametrize("section", [*SECTIONS, "sinks", "source"])
def test_an_unknown_section_is_answered_with_the_nearest(section: str) -> None:
    wrong = section + "x"
    assert fault({wrong: {}}) == f'{wrong}: unknown key; did you mean "{section}"?'


@pytest.mark.parametrize("source", get_args(AnySourceSettings), ids=tag_of)
def test_an_unknown_key_of_a_source(source: type[msgspec.Struct]) -> None:
    assert fault({"source": {"type": tag_of(source), "batch_sise": 1}}) == (
        'source.batch_sise: unknown key; did you mean "batch_size"?'
    )


@pytest.mark.parametrize("sink", get_args(AnySinkSettings), ids=tag_of)
def test_an_unknown_key_of_a_sink(sink: type[msgspec.Struct]) -> None:
    good = {"type": "file", "path": "x"}
    assert fault({"sinks": [good, {"type": tag_of(sink), "batch_sise": 1}]}) == (
        'sinks[1].batch_sise: unknown key; did you mean "batch_size"?'
    )


def test_an_unknown_type_is_answered_with_the_nearest() -> None:
    assert fault({"source": {"type": "stdim"}}) == 'source.type: unknown type "stdim"; did you mean "stdin"?'
    assert fault({"sinks": [{"type": "elastic"}]}).startswith('sinks[0].type: unknown type "elastic"')
    assert fault({"source": {}}).startswith("source.type: is missing; known names: ")
    assert fault({"source": {"type": 3}}) == "source.type: expected text, found a number"
    assert fault({"source": "stdin"}) == "source: expected a table, found text"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"store": {"snapshot_s": "30"}}, "store.snapshot_s: expected a number, found text"),
        ({"store": {"snapshot_s": 0}}, "store.snapshot_s: must be greater than 0, found 0"),
        ({"store": {"snapshot_s": float("nan")}}, "store.snapshot_s: expected a finite number, found nan"),
        ({"store": {"snapshot_s": True}}, "store.snapshot_s: expected a number, found a boolean"),
        ({"store": {"tape_days": 1.5}}, "store.tape_days: expected a whole number, found 1.5"),
        ({"store": 3}, "store: expected a table, found a number"),
        ({"sinks": {"type": "file"}}, "sinks: expected an array, found a table"),
        ({"sinks": [{"type": "file"}]}, "sinks[0].path: is missing"),
        ({"telemetry": {"port": 70000}}, "telemetry.port: must be at most 65535, found 70000"),
        ({"telemetry": {"log_json": "yes"}}, "telemetry.log_json: expected true or false, found text"),
        ({"telemetry": {"log_level": "warn"}}, 'telemetry.log_level: unknown value "warn"; did you mean "warning"?'),
        ({"policy": {"budget": {"sofd": 1}}}, 'policy.budget.sofd: unknown key; did you mean "soft"?'),
        (
            {"policy": {"thresholds": {"client": {"hihg": 1}}}},
            'policy.thresholds.client.hihg: unknown key; did you mean "high"?',
        ),
        (
            {"policy": {"thresholds": {"client": {"low": 1}, "organisation": {"high": "2"}}}},
            "policy.thresholds.organisation.high: expected a number, found text",
        ),
        ({"policy": {"suppressions": [{"id": "a", "reason": "b"}]}}, "policy.suppressions[0].until: is missing"),
        ({"log": {"format": "nativ"}}, 'log.format: unknown format "nativ"; did you mean "native"?'),
    ],
)
def test_what_is_wrong_is_said_with_its_place(document: dict[str, Any], message: str) -> None:
    assert fault(document) == message


@pytest.mark.parametrize("time", [datetime(2026, 1, 1), "2026-01-01T00:00:00", "tomorrow", 3])  # noqa: DTZ001
def test_times_have_an_offset(time: object) -> None:
    assert fault({"run": {"no_alerts_before": time}}).startswith("run.no_alerts_before: expected an RFC 3339 time")


def test_what_a_source_refuses_by_itself_names_the_file(write: Any) -> None:
    with pytest.raises(SettingsError, match=r"querywarden\.toml: stdin: batch_size"):
        load(write(LEAST + "batch_size = 0"), {})


def test_sinks_have_names_of_their_own() -> None:
    sink = {"type": "file", "path": "x", "name": "a"}
    assert "sinks[1].name" in fault({"sinks": [sink, sink]})


def test_the_file_is_named(write: Any, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.toml cannot be read: No such file"):
        load(tmp_path / "nothing.toml", {})
    with pytest.raises(SettingsError, match=r"querywarden\.toml is not TOML: .*line 2, column 8"):
        load(write("[source]\ntype = stdin\n"), {})
    with pytest.raises(SettingsError, match=r"querywarden\.toml: log\.formt: unknown key"):
        load(write(LEAST + "[log]\nformt = 1"), {})
    path = tmp_path / "latin1.toml"
    path.write_bytes(b"[source]\n# \xe9")
    with pytest.raises(SettingsError, match=r"not UTF-8 \(at line 2, column 3\)"):
        load(path, {})


@pytest.mark.parametrize(
    ("variable", "text", "place", "expected"),
    [
        ("STORE__SNAPSHOT_S", "5", ("store", "snapshot_s"), 5.0),
        ("STORE__PATH", "/var/lib/querywarden", ("store", "path"), "/var/lib/querywarden"),
        ("STORE__PATH", "2026", ("store", "path"), "2026"),
        ("STORE__PATH", "true", ("store", "path"), "true"),
        ("PROFILE__PATH", "7", ("profile", "path"), "7"),
        ("TELEMETRY__LOG_JSON", "false", ("telemetry", "log_json"), False),
        ("TELEMETRY__LOG_LEVEL", "debug", ("telemetry", "log_level"), "debug"),
        ("POLICY__BUDGET__SOFT", "9", ("policy", "budget"), Budget(soft=9)),
        ("POLICY__BUDGET", "{ hard = 9 }", ("policy", "budget"), Budget(hard=9)),
        ("POLICY__THRESHOLDS__CLIENT__HIGH", "3", ("policy", "thresholds"), {"client": {"high": 3.0}}),
        (
            "RUN__NO_ALERTS_BEFORE",
            "2026-01-01T00:00:00Z",
            ("run", "no_alerts_before"),
            datetime(2026, 1, 1, tzinfo=UTC),
        ),
    ],
)
def test_the_environment_overrides(
    write: Any, variable: str, text: str, place: tuple[str, str], expected: object
) -> None:
    settings = load(write(LEAST + "[store]\nsnapshot_s = 60"), {f"QUERYWARDEN_{variable}": text, "HOME": "/"})
    assert getattr(getattr(settings, place[0]), place[1]) == expected


def test_the_environment_reaches_into_arrays(write: Any) -> None:
    path = write(LEAST + '[[sinks]]\ntype = "file"\npath = "a"')
    assert load(path, {"QUERYWARDEN_SINKS__0__PATH": "b"}).sinks[0].path == "b"  # type: ignore[union-attr]
    with pytest.raises(SettingsError, match="QUERYWARDEN_SINKS__1__PATH: sinks has 1 entries"):
        load(path, {"QUERYWARDEN_SINKS__1__PATH": "b"})


def test_faults_of_the_environment_name_the_variable(write: Any) -> None:
    with pytest.raises(
        SettingsError, match=r'store\.pth: unknown key; did you mean "path"\?; QUERYWARDEN_STORE__PTH is'
    ):
        load(write(LEAST), {"QUERYWARDEN_STORE__PTH": "x"})
    with pytest.raises(SettingsError, match=r'stor: unknown key; did you mean "store"\?'):
        load(write(LEAST), {"QUERYWARDEN_STOR__PATH": "x"})
    with pytest.raises(SettingsError, match=r"log\.format is a single value"):
        load(write(LEAST + '[log]\nformat = "native"'), {"QUERYWARDEN_LOG__FORMAT__X": "x"})


def test_other_variables_with_the_prefix_are_left_alone(write: Any) -> None:
    load(write(LEAST), {"QUERYWARDEN_CONFIG": "x", "QUERYWARDEN_TOKEN": HUSH})


def test_a_source_may_come_from_the_environment_alone(write: Any) -> None:
    assert load(write(""), {"QUERYWARDEN_SOURCE__TYPE": "stdin"}).source.batch_size == 4000


@pytest.mark.parametrize("place", ["api_key", "password"])
def test_a_secret_that_was_written_out_is_refused_and_not_shown(write: Any, place: str) -> None:
    sink = '[[sinks]]\ntype = "elasticsearch"\nurl = "https://es.example:9200"\nusername = "u"\n'
    written: tuple[str, dict[str, str]] = (LEAST + sink + f'{place} = "{HUSH}"', {})
    in_environment = (LEAST + sink, {f"QUERYWARDEN_SINKS__0__{place.upper()}": HUSH})
    for text, environ in (written, in_environment):
        with pytest.raises(SettingsError, match=rf"sinks\[0\]\.{place}: secrets are never written here") as caught:
            load(write(text), environ)
        error: BaseException | None = caught.value
        while error is not None:
            assert HUSH not in str(error)
            error = error.__cause__ or error.__context__


def test_a_secret_is_a_reference_and_stays_one(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ES_KEY", HUSH)
    sink = '[[sinks]]\ntype = "elasticsearch"\nurl = "https://es.example:9200"\napi_key = { env = "ES_KEY" }'
    settings = load(write(LEAST + sink), {})
    assert settings.sinks[0].api_key.reveal() == HUSH  # type: ignore[union-attr]
    assert HUSH not in repr(settings)
    assert "ES_KEY" in repr(settings)


def test_policy_over_the_promised_thresholds() -> None:
    promised = {"client": (Threshold("medium", 1.0), Threshold("high", 2.0)), "organisation": (Threshold("high", 1.5),)}
    plain = PolicySettings().over(promised)
    assert plain.thresholds == promised
    changed = PolicySettings(thresholds={"client": {"high": 3.0, "critical": 4.0}}).over(promised)
    assert changed.thresholds["client"] == (
        Threshold("medium", 1.0),
        Threshold("high", 3.0),
        Threshold("critical", 4.0),
    )
    assert changed.thresholds["organisation"] == promised["organisation"]
    assert changed.version != plain.version
    assert PolicySettings().over(promised).version == plain.version
    with pytest.raises(SettingsError, match=r'policy\.thresholds\.clent: unknown level; did you mean "client"\?'):
        PolicySettings(thresholds={"clent": {"high": 3.0}}).over(promised)
    with pytest.raises(SettingsError, match=r"scores must rise with the severity, found high at 0\.5, medium at 1"):
        PolicySettings(thresholds={"client": {"high": 0.5}}).over(promised)


def test_suppressions_become_microseconds() -> None:
    document = {"suppressions": [{"id": "a", "until": "1970-01-01T00:00:01.5Z", "reason": "r"}]}
    suppressions = msgspec.convert(document, PolicySettings).over({}).suppressions
    assert [(s.kind, s.id, s.until, s.reason) for s in suppressions] == [("client", "a", 1_500_000, "r")]


def test_windows_and_releases_become_microseconds() -> None:
    document = {
        "maintenance": [{"since": "1970-01-01T00:00:01Z", "until": "1970-01-01T00:00:02Z", "reason": "r"}],
        "releases": [{"at": "1970-01-01T00:00:03Z", "note": "v7"}],
        "storm": {"at_least": 0},
    }
    policy = msgspec.convert(document, PolicySettings).over({})
    assert policy.maintenance == (Maintenance(1_000_000, 2_000_000, "r"),)
    assert policy.releases == (Release(3_000_000, "v7", 86_400.0),)
    assert policy.storm == Storm(3_600.0, 0)
    assert policy.version != PolicySettings().over({}).version


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    document = {"maintenance": [{"since": "2026-01-01T00:00:00Z", "until": "2025-01-01T00:00:00Z", "reason": "r"}]}
    with pytest.raises(SettingsError, match=r"policy\.maintenance\[0\]\.until: .* is not after"):
        msgspec.convert(document, PolicySettings).over({})


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["source", "sinks", "type", "name", "path", "policy", "thresholds", "client", "high"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*SECTIONS, "source", "sinks"]), DOCUMENTS))
def test_any_document_loads_or_is_refused_with_a_settings_error(document: dict[str, Any]) -> None:
    with suppress(SettingsError):
        settings_of(document)


def test_settings_are_those_of_workers_where_a_cluster_is_named_be_it_empty() -> None:
    source = {"type": "file", "paths": ["x"]}
    assert not settings_of({"source": source}).of_workers
    assert settings_of({"source": source, "cluster": {}}).of_workers
