"""What the process says of itself: one frozen value for the probes, and the heartbeat that is made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from detector.alert import Alert, Entity, notice, stable_id
from detector.reasons import rfc3339

DAY_US = 86_400_000_000


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the process stands. The runner makes a new one now and then; every thread may read the newest.

    alive: the work goes on; False asks for a restart.  ready: the state is loaded and records are read.
    reasons: sentences, one for each thing that is degraded.  lag_s: how far the log clock is behind the newest record.
    """

    alive: bool = True
    ready: bool = True
    reasons: tuple[str, ...] = ()
    queries_per_s: float = 0.0
    lag_s: float | None = None
    model: str = ""
    profile: str = ""
    policy: str = ""

    @property
    def state(self) -> str:
        if not self.ready:
            return "starting"
        return "degraded" if self.reasons else "ok"


class Rate:
    """Things a second, as a mean that forgets with a time constant of `memory_s`."""

    def __init__(self, now: float, *, memory_s: float = 30.0) -> None:
        self._memory_s = memory_s
        self._at = now
        self._count = 0
        self._per_s = 0.0

    def add(self, count: int, now: float) -> float:
        """Counts what happened since the last call; returns the rate. `now` is a monotonic clock in seconds."""
        self._count += count
        elapsed = now - self._at
        if elapsed > 0:
            weight = min(1.0, elapsed / self._memory_s)
            self._per_s += weight * (self._count / elapsed - self._per_s)
            self._at, self._count = now, 0
        return self._per_s


def of_other_versions(seen: Mapping[str, tuple[int, int]], own: Sequence[str], now: int) -> list[str]:
    """A sentence for each version of the model that was asked within a day before log time `now` and is not judged.

    seen: by version, its first and latest log time (microseconds).
    """
    return [
        f"version {version} of the model is asked since {rfc3339(first)[:19]}Z, and observed, not judged: the profile "
        f"is for {', '.join(own)}. Fit it anew, or name the version in profile.also_versions"
        for version, (first, latest) in sorted(seen.items())
        if now - latest < DAY_US
    ]


def heartbeat(health: Health, *, instance: str, sink: str, backlog: int, at_s: float) -> Alert:
    """The health alert of one second. Its silence is what a receiver alarms on; so nothing is stored for it."""
    lag = "" if health.lag_s is None else f", lag {health.lag_s:,.0f} s"
    trouble = f"; {'; '.join(health.reasons)}" if health.reasons else ""
    return notice(
        "health",
        id_=stable_id("health", instance, sink, str(int(at_s))),
        case_id=stable_id("health", instance, sink),
        at_s=at_s,
        model=health.model,
        entity=Entity("instance", instance),
        profile=health.profile,
        policy=health.policy,
        message=f"querywarden is alive: {health.queries_per_s:,.0f} queries/s, backlog {backlog:,}{lag}{trouble}",
    )
