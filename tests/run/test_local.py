"""The local runner over files: what it tells and keeps is what `replay` finds, whatever comes between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Queue
from typing import Any

import msgspec
import pytest

from detector.errors import SettingsError, SourceRefused, StoreError, StoreLocked
from detector.logs.native import decode_many
from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.run.learning import what_is_missing
from detector.run.local import LocalRunner
from detector.run.replay import Replayed, read_logs, replay
from detector.settings import PolicySettings, settings_of
from tests.run.child import until
from tests.run.hour import STREAMS, hour
from tests.run.kept import Kept, alerts, kept, told
from tests.run.scene import Scene, Turn, document


def runner(folder: Path, profile: Path | None, **sections: Any) -> LocalRunner:
    return LocalRunner(settings_of(document(folder, profile, **sections)))


def following(folder: Path, profile: Path, **sections: Any) -> LocalRunner:
    return runner(folder, profile, source={"follow": True, "batch_size": 50}, **sections)


@contextmanager
def running(make: Callable[[], LocalRunner]) -> Iterator[LocalRunner]:
    """Makes one and runs it in a thread of its own; stopped in good order at the end."""
    made: Queue[LocalRunner] = Queue()

    def work() -> None:
        made.put(runner := make())
        runner.run()

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(work)
        runner = made.get(timeout=30)
        try:
            yield runner
        finally:
            runner.stop()
        ended.result(30)


def append(path: Path, lines: list[bytes]) -> None:
    with path.open("ab") as file:
        file.writelines(line + b"\n" for line in lines)


def read(runner: LocalRunner) -> float:
    value = runner.telemetry.registry.get_sample_value("querywarden_records_total")
    assert value is not None
    return value


def replayed(profile: Path, *paths: Path) -> Replayed:
    loaded = artefact.load(profile)
    policy = PolicySettings().over(loaded.summary.policy.thresholds)
    return replay(loaded, policy, read_logs([str(path) for path in paths]), decode_many)


def rows(done: Replayed) -> dict[tuple[str, str], bytes]:
    return {(t.kind, id_): t.rows[slot].tobytes() for t in done.pipeline.tables for slot, id_ in enumerate(t.ids)}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    append(tmp_path / "log.jsonl", hour().lines)
    return tmp_path / "log.jsonl"


@pytest.fixture(scope="module")
def whole(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """What one run over the whole log keeps."""
    folder = tmp_path_factory.mktemp("whole")
    append(folder / "log.jsonl", hour().lines)
    runner(folder, saved).run()
    return kept(folder)


def test_a_file_gives_the_alerts_and_rows_of_replay(saved: Path, log: Path, whole: Kept) -> None:
    done = replayed(saved, log)
    assert {kind for kind, _ in whole.told} == {"client", "organisation"}
    assert whole.told == told(done.alerts)
    assert whole.rows == rows(done)
    assert len(whole.letters) == sum(done.letters.values()) == hour().lines.count(b"rubbish")


def test_several_files_give_the_alerts_of_their_streams_and_of_replay(saved: Path, tmp_path: Path) -> None:
    """The files of servers that logged side by side: one after another they are read, and together they are judged."""
    paths = [tmp_path / f"server-{number}.jsonl" for number, _ in enumerate(STREAMS)]
    for path, stream in zip(paths, STREAMS, strict=True):
        append(path, hour().streams[stream])
    (tmp_path / "files").mkdir()
    runner(tmp_path / "files", saved, source={"paths": [str(path) for path in paths]}).run()
    (tmp_path / "streams").mkdir()
    Scene(tmp_path / "streams", saved, hour().streams, [Turn(stream, 10_000) for stream in STREAMS]).run()
    found, expected = kept(tmp_path / "files"), kept(tmp_path / "streams")
    assert found.told == expected.told == told(replayed(saved, *paths).alerts)
    assert found.rows == expected.rows == rows(replayed(saved, *paths))


def test_a_followed_file_is_read_as_it_grows_over_restarts(saved: Path, tmp_path: Path, whole: Kept) -> None:
    log, third = tmp_path / "log.jsonl", len(hour().lines) // 3
    for start in (0, third, 2 * third):
        with running(lambda: following(tmp_path, saved)) as one:
            stop = start + third if start < 2 * third else len(hour().lines)
            append(log, hour().lines[start:stop])
            until(lambda one=one, n=stop - start: read(one) == n, lambda: "the records")
    runner(tmp_path, saved).run()  # says that the log has ended
    assert kept(tmp_path) == whole


def test_a_second_runner_on_the_same_store_is_told_who_has_it(saved: Path, log: Path) -> None:
    first = runner(log.parent, saved)
    with pytest.raises(StoreLocked, match="is being written by process"):
        runner(log.parent, saved)
    first.run()
    runner(log.parent, saved).run()


def test_what_keeps_a_run_from_starting_leaves_the_store_free(saved: Path, log: Path) -> None:
    with pytest.raises(SettingsError, match="judges organisation"):
        runner(log.parent, saved, entities={"groups": ["subnet"]})
    with pytest.raises(SettingsError, match="metrics cannot be served"):
        runner(log.parent, saved, telemetry={"host": "192.0.2.1", "port": 9464}).run()
    runner(log.parent, saved).run()


def test_a_full_disk_ends_the_run_with_a_clear_error_and_loses_nothing(saved: Path, log: Path, whole: Kept) -> None:
    full = following(log.parent, saved, store={"snapshot_s": 0.001})
    (pages,) = full._main.store.db.read("PRAGMA page_count")[0]
    full._main.store.db.connection.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(StoreError, match="could not take the snapshot: the disk is full"):
        full.run()
    runner(log.parent, saved).run()
    assert kept(log.parent) == whole


def test_what_came_before_the_source_is_refused_is_kept(saved: Path, log: Path, whole: Kept) -> None:
    import gzip

    (log.parent / "torn.gz").write_bytes(gzip.compress(b"\n".join(hour().lines[:100]))[:-20])
    paths = [str(log), str(log.parent / "torn.gz")]
    with pytest.raises(SourceRefused, match=r"torn\.gz ends in the middle"):
        runner(log.parent, saved, source={"paths": paths}, store={"snapshot_s": 1e9}).run()
    assert kept(log.parent).told == whole.told


def test_without_a_profile_budgets_run_and_what_is_missing_is_said(log: Path) -> None:
    learning = runner(log.parent, None, policy={"budget": {"soft": 64, "hard": 80}})
    learning.run()
    found = alerts(log.parent)
    assert {(alert.kind, alert.entity.id, alert.severity) for alert in found} >= {("budget", "k1", "low")}
    assert all(alert.kind == "budget" for alert in found)
    assert learning.health().state == "degraded"
    assert learning.health().reasons[-1].startswith("no profile yet: 15 clients seen over 0.")
    assert what_is_missing.__doc__


def test_a_profile_does_not_go_on_with_the_rows_of_learning(saved: Path, log: Path) -> None:
    runner(log.parent, None).run()
    with pytest.raises(StoreError, match="holds rows of profile learning"):
        runner(log.parent, saved)


def test_another_version_of_the_model_is_said_and_counted_and_judged_when_the_operator_says_so(
    profile: Profile, tmp_path: Path
) -> None:
    summary = msgspec.structs.replace(profile.summary, versions=("7",))
    bound = replace(profile, summary=summary)
    artefact.save(artefact.identify(bound), tmp_path / "bound")
    append(tmp_path / "log.jsonl", [line.replace(b'"client"', b'"model_version":8,"client"') for line in hour().lines])
    runs = {}
    for name, also in (("not", []), ("also", ["8"])):
        settings = document(tmp_path, tmp_path / "bound", store={"path": str(tmp_path / name)})
        settings["profile"]["also_versions"] = also
        one = LocalRunner(settings_of(settings))
        one.run()
        value = one.telemetry.registry.get_sample_value
        runs[name] = (
            value("querywarden_queries_of_other_versions_total"),
            value("querywarden_queries_total"),
            one.health(),
        )
    others, judged, health = runs["not"]
    assert (others, judged) == (len(hour().lines) - hour().lines.count(b"rubbish"), 0)
    assert health.reasons[0].startswith("version 8 of the model is asked since 2026-01-01T00:00")
    assert runs["also"][:2] == (0, others)
    assert not runs["also"][2].reasons


def test_health_says_when_the_loop_is_stuck(saved: Path, tmp_path: Path) -> None:
    scene = Scene(tmp_path, saved, hour().streams, [])
    one = scene.runner()
    assert one.health().alive
    scene.now += 301
    assert not one.health().alive
    one.run()
    assert one.health().alive
