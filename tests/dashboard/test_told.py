"""What leaves by itself: the audit into the outbox, and events to whoever listens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import UNSET

from detector.dashboard.api import events
from detector.dashboard.api.events import Watch
from detector.run.outbox import Outbox
from sinks.splunk_hec_events import event
from tests.dashboard.conftest import Scene


def waiting(scene: Scene) -> list[Any]:
    outbox = Outbox(scene.store / "outbox.sqlite")
    outbox.join("siem", "oldest")
    found = [one.alert for one in outbox.undelivered("siem")]
    outbox.close()
    return found


def test_each_entry_goes_into_the_outbox_once(scene: Scene) -> None:
    Outbox(scene.store / "outbox.sqlite").close()
    for role in ("viewer", "analyst"):
        scene.browser(role)
        scene.house.telling.tell()
    assert scene.house.telling.tell() == 0
    alerts = waiting(scene)
    assert [(one.kind, one.entity.id, one.audit.what, one.audit.seq) for one in alerts] == [
        ("audit", "viewer [oidc:viewer]", "login", 1),
        ("audit", "analyst [oidc:analyst]", "login", 2),
    ]
    assert b'"sourcetype":"querywarden:audit"' in event(alerts[0], {"sourcetype": "querywarden:alert"}).data


def test_a_crash_before_the_mark_repeats_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    Outbox(scene.store / "outbox.sqlite").close()
    scene.browser("viewer")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("detector.dashboard.telling._set_mark", killed)
    with pytest.raises(KeyboardInterrupt):
        scene.house.telling.tell()
    monkeypatch.undo()
    scene.house.telling.tell()
    assert len(waiting(scene)) == 1


def test_without_a_store_entries_wait(scene: Scene) -> None:
    scene.browser("viewer")
    assert scene.house.telling.tell() == 0
    assert not (scene.store / "outbox.sqlite").exists()
    Outbox(scene.store / "outbox.sqlite").close()
    scene.house.telling.tell()
    assert len(waiting(scene)) == 1


def test_what_people_did_has_no_place_in_log_time(scene: Scene) -> None:
    """A policy is journaled behind the latest alert: an entry's wall clock must not push it into the future."""
    outbox = Outbox(scene.store / "outbox.sqlite")
    scene.browser("viewer")
    scene.house.telling.tell()
    assert (outbox.latest(), list(outbox.kept()), waiting(scene)[0].audit is UNSET) == ("", [], False)
    outbox.close()


# -- events


class Request:
    """As much of one as a listener needs."""

    def __init__(self, secret: str) -> None:
        self.headers: dict[str, str] = {}
        self.cookies = {"querywarden": secret}


def test_a_listener_hears_what_there_is_and_then_what_changed(scene: Scene) -> None:
    watch = Watch(scene.house)
    request: Any = Request(scene.browser("viewer").cookies["querywarden"])

    async def heard() -> list[str | None]:
        await watch.look()
        listening = watch.listen(request)
        found = [(await anext(listening)).event for _ in range(5)]
        scene.books.journal.append(scene.books.journal[-1])
        await watch.look()
        return [*found, (await anext(listening)).event]

    assert asyncio.run(heard()) == ["alerts", "policy", "tape", "health", "drafts", "policy"]


def test_a_listener_whose_session_ended_hears_no_more(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STILL_S", 0.01)
    watch = Watch(scene.house)
    request: Any = Request(scene.browser("viewer").cookies["querywarden"])

    async def heard() -> list[str]:
        listening = watch.listen(request)
        still = await anext(listening)
        scene.clock.at += 10**6
        return [still.comment or "", *[one.comment or "" async for one in listening]]

    assert set(asyncio.run(asyncio.wait_for(heard(), 60))) == {"still here"}
