"""Which policy holds from which log time, the same for all partitions: proposals, answers, and what is decided.

A proposal names a log time. Every partition of every stage answers once: it has not come there, and will not before
there is a decision; or it has passed already. When all have answered, the policy holds from that time on, or is
refused. No partition ever decides anything at or after that time without knowing which.

Requests to forget lie beside them, until they are done.

A takeover of the one-class model is a policy whose version names the successor. It is proposed under a key of its own,
which workers that know of none do not answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec

from detector.cluster.forgetting import Forget
from detector.errors import StoreError
from detector.learned.successor import Successor
from detector.policy import Dated, Policy
from detector.profile.succession import name_of
from detector.reasons import rfc3339
from detector.run.successors import PREFIX

BEGUN, PROPOSED, ANSWERED, DECIDED = b"b", b"p", b"a", b"d"
MADE, TAKES_OVER = b"s", b"t"  # successors, and proposals that they take over
FORGET, FORGOTTEN = b"f", b"e"  # requests, and that they are done
DAY_US = 86_400_000_000


class Proposal(msgspec.Struct, frozen=True):
    """within: refused where another takeover is less than so long (microseconds) before or after it."""

    since: int
    policy: Policy
    within: int = 0


class Answer(msgspec.Struct, frozen=True):
    """Of a partition. decided: the latest log time at which it can have decided anything."""

    decided: int
    bound: bool


class Decision(msgspec.Struct, frozen=True):
    """since: None where it is refused, and why."""

    since: int | None
    why: str = ""


class Takeover(NamedTuple):
    """From log time `since` on."""

    since: int
    successor: Successor


Entry = tuple[bytes, bytes | None]  # of a compacted topic; None takes away what was there


def begun(policy: Policy) -> Entry:
    """The policy that holds at first. Of several the first counts."""
    return BEGUN + policy.version.encode(), msgspec.msgpack.encode(policy)


def proposed(id_: str, since: int, policy: Policy) -> Entry:
    return PROPOSED + id_.encode(), msgspec.msgpack.encode(Proposal(since, policy))


def takes_over(id_: str, since: int, policy: Policy, within: int) -> Entry:
    """policy: see detector.run.successors.policy_of."""
    return TAKES_OVER + id_.encode(), msgspec.msgpack.encode(Proposal(since, policy, within))


def made(successor: Successor) -> Entry:
    return MADE + name_of(successor).encode(), msgspec.msgpack.encode(successor)


def asked(one: Forget) -> Entry:
    return FORGET + one.id.encode(), msgspec.msgpack.encode(one)


def forgotten(id_: str) -> list[Entry]:
    """That it is done: the request goes, since it holds the name."""
    return [(FORGOTTEN + id_.encode(), b""), (FORGET + id_.encode(), None)]


def answered(id_: str, place: str, answer: Answer) -> Entry:
    return ANSWERED + f"{id_}/{place}".encode(), msgspec.msgpack.encode(answer)


def decided(id_: str, decision: Decision) -> Entry:
    return DECIDED + id_.encode(), msgspec.msgpack.encode(decision)


class Policies:
    """All that was entered, in its order. successors: by name; forget: requests; forgotten: those that are done."""

    def __init__(self) -> None:
        self.first: Policy | None = None
        self.proposals: dict[str, Proposal] = {}
        self.decisions: dict[str, Decision] = {}
        self.successors: dict[str, Successor] = {}
        self.forget: dict[str, Forget] = {}
        self.forgotten: set[str] = set()
        self._answers: dict[str, dict[str, Answer]] = {}

    def take(self, key: bytes, value: bytes | None) -> None:
        """Takes an entry. Raises StoreError."""
        kind, id_ = key[:1], key[1:].decode()
        if value is None:
            self.forget.pop(id_, None)
            return
        try:
            if kind == BEGUN:
                self.first = self.first or msgspec.msgpack.decode(value, type=Policy)
            elif kind in (PROPOSED, TAKES_OVER):
                self.proposals.setdefault(id_, msgspec.msgpack.decode(value, type=Proposal))
            elif kind == ANSWERED:
                id_, _, place = id_.partition("/")
                answers = self._answers.setdefault(id_, {})
                answers.setdefault(place, msgspec.msgpack.decode(value, type=Answer))
            elif kind == DECIDED:
                self.decisions.setdefault(id_, msgspec.msgpack.decode(value, type=Decision))
            elif kind == FORGET and id_ not in self.forgotten:
                self.forget[id_] = msgspec.msgpack.decode(value, type=Forget)
            elif kind == FORGOTTEN:
                self.forget.pop(id_, None)
                self.forgotten.add(id_)
            elif kind == MADE:
                self.successors[id_] = msgspec.msgpack.decode(value, type=Successor)
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

    def takeovers(self) -> list[Takeover]:
        """Those that were decided, ascending. Raises StoreError where a successor is missing."""
        found = []
        for since, name in self.names():
            if name not in self.successors:
                raise StoreError(f"the topic of policies names the successor {name}, and does not hold it")
            found.append(Takeover(since, self.successors[name]))
        return found

    def names(self) -> list[tuple[int, str]]:
        """The log times at which successors take over, ascending, and what they are called."""
        named = [(dated.since, successor_of(dated.policy)) for dated in self.dated()]
        return [(since, name) for since, name in named if name is not None]

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
        taken = [since for since, _ in self.names()]
        for id_, proposal in self.pending.items():
            answers = self._answers.get(id_, {})
            if not set(places) <= answers.keys():
                continue
            late = sorted((-answers[place].decided, place) for place in places if not answers[place].bound)
            near = [since for since in taken if abs(proposal.since - since) < proposal.within]
            if late:
                yield id_, Decision(None, f"{late[0][1]} has come to {rfc3339(-late[0][0])}")
            elif near:
                days = proposal.within / DAY_US
                yield (
                    id_,
                    Decision(None, f"another takes over at {rfc3339(near[0])}, and at most one may in {days:g} days"),
                )
            else:
                if successor_of(proposal.policy) is not None:
                    taken.append(proposal.since)
                yield id_, Decision(proposal.since)


def successor_of(policy: Policy) -> str | None:
    """The name of the successor that a policy lets take over; None for any other policy."""
    version = policy.version
    return version.removeprefix(PREFIX) if version.startswith(PREFIX) else None
