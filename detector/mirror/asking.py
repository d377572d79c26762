"""Policies that somebody asks the mirror's store for: proposed to all workers, and told what became of it.

A request is proposed under an id that is made of the store's own name and the request's number: after a crash it is
proposed again under the same, and of several proposals of an id the first counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog

from detector.cluster.policies import Policies
from detector.mirror.keeping import Kept
from detector.policy import Policy
from detector.run.successors import PREFIX

Put = Callable[[str, Policy, int | None], int]  # proposes under an id, from a log time on; cluster.proposing.put

log = structlog.get_logger(__name__)


class Asking:
    """levels: those that the profile judges."""

    def __init__(self, kept: Kept, levels: Collection[str], put: Put) -> None:
        self._kept, self._levels, self._put = kept, levels, put
        self._put_already: set[str] = set()  # by this process

    def look(self, policies: Policies) -> None:
        """Goes on with what is asked for. policies: as they were read so far; the journal is copied already."""
        store = self._kept.store
        for request in store.requested():
            id_ = f"{self._kept.name}-{request.id}"
            unknown = set(request.policy.thresholds) - set(self._levels)
            if unknown:
                store.refuse_request(request.id, f"the profile judges no level {', '.join(sorted(unknown))}")
            elif request.policy.version.startswith(PREFIX):
                store.refuse_request(request.id, "let it take over by `querywarden successor --workers`")
            elif (decision := policies.decisions.get(id_)) is not None:
                if decision.since is None:
                    store.refuse_request(request.id, f"{decision.why}: ask again")
                else:
                    store.take_request(request.id)
            elif id_ not in policies.proposals and id_ not in self._put_already:
                at = self._put(id_, request.policy, request.since)
                self._put_already.add(id_)
                log.info("A policy is proposed to all workers", policy=request.policy.version, since=at)
