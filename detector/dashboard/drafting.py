"""The life of a draft: made, edited, approved, applied, refused or withdrawn; each step checked, and written down.

A draft is applied by asking the detector (Books.request) for the policy in force with the draft's change. While it has
not answered the draft waits, and nothing else is applied: what is asked for must be what was looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection, Engine

from detector.alert import SEVERITIES
from detector.dashboard.access.person import Person
from detector.dashboard.books import Books
from detector.dashboard.keeping import audit, drafts
from detector.dashboard.keeping.audit import Deed
from detector.dashboard.keeping.drafts import Kept
from detector.dashboard.keeping.opening import reading
from detector.dashboard.shapes import Allowed, Change, Draft, NewDraft, PolicyWord
from detector.errors import QuerywardenError, nearest_name

ANSWER_S = 5.0  # the runner looks for requests every second
LOOK_S = 0.1
NEVER_ASKED_S = 60.0  # a claim of longer ago, without a request, is of a process that ended in between
WAITING = "waiting for the detector"


class DraftError(QuerywardenError):
    """A step that cannot be taken."""


class NoDraft(DraftError):
    """There is no such draft, or no such policy."""


class Changed(DraftError):
    """Somebody else changed it since it was read."""


class NotNow(DraftError):
    """Its state, or that of the policy, does not allow it."""


class NotYou(DraftError):
    """Another person has to do it."""


class Unfit(DraftError):
    """errors: by field, a sentence."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {words}" for field, words in errors.items()))
        self.errors = errors


class Drafting:
    """now: wall clock in seconds. wait: returns after about so many seconds."""

    def __init__(
        self,
        books: Books,
        engine: Engine,
        *,
        review: bool,
        now: Callable[[], float],
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._books = books
        self._engine = engine
        self._reading = reading(engine)
        self._review = review
        self._now = now
        self._wait = wait or threading.Event().wait
        self._asking = threading.Lock()

    # -- reading

    def newest(self, before: int | None, limit: int) -> tuple[tuple[Draft, ...], int]:
        with self._reading.begin() as db:
            found, total = drafts.newest(db, before, limit, self._review)
        return tuple(kept.draft for kept in found), total

    def mark(self) -> str:
        with self._reading.begin() as db:
            return drafts.mark(db)

    # -- changing

    def make(self, new: NewDraft, by: Person) -> Draft:
        """Raises Unfit."""
        self._check(new)
        with self._engine.begin() as db:
            kept = self._add(db, new, by)
        return kept.draft

    def edit(self, number: int, etag: str, new: NewDraft, by: Person) -> Draft:
        """Who edits it becomes its author: whoever approves it must be somebody else. An approval is void then."""
        self._check(new)
        with self._engine.begin() as db:
            kept = self._held(db, number, etag, "edited")
            self._revise(
                db, kept, title=new.title, why=new.why, base=new.base, change=new.change,
                by=by.name, by_id=by.id, state="draft", approved_by=None,
            )  # fmt: skip
            return self._done(db, kept, by, "draft.edited", new.why)

    def approve(self, number: int, etag: str, why: str, by: Person) -> Draft:
        with self._engine.begin() as db:
            kept = self._held(db, number, etag, "approved")
            if kept.by_id == by.id:
                raise NotYou("who wrote a draft cannot approve it; a second person must")
            self._revise(db, kept, state="approved", approved_by=by.name)
            return self._done(db, kept, by, "draft.approved", why)

    def withdraw(self, number: int, etag: str, why: str, by: Person) -> Draft:
        with self._engine.begin() as db:
            kept = self._held(db, number, etag, "withdrawn")
            self._revise(db, kept, state="withdrawn")
            return self._done(db, kept, by, "draft.withdrawn", why)

    # -- applying

    def apply(self, number: int, etag: str, why: str, by: Person) -> Draft:
        """Asks the detector, and waits at most ANSWER_S for what it says."""
        with self._asking:
            in_force = self._in_force()
            with self._engine.begin() as db:
                kept = self._held(db, number, etag, "applied")
                if self._review and kept.draft.state != "approved":
                    raise NotNow("a second person must approve this draft first")
                kept = self._claimed(db, kept, in_force, why, by)
            self._ask(kept)
        return self._answered(number)

    def roll_back(self, version: str, why: str, by: Person) -> Draft:
        """Makes a draft of an earlier policy and applies it: what was in force once needs no second person again."""
        found = next((policy for policy in self._books.policies() if policy.version == version), None)
        if found is None:
            raise NoDraft(f"the journal has no policy {version}")
        if found.in_force:
            raise NotNow(f"policy {version} is in force")
        change = Change(found.thresholds, found.cool_down_s, found.suppressions)
        return self._at_once(f"Back to policy {version}", change, why, by, reviewed=True)

    def allow(self, allowed: Allowed, by: Person) -> Draft:
        """An entity that nobody is alerted on until a time: as a draft, which is applied at once unless it needs a
        second person.
        """
        others = tuple(one for one in self._in_force().suppressions if (one.kind, one.id) != (allowed.kind, allowed.id))
        title = f"Allow {allowed.kind} {allowed.id}"
        return self._at_once(title, Change(suppressions=(*others, allowed)), allowed.reason, by)

    def forbid(self, kind: str, id_: str, by: Person) -> Draft:
        """Takes an entity off the list."""
        listed = self._in_force().suppressions
        left = tuple(one for one in listed if (one.kind, one.id) != (kind, id_))
        if len(left) == len(listed):
            raise NoDraft(f"{kind} {id_} is not on the list")
        return self._at_once(f"No longer allow {kind} {id_}", Change(suppressions=left), "taken off the list", by)

    def settle(self) -> None:
        """Writes down what the detector has said since of drafts that wait."""
        with self._reading.begin() as db:
            waiting = drafts.waiting(db)
        for kept in waiting:
            self._settle(kept)

    # -- steps

    def _at_once(self, title: str, change: Change, why: str, by: Person, *, reviewed: bool = False) -> Draft:
        with self._asking:
            in_force = self._in_force()
            new = NewDraft(title[:200], why, in_force.version, change)
            self._check(new)
            with self._engine.begin() as db:
                kept = self._add(db, new, by)
                if self._review and not reviewed:
                    return kept.draft
                kept = self._claimed(db, kept, in_force, why, by)
            self._ask(kept)
        return self._answered(kept.draft.id)

    def _claimed(self, db: Connection, kept: Kept, in_force: PolicyWord, why: str, by: Person) -> Kept:
        """The draft as one that is being applied; whoever else tries finds another revision."""
        if kept.draft.base != in_force.version:
            raise NotNow(
                f"it was drafted over policy {kept.draft.base}, and {in_force.version} is in force: look at it again"
            )
        if same(kept.draft.change, in_force):
            raise NotNow("the policy in force is already so")
        if others := drafts.waiting(db):
            raise NotNow(f"the detector has not answered yet about draft {others[0].draft.id}")
        self._revise(db, kept, applied_by=by.name, applied_at=self._now(), outcome=WAITING, waiting=1)
        deed = Deed(
            who=by.who, role=by.role, what="policy.asked", subject=f"draft {kept.draft.id}", why=why,
            before=_json(in_force), after=_json(kept.draft.change),
        )  # fmt: skip
        audit.append(db, deed, self._now())
        return self._again(db, kept)

    def _ask(self, kept: Kept) -> None:
        try:
            request = self._books.request(kept.draft.change)
        except QuerywardenError as error:
            with self._engine.begin() as db:
                self._revise(db, kept, waiting=0, outcome=f"the detector could not be asked: {error}")
                self._say(db, "policy.not_asked", kept, why=str(error))
            raise
        with self._engine.begin() as db:
            self._revise(db, kept, request=request)

    def _answered(self, number: int) -> Draft:
        until = self._now() + ANSWER_S
        while True:
            with self._reading.begin() as db:
                kept = drafts.get(db, number, self._review)
            assert kept is not None
            if not kept.waiting or self._now() >= until:
                return kept.draft
            if not self._settle(kept):
                self._wait(LOOK_S)

    def _settle(self, kept: Kept) -> bool:
        """Whether there was something to write down."""
        if kept.request is None:
            return self._released(kept)
        state, reason = self._books.outcome(kept.request)
        if state == "waiting":
            return False
        taken = state == "taken"
        policy = self._books.policies()[0] if taken else None
        if policy is not None and policy.version == kept.draft.base:
            return False  # books may be half a second old
        with self._engine.begin() as db:
            changed: dict[str, Any] = {"state": "applied" if taken else "refused", "outcome": reason or state}
            if policy is not None:
                changed |= {"since": policy.since, "version": policy.version}
            if drafts.revise(db, kept, waiting=0, **changed):  # else somebody else was as quick
                what = "policy.applied" if taken else "policy.refused"
                self._say(db, what, kept, why=reason, after=_json(policy) if policy else "")
        return True

    def _released(self, kept: Kept) -> bool:
        if self._now() - (kept.draft.applied_at or 0.0) < NEVER_ASKED_S:
            return False
        with self._engine.begin() as db:
            if drafts.revise(db, kept, waiting=0, outcome="the dashboard ended before it could ask"):
                self._say(db, "policy.not_asked", kept, why="the dashboard ended before it could ask")
        return True

    def _add(self, db: Connection, new: NewDraft, by: Person) -> Kept:
        kept = drafts.add(
            db, title=new.title, why=new.why, by=by.name, by_id=by.id, base=new.base, change=new.change,
            now=self._now(), review=self._review,
        )  # fmt: skip
        subject = f"draft {kept.draft.id}"
        deed = Deed(
            who=by.who, role=by.role, what="draft.made", subject=subject, why=new.why, after=_json(kept.draft)
        )  # fmt: skip
        audit.append(db, deed, self._now())
        return kept

    def _held(self, db: Connection, number: int, etag: str, to_be: str) -> Kept:
        kept = drafts.get(db, number, self._review)
        if kept is None:
            raise NoDraft(f"there is no draft {number}")
        if etag not in ("*", kept.draft.etag):
            raise Changed("somebody changed this draft since you read it: read it again")
        if kept.waiting:
            raise NotNow("the detector was asked for it and has not answered yet")
        if kept.draft.state not in ("draft", "approved"):
            raise NotNow(f"it is {kept.draft.state} and cannot be {to_be} any more")
        return kept

    def _revise(self, db: Connection, kept: Kept, **changed: Any) -> None:
        if not drafts.revise(db, kept, **changed):
            raise Changed("somebody changed this draft at the same moment: read it again")

    def _again(self, db: Connection, kept: Kept) -> Kept:
        found = drafts.get(db, kept.draft.id, self._review)
        assert found is not None
        return found

    def _done(self, db: Connection, kept: Kept, by: Person, what: str, why: str) -> Draft:
        now = self._again(db, kept).draft
        deed = Deed(
            who=by.who, role=by.role, what=what, subject=f"draft {now.id}", why=why,
            before=_json(kept.draft), after=_json(now),
        )  # fmt: skip
        audit.append(db, deed, self._now())
        return now

    def _say(self, db: Connection, what: str, kept: Kept, *, why: str = "", after: str = "") -> None:
        """What the detector did, not a person; who asked stands in `policy.asked`."""
        deed = Deed(who="(detector)", role="", what=what, subject=f"draft {kept.draft.id}", why=why, after=after)
        audit.append(db, deed, self._now())

    # -- what fits

    def _in_force(self) -> PolicyWord:
        policies = self._books.policies()
        if not policies:
            raise NotNow("no policy is in force yet: the detector has not run")
        return policies[0]

    def _check(self, new: NewDraft) -> None:
        policies = self._books.policies()
        errors = unfit(new.change, policies[0] if policies else None)
        if new.base not in {policy.version for policy in policies}:
            errors["base"] = "the journal has no such policy"
        if errors:
            raise Unfit(errors)


def unfit(change: Change, policy: PolicyWord | None) -> dict[str, str]:
    """What is wrong with a change, by field: a level that is not judged, or scores that do not rise with severity."""
    errors: dict[str, str] = {}
    if change.thresholds is UNSET and change.cool_down_s is UNSET and change.suppressions is UNSET:
        errors["change"] = "it changes nothing"
    for level, thresholds in () if change.thresholds is UNSET else change.thresholds.items():
        if policy is not None and level not in policy.thresholds:
            errors[f"change.thresholds.{level}"] = f"unknown level; {nearest_name(level, policy.thresholds)}"
        ranks = [SEVERITIES.index(one.severity) for one in thresholds]
        scores = [one.score for one in thresholds]
        if ranks != sorted(set(ranks)) or scores != sorted(scores):
            errors[f"change.thresholds.{level}"] = "each severity once, and scores must rise with the severity"
    return errors


def same(change: Change, policy: PolicyWord) -> bool:
    """Whether the policy would be what it is."""
    given = () if change.thresholds is UNSET else change.thresholds.items()
    return (
        all(policy.thresholds.get(level) == thresholds for level, thresholds in given)
        and change.cool_down_s in (UNSET, policy.cool_down_s)
        and change.suppressions in (UNSET, policy.suppressions)
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
