"""From which log time a policy holds: always one at which nothing can have been decided yet.

What was decided is more than the saved state knows: after a crash the log since the last snapshot is read again, and
alerts from it may have been told. A policy that held from within that span would decide it otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import structlog

from detector.pipeline import Pipeline
from detector.policy import Dated, Policy, Threshold
from detector.reasons import rfc3339
from detector.run.outbox import Outbox
from detector.run.store import Request, Store
from detector.settings import PolicySettings, micros

log = structlog.get_logger(__name__)


class Journal:
    """The policies of one run: those of the store, the settings' when they changed, and what is requested.

    `promised` are the profile's thresholds by level; empty without a profile. `told` is the latest log time of an alert
    from before this run, microseconds.
    """

    def __init__(self, store: Store, outbox: Outbox, promised: Mapping[str, tuple[Threshold, ...]]) -> None:
        self._store = store
        self._promised = promised
        latest = outbox.latest()
        self.told = micros(datetime.fromisoformat(latest)) if latest else 0

    def begin(self, settings: PolicySettings, pipeline: Pipeline) -> None:
        """Takes the settings' policy when it is not the one that they gave last time.

        One that was requested meanwhile stays in force while the settings do not change. Raises SettingsError.
        """
        policy = settings.over(self._promised)
        if self._store.settings_policy() != policy.version:
            self._hold(Dated(self._since(pipeline, 0) if pipeline.policies else 0, policy), pipeline, None)

    def take(self, request: Request, pipeline: Pipeline) -> None:
        """Journals a requested policy, then uses it; refuses one whose levels the profile does not judge."""
        unknown = set(request.policy.thresholds) - set(self._promised)
        if unknown:
            self._store.refuse_request(request.id, f"the profile judges no level {', '.join(sorted(unknown))}")
            return
        self._hold(Dated(self._since(pipeline, request.since or 0), request.policy), pipeline, request.id)

    def hold(self, policy: Policy, pipeline: Pipeline) -> None:
        """Journals a policy that nobody requested, then uses it."""
        self._hold(Dated(self._since(pipeline, 0), policy), pipeline, None, settings=False)

    def _since(self, pipeline: Pipeline, wanted: int) -> int:
        last = pipeline.policies[-1].since if pipeline.policies else 0
        return max(wanted, pipeline.decided + 1, self.told + 1, last)

    def _hold(self, dated: Dated, pipeline: Pipeline, request: int | None, *, settings: bool = True) -> None:
        self._store.journal_policy(dated, request=request, of_settings=settings and request is None)
        pipeline.policies.append(dated)
        _say(dated.policy, dated.since)


def _say(policy: Policy, since: int) -> None:
    log.info("A policy holds", policy=policy.version, since=rfc3339(since))
