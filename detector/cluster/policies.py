"""Which policy holds from which log time, the same for all partitions: proposals, answers, and what is decided.

A proposal names a log time. Every partition of every stage answers once: it has not come there, and will not before
there is a decision; or it has passed already. When all have answered, the policy holds from that time on, or is
refused. No partition ever decides anything at or after that time without knowing which.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from detector.errors import StoreError
from detector.policy import Dated, Policy
from detector.reasons import rfc3339

BEGUN, PROPOSED, ANSWERED, DECIDED = b"b", b"p", b"a", b"d"


class Proposal(msgspec.Struct, frozen=True):
    since: int
    policy: Policy


class Answer(msgspec.Struct, frozen=True):
    """Of a partition. decided: the latest log time at which it can have decided anything."""

    decided: int
    bound: bool


class Decision(msgspec.Struct, frozen=True):
    """since: None where it is refused, and why."""

    since: int | None
    why: str = ""


Entry = tuple[bytes, bytes]  # of a compacted topic


def begun(policy: Policy) -> Entry:
    """The policy that holds at first. Of several the first counts."""
    return BEGUN + policy.version.encode(), msgspec.msgpack.encode(policy)


def proposed(id_: str, since: int, policy: Policy) -> Entry:
    return PROPOSED + id_.encode(), msgspec.msgpack.encode(Proposal(since, policy))


def answered(id_: str, place: str, answer: Answer) -> Entry:
    return ANSWERED + f"{id_}/{place}".encode(), msgspec.msgpack.encode(answer)


def decided(id_: str, decision: Decision) -> Entry:
    return DECIDED + id_.encode(), msgspec.msgpack.encode(decision)


class Policies:
    """All that was entered, in its order."""

    def __init__(self) -> None:
        self.first: Policy | None = None
        self.proposals: dict[str, Proposal] = {}
        self.decisions: dict[str, Decision] = {}
        self._answers: dict[str, dict[str, Answer]] = {}

    def take(self, key: bytes, value: bytes) -> None:
        """Takes an entry. Raises StoreError."""
        kind, id_ = key[:1], key[1:].decode()
        try:
            if kind == BEGUN:
                self.first = self.first or msgspec.msgpack.decode(value, type=Policy)
            elif kind == PROPOSED:
                self.proposals.setdefault(id_, msgspec.msgpack.decode(value, type=Proposal))
            elif kind == ANSWERED:
                id_, _, place = id_.partition("/")
                answers = self._answers.setdefault(id_, {})
                answers.setdefault(place, msgspec.msgpack.decode(value, type=Answer))
            elif kind == DECIDED:
                self.decisions.setdefault(id_, msgspec.msgpack.decode(value, type=Decision))
        except msgspec.MsgspecError as error:
            raise StoreError(f"an entry of the policies cannot be read: {error}") from error

    def dated(self) -> list[Dated]:
        """What holds, ascending. Raises StoreError before there is a first policy."""
        if self.first is None:
            raise StoreError("the topic of policies is empty: run `querywarden topics`")
        later = [
            Dated(decision.since, self.proposals[id_].policy)
            for id_, decision in self.decisions.items()
            if decision.since is not None and id_ in self.proposals
        ]
        return [Dated(0, self.first), *sorted(later, key=lambda dated: dated.since)]

    @property
    def pending(self) -> dict[str, Proposal]:
        return {id_: one for id_, one in self.proposals.items() if id_ not in self.decisions}

    def unanswered(self, place: str) -> dict[str, Proposal]:
        return {id_: one for id_, one in self.pending.items() if place not in self._answers.get(id_, {})}

    def bound(self, place: str) -> int | None:
        """The log time that a partition must not come to as yet."""
        times = [
            one.since
            for id_, one in self.pending.items()
            if (answer := self._answers.get(id_, {}).get(place)) is not None and answer.bound
        ]
        return min(times, default=None)

    def ready(self, places: Collection[str]) -> Iterable[tuple[str, Decision]]:
        """What is to be decided now: all of `places` have answered."""
        for id_, proposal in self.pending.items():
            answers = self._answers.get(id_, {})
            if not set(places) <= answers.keys():
                continue
            late = sorted((-answers[place].decided, place) for place in places if not answers[place].bound)
            if not late:
                yield id_, Decision(proposal.since)
            else:
                why = f"{late[0][1]} has come to {rfc3339(-late[0][0])}"
                yield id_, Decision(None, why)
