"""Successors of the one-class model over workers: made in the town, kept among the policies, where all can take them.

The town enters each as it is made, and proposes that it takes over where the settings let it do so by itself. All else
is a policy's way (policies.py): from one log time on, for all partitions, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from detector.cluster.policies import Entry, Policies, made, successor_of, takes_over
from detector.learned.population import News
from detector.learned.successor import Successor
from detector.policy import Threshold
from detector.profile.artefact import Profile
from detector.profile.succession import name_of, thresholds_of
from detector.run.successors import KEPT, policy_of

AHEAD_US = 600_000_000  # of log time; twice as much each time that somebody had come there already
ATTEMPTS = 12  # the last one is a month ahead


class Successors:
    """Those of the town. successor: `ask`, `auto` or `off` (learning.successor)."""

    def __init__(self, profile: Profile, successor: str) -> None:
        self._profile, self._wanted = profile, successor
        self.made: list[Successor] = []  # the oldest first
        self.changed = False  # `made` differs from what was saved
        self._entered: set[bytes] = set()  # keys: they need not have been read back yet

    def take(self, news: Sequence[News]) -> None:
        """After the close of days."""
        for one in news:
            if one.successor is not None:
                self.made = [*self.made, one.successor][-KEPT:]
                self.changed = True

    def enters(self, policies: Policies, decided: int) -> list[Entry]:
        """What is to be entered. decided: the log time up to which the town may have decided anything."""
        if self._wanted == "off":
            return []
        found = [made(one) for one in self.made if name_of(one) not in policies.successors]
        if self._wanted == "auto" and self.made and not found:
            found += self._by_itself(policies, decided)
        new = [entry for entry in found if entry[0] not in self._entered]
        self._entered.update(key for key, _ in new)
        return new

    def _by_itself(self, policies: Policies, decided: int) -> list[Entry]:
        """The newest, if it may take over by itself and nobody has proposed it: once more where a time was refused."""
        newest = self.made[-1]
        name, within = name_of(newest), horizon_us(self._profile)
        proposals = [id_ for id_, one in policies.proposals.items() if successor_of(one.policy) == name]
        holds = [since for since, _ in policies.names()]
        if any(successor_of(one.policy) is not None for one in policies.pending.values()):
            return []
        if not newest.automatic or len(proposals) >= ATTEMPTS:
            return []
        since = decided + (AHEAD_US << len(proposals))
        if holds and since - holds[-1] < within:  # its own takeover, too
            return []
        policy = policy_of(self._profile, newest, policies.dated()[-1].policy)
        return [takes_over(f"auto-{name}-{len(proposals)}", since, policy, within)]


def promised(profile: Profile, policies: Policies) -> dict[str, tuple[Threshold, ...]]:
    """What the settings' policy is laid over: the profile's thresholds, for clients those of the model in force."""
    thresholds, takeovers = profile.summary.policy.thresholds, policies.takeovers()
    if not takeovers:
        return thresholds
    return {**thresholds, "client": thresholds_of(profile, takeovers[-1].successor)}


def horizon_us(profile: Profile) -> int:
    """Of the promise: so far apart are takeovers at least."""
    return 2 * profile.summary.epoch_us
