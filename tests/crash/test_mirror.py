"""The dashboard of workers on a real Kafka: it shows what they found, they do what it asks for, and a mirror that is
killed loses and doubles nothing.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detector.alert import ATTACKS, Alert
from detector.cluster import proposing
from detector.decide import Case
from detector.logs.native import decode_many
from detector.policy import Policy, Threshold
from detector.profile import artefact
from detector.run.outbox import Outbox
from detector.run.replay import read_logs, replay
from detector.run.store import Reader
from detector.run.verdicts import JUDGED
from detector.settings import micros
from tests.crash.desk import Desk
from tests.crash.fleet import Fleet, Left
from tests.crash.stage import Record, Stage
from tests.run.child import until

pytestmark = pytest.mark.server


def kept(store: Path) -> Left:
    """What a mirror's store holds."""
    with closing(Reader(store / "state.sqlite")) as reader, closing(Outbox(store / "outbox.sqlite")) as outbox:
        rows = reader.db.read("SELECT kind, id, row FROM rows JOIN names USING (key)")
        cases = reader.db.read("SELECT key, body FROM cases")
        return Left(
            {(kind, id_): row for kind, id_, row in rows},
            {key: msgspec.msgpack.decode(body, type=Case) for key, body in cases},
            list(outbox.kept()),
            list(reversed(outbox.held(100_000))),
        )


def in_order(alerts: list[Alert]) -> list[Alert]:
    return sorted((one for one in alerts if one.kind != "audit"), key=lambda one: one.id)


def assert_mirrored(fleet: Fleet, desk: Desk) -> Left:
    """Waits until the mirror has all; then it is what the topics say, each once."""
    left = fleet.left()
    ids = {alert.id for alert in in_order(left.alerts)}

    def all_there() -> bool:
        found = kept(desk.store)
        return {one.id for one in found.alerts} >= ids and found.rows == left.rows and found.cases == left.cases

    until(all_there, desk.child.tail)
    found = kept(desk.store)
    assert in_order(found.alerts) == in_order(left.alerts)
    assert in_order(found.held) == in_order(left.held)
    return left


def test_the_dashboard_shows_what_workers_found_and_changes_their_policy(
    stage: Stage, crowded: list[Record], profile: Path, tmp_path: Path
) -> None:
    fleet = Fleet(stage, 1)
    assert fleet.topics()[0] == 0
    fleet.start(0)
    place = next(i for i, record in enumerate(crowded) if b'"at":"2026-01-20T12' in record.line)
    desk = Desk(stage, fleet.shown())
    stage.write(crowded[:place])
    desk.kill_mirror()
    fleet.drain()
    desk.kill_mirror()
    left = assert_mirrored(fleet, desk)
    assert len(left.alerts) > 5

    assert_shown(desk, left)
    version, since = applied(desk)
    stage.write(crowded[place:])
    fleet.drain()
    left = assert_mirrored(fleet, desk)
    assert left.held
    later = [one for one in left.alerts if one.kind == "extraction" and micros(datetime.fromisoformat(one.at)) >= since]
    assert later
    assert {one.policy for one in later} == {version}
    journal = proposing.read(*fleet.asked()).dated()
    assert [(one.since, one.policy.version) for one in journal][1:] == [(since, version)]

    log = tmp_path / "whole.jsonl"
    log.write_bytes(b"".join(record.line + b"\n" for record in crowded))
    assert_tried(desk, left, journal[-1].policy, profile, log)
    assert_audited(fleet, desk)
    desk.close()
    assert fleet.children[0].stop() == 0


def assert_shown(desk: Desk, left: Left) -> None:
    """Everybody and every case of the topics is shown."""
    clients = sum(kind == "client" for kind, _ in left.rows)
    until(lambda: desk.get("/entities", level="client", limit=1)["total"] == clients, desk.child.tail)
    cases = {one.case_id for one in [*left.alerts, *left.held] if one.kind in JUDGED}

    def shown() -> list[str]:
        found = [desk.get("/cases", state=state, limit=200)["items"] for state in ("open", "resolved", "held")]
        return sorted(row["case_id"] for rows in found for row in rows)

    until(lambda: shown() == sorted(cases), lambda: f"{set(shown()) ^ cases}")
    word = desk.get("/health")
    assert (word["reachable"], word["workers"], word["state"], word["reasons"]) == (True, 1, "ok", [])
    groups = {"project", "judge", "deliver", "mirror"}
    assert {one["who"] for one in word["behind"]} == groups
    until(lambda: not any(one["messages"] for one in desk.get("/health")["behind"]), desk.child.tail)


def assert_tried(desk: Desk, left: Left, policy: Policy, profile: Path, log: Path) -> None:
    """What was told is counted, and what another threshold would have told is what a replay under it tells: storms hold
    the same.
    """
    scores = [Threshold("low", 1.0), Threshold("high", 2.0)]
    asked = {"client": [{"severity": one.severity, "score": one.score} for one in scores]}
    told = by_severity(left.alerts)
    found: dict[str, Any] = {}

    def tried_on_all() -> bool:
        found.update(desk.post("/preview", {"change": {"thresholds": asked}}))
        return Counter(found["was"]) == told

    until(tried_on_all, lambda: f"{found.get('was')} of {told}")
    thresholds = {**policy.thresholds, "client": tuple(scores)}
    tried = msgspec.structs.replace(policy, version="tried", thresholds=thresholds)
    done = replay(artefact.load(profile), tried, read_logs([str(log)]), decode_many)
    assert Counter(found["would"]) == by_severity(done.alerts)
    assert found["was"] != found["would"]


def by_severity(alerts: list[Alert]) -> Counter[str]:
    said = [one for one in alerts if one.kind in ATTACKS and one.action in ("open", "escalate")]
    return Counter(one.severity for one in said)


def applied(desk: Desk) -> tuple[str, int]:
    """Drafts and applies another policy; its version, and the log time from which it holds."""
    in_force = desk.get("/policy")[0]
    change = {"cool_down_s": in_force["cool_down_s"] + 60}
    new = {"title": "calmer", "why": "too many", "base": in_force["version"], "change": change}
    draft = desk.post("/drafts", new)
    asked = desk.post(f"/drafts/{draft['id']}/apply", {"why": "agreed"}, **{"If-Match": f'"{draft["etag"]}"'})

    def now() -> Any:
        return next(one for one in desk.get("/drafts")["items"] if one["id"] == asked["id"])

    until(lambda: now()["state"] != "draft", lambda: f"{now()}\n{desk.child.tail()}")
    assert now()["state"] == "applied", now()
    return now()["version"], now()["since"]


def assert_audited(fleet: Fleet, desk: Desk) -> None:
    """Each entry of the audit is once in the topic, and once in the index."""
    entries = desk.get("/audit", limit=200)["items"]
    assert {"login", "draft.made", "policy.asked", "policy.applied"} <= {one["what"] for one in entries}
    hashes = Counter(one["hash"] for one in entries)

    def audited() -> list[Alert]:
        return [one for one in fleet.left().alerts if one.kind == "audit"]

    def arrived() -> Counter[str]:
        return Counter(one.audit.hash for one in audited() if one.audit)

    until(lambda: arrived().keys() >= hashes.keys(), desk.child.tail)
    assert arrived() == hashes
    fleet.drain()
    ids = [one.id for one in audited()]
    indexed = fleet.indexed()
    assert {id_: indexed[id_] for id_ in ids} == dict.fromkeys(ids, 1)
