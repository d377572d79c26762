"""querywarden as a detector of the range: a simulated log through the same pipeline that `replay` drives."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from detector.alert import Alert
from detector.logs import DECODERS
from detector.pipeline import Step
from detector.policy import Policy, Storm
from detector.profile.artefact import Profile
from detector.query import I64
from detector.redteam.traffic import Traffic
from detector.rings.accounts import RING
from detector.run.replay import read_logs, replay

NOBODY = ("population", "health")  # kinds of alerts that name nobody


class Named(NamedTuple):
    """queries: of its own, when a client was first named, be it by itself or as a member; kind: of that alert."""

    queries: int
    kind: str


def judged(
    profile: Profile,
    policy: Policy,
    traffic: Traffic,
    say: Callable[[int], None],
    each: Callable[[Step], None] = lambda step: None,
) -> dict[str, Named]:
    """Client -> its first alert under the policy. `say` is told how many records came, `each` every step.

    Storms are off: hundreds of attackers in one log are one, and what is asked is when each would be named alone.
    """
    policy = msgspec.structs.replace(policy, storm=Storm(at_least=0))
    with tempfile.TemporaryDirectory(prefix="querywarden-range-") as folder:
        path = Path(folder) / "log.jsonl"
        traffic.write(path)
        done = replay(profile, policy, read_logs([str(path)], say), DECODERS["native"], each)
    times = {client: traffic.at[rows] for client, rows in traffic.rows().items()}
    return first_named(done.alerts, times, done.pipeline.rings())


def first_named(alerts: Sequence[Alert], at: Mapping[str, I64], rings: Mapping[str, Sequence[str]]) -> dict[str, Named]:
    """`at`: when each client asked, in order. `rings`: members of each in the end.

    Who joined a ring after its alert counts as named when it had asked all.
    """
    found: dict[str, Named] = {}
    for alert in alerts:
        if alert.action != "open" or alert.kind in NOBODY:
            continue
        if alert.entity.kind == "client":
            found.setdefault(alert.entity.id, Named(alert.queries, alert.kind))
            continue
        moment = _micros(alert.at)
        for client in alert.entity.members or ():
            queries = int(np.searchsorted(at[client], moment, side="right"))
            found.setdefault(client, Named(max(queries, 1), alert.kind))
    for alert in alerts:
        if alert.action == "open" and alert.kind == RING:
            for client in rings.get(alert.entity.id, ()):
                found.setdefault(client, Named(len(at[client]), alert.kind))
    return found


def _micros(at: str) -> int:
    moment = datetime.fromisoformat(at)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
