"""Successors of the one-class model between their making and their takeover: kept, shown, approved.

A takeover is a policy in the journal whose version names the successor: it holds the new thresholds, from the log time
on at which the new model speaks. A successor is in a snapshot before its policy is journaled, so that after a crash the
journal never names one that is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from detector.errors import StoreError, nearest_name
from detector.learned.population import News
from detector.learned.successor import Side, Successor
from detector.pipeline import Pipeline
from detector.policy import Dated, Policy
from detector.profile.artefact import Profile
from detector.profile.succession import name_of, thresholds_of
from detector.reasons import rfc3339
from detector.run.store import Reader, request_policy

NAME = "successors"  # of the extra in a snapshot
PREFIX = "successor-"
KEPT = 3  # successors

log = structlog.get_logger(__name__)


class Successors:
    """Those of one store. `automatic`: one that only changed what chance explains takes over by itself."""

    def __init__(self, profile: Profile, automatic: bool) -> None:
        self._profile, self._automatic = profile, automatic
        self._kept: list[Successor] = []
        self._installed: set[str] = set()
        self._due: list[Successor] = []
        self._saved = True

    def restore(self, body: bytes | None, pipeline: Pipeline) -> None:
        """Those of the snapshot; the ones that the journal names are in force."""
        if body is not None:
            self._kept = _DECODER.decode(body)
        self.install(pipeline, again=True)

    def take(self, news: Sequence[News]) -> None:
        for one in news:
            if one.refused:
                log.info("An epoch closed without a successor", reason=one.refused)
            if one.successor is not None:
                self._note(one.successor)

    def _note(self, successor: Successor) -> None:
        self._kept = [*self._kept, successor][-KEPT:]
        self._saved = False
        alone = self._automatic and successor.automatic
        if alone:
            self._due = [successor]  # of two that were made meanwhile, the newer one
        log.info("A successor of the one-class model is ready", name=name_of(successor), takes_over=alone)

    def extra(self) -> dict[str, bytes]:
        """What a snapshot has to save."""
        return {} if self._saved else {NAME: msgspec.msgpack.encode(self._kept)}

    def saved(self) -> None:
        self._saved = True

    def due(self, in_force: Policy) -> list[Policy]:
        """Policies of those that take over by themselves, over the one in force; asked for once each."""
        if not self._saved:
            return []
        due, self._due = self._due, []
        return [policy_of(self._profile, successor, in_force) for successor in due]

    def install(self, pipeline: Pipeline, *, again: bool = False) -> None:
        """Lets take over whom the journal names by now. again: their takeover was seen before a restart."""
        for dated in pipeline.policies:
            name = dated.policy.version.removeprefix(PREFIX)
            if dated.policy.version.startswith(PREFIX) and name not in self._installed:
                self._install(pipeline, dated, name, again)

    def _install(self, pipeline: Pipeline, dated: Dated, name: str, again: bool) -> None:
        found = next((one for one in self._kept if name_of(one) == name), None)
        if found is None:
            raise StoreError(f"the journal names the successor {name}, which the store does not hold: restore a backup")
        self._installed.add(name)
        pipeline.take_over(dated.since, found, again=again)
        log.info("A successor takes over", name=name, since=rfc3339(dated.since))


_DECODER = msgspec.msgpack.Decoder(list[Successor])


def policy_of(profile: Profile, successor: Successor, base: Policy) -> Policy:
    """The policy of a takeover: `base` with the successor's thresholds for clients."""
    thresholds = {**base.thresholds, "client": thresholds_of(profile, successor)}
    return msgspec.structs.replace(base, thresholds=thresholds, version=PREFIX + name_of(successor))


def shown(store: Path) -> list[str]:
    """What there is to approve, with before and after."""
    return listed(_read(store), "querywarden successor --config FILE")


def listed(found: Sequence[Successor], command: str) -> list[str]:
    """Successors, with before and after, and the command by which one takes over."""
    if not found:
        return ["No epoch has closed with a successor yet."]
    return [line for successor in found for line in _lines(successor, command)]


def _lines(successor: Successor, command: str) -> list[str]:
    return [
        f"Successor {name_of(successor)}, of the epoch that closed {rfc3339(successor.closed_at)[:10]}:",
        f"  before: {told_side(successor.before)}",
        f"  after:  {told_side(successor.after)}",
        *(f"  a person should look: {why}" for why in successor.why_not),
        f"  approve it with: {command} --approve {name_of(successor)}",
    ]


def told_side(side: Side) -> str:
    """How judges fare under a model, in words."""
    return (
        f"threshold {side.threshold:.3f} names {side.named} of {side.judges} judges; the share of honest clients that "
        f"passes it lies between {side.low:.2%} and {side.high:.2%} with probability 90%"
    )


def approve(store: Path, profile: Profile, name: str, base: Policy) -> int:
    """Asks the runner to let it take over; returns the number of the request. Raises StoreError for an unknown name."""
    found = {name_of(successor): successor for successor in _read(store)}
    if name not in found:
        raise StoreError(f"there is no successor {name}; {nearest_name(name, found)}")
    return request_policy(store, policy_of(profile, found[name], base))


def _read(store: Path) -> list[Successor]:
    reader = Reader(store)
    try:
        return kept_in(reader)
    finally:
        reader.close()


def kept_in(reader: Reader) -> list[Successor]:
    """Those of the last snapshot, the oldest first."""
    body = reader.saved_extra(NAME)
    return [] if body is None else _DECODER.decode(body)
