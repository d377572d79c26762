"""Whom each of two profiles names: on a log that is replayed under both, or in what a shadow run has recorded."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec

from detector.alert import Alert
from detector.logs.contract import Decode
from detector.pipeline import State
from detector.profile.artefact import Profile, Summary
from detector.profile.report import span
from detector.reasons import rfc3339
from detector.run.outbox import Outbox
from detector.run.replay import Logs, replay
from detector.run.shadow import MARK, Mark
from detector.run.store import Reader
from detector.settings import micros

DAY_US = 86_400_000_000
MOST = 50  # names in a list

Name = tuple[str, str]  # level, id


def named(alerts: Iterable[Alert], since: str = "") -> set[Name]:
    """The entities on which a case was opened, from a log time on (RFC 3339 as alerts write it)."""
    about = (a for a in alerts if a.kind not in ("population", "health"))
    return {(a.entity.kind, a.entity.id) for a in about if a.action == "open" and a.at >= since}


def in_log(profile: Profile, logs: Logs, decode: Decode) -> set[Name]:
    """Whom a profile names on a whole log, by its own thresholds."""
    return named(replay(profile, profile.summary.policy, logs, decode).alerts)


def parted(old: set[Name], new: set[Name]) -> list[str]:
    """Who is named by both, and by one only, in lines."""
    parts = (("by both", old & new), ("by the old only", old - new), ("by the new only", new - old))
    return [f"Named {who}: {_listed(names)}" for who, names in parts]


def _listed(names: set[Name]) -> str:
    shown = [f"{kind} {id_}" for kind, id_ in sorted(names)[:MOST]]
    more = f", and {len(names) - MOST:,} more" if len(names) > MOST else ""
    return f"{len(names):,}" + (f" ({', '.join(shown)}{more})" if names else "")


def shadow_report(main: Path, shadow: Path, summary: Summary) -> list[str]:
    """How a shadow run stands: the store that is run, the shadow's, and the profile that is tried.

    Raises StoreError when one of them was never run.
    """
    mark, newest = _seen(shadow / "state.sqlite")
    since = rfc3339(mark.since)
    if mark.since == 0:
        return [f"Shadow profile {summary.id}: no record was read yet."]
    ready = mark.since + horizon_us(summary)
    lines = [
        f"Shadow profile {summary.id}: since {since[:19]}Z, without a hole; {mark.judged:,} queries judged.",
        f"Ready: {'yes' if newest >= ready else 'no'}. A horizon ({span(summary.horizon)}) is full at "
        f"{rfc3339(ready)[:19]}Z; the log stands at {rfc3339(newest)[:19]}Z.",
    ]
    found = []
    for who, folder in (("old", main), ("new", shadow)):
        with closing(Outbox(folder / "outbox.sqlite")) as outbox:
            alerts = [alert for alert in outbox.kept() if alert.at >= since]
        lines.append(f"Alerts of the {who} one since then: {len(alerts):,}.")
        found.append(named(alerts))
    return lines + parted(*found)


def _seen(path: Path) -> tuple[Mark, int]:
    """What a shadow's store says of it, and the latest log time that it has seen, microseconds."""
    with closing(Reader(path)) as reader:
        extras = dict(reader.db.read("SELECT name, body FROM extras"))
    mark = msgspec.msgpack.decode(extras[MARK], type=Mark) if MARK in extras else Mark()
    state = msgspec.msgpack.decode(extras["state"], type=State) if "state" in extras else None
    return mark, max(state.clocks.values(), default=0) if state else 0


def horizon_us(summary: Summary) -> int:
    """The span of the promise, microseconds; the fitted log's own where the promise is for a span like it."""
    if summary.horizon != "log":
        return int(float(summary.horizon.removesuffix("d")) * DAY_US)
    return micros(datetime.fromisoformat(summary.log_to)) - micros(datetime.fromisoformat(summary.log_from))
