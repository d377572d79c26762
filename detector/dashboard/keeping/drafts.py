"""A draft of a change to the policy, from the first word to what the detector said; every change is a new revision."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from detector.dashboard.keeping.tables import DRAFTS
from detector.dashboard.shapes import Change, Draft

FIRST_REVISION = 1


class Kept(msgspec.Struct, frozen=True):
    """A draft with what only the house knows of it. request: by which number the detector was asked; waiting: it has
    not answered; by_id: its author, by an id that nobody else can take.
    """

    draft: Draft
    by_id: str
    revision: int
    request: int | None
    waiting: bool


def add(
    db: Connection, *, title: str, why: str, by: str, by_id: str, base: str, change: Change, now: float, review: bool
) -> Kept:
    made = insert(DRAFTS).values(
        revision=FIRST_REVISION,
        state="draft",
        title=title,
        why=why,
        by=by,
        by_id=by_id,
        made_at=now,
        base=base,
        change=_text(change),
        outcome="",
        waiting=0,
    )
    (number,) = db.execute(made).inserted_primary_key or (0,)
    found = get(db, number, review)
    assert found is not None
    return found


def get(db: Connection, number: int, review: bool) -> Kept | None:
    """review: whether drafts need a second person now."""
    row = db.execute(select(DRAFTS).where(DRAFTS.c.id == number)).first()
    return _kept(row, review) if row else None


def newest(db: Connection, before: int | None, limit: int, review: bool) -> tuple[tuple[Kept, ...], int]:
    wanted = select(DRAFTS).order_by(DRAFTS.c.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(DRAFTS.c.id < before)
    rows = tuple(_kept(row, review) for row in db.execute(wanted))
    return rows, db.execute(select(func.count()).select_from(DRAFTS)).scalar_one()


def waiting(db: Connection) -> tuple[Kept, ...]:
    """Those of which the detector was asked and has not answered."""
    return tuple(_kept(row, False) for row in db.execute(select(DRAFTS).where(DRAFTS.c.waiting == 1)))


def mark(db: Connection) -> str:
    """Changes whenever a draft does."""
    row = db.execute(select(func.count(), func.sum(DRAFTS.c.revision))).one()
    return f"{row[0]}-{row[1] or 0}"


def revise(db: Connection, kept: Kept, **changed: Any) -> bool:
    """Makes the next revision; False when somebody else made one since `kept` was read."""
    if "change" in changed:
        changed["change"] = _text(changed["change"])
    done = db.execute(
        update(DRAFTS)
        .where(DRAFTS.c.id == kept.draft.id, DRAFTS.c.revision == kept.revision)
        .values(revision=kept.revision + 1, **changed)
    )
    return done.rowcount == 1


def _text(change: Change) -> str:
    return msgspec.json.encode(change).decode()


def _kept(row: Row[Any], review: bool) -> Kept:
    draft = Draft(
        id=row.id,
        etag=f"{row.id}-{row.revision}",
        state=row.state,
        title=row.title,
        why=row.why,
        by=row.by,
        made_at=row.made_at,
        base=row.base,
        change=_CHANGE.decode(row.change),
        approved_by=row.approved_by,
        applied_by=row.applied_by,
        applied_at=row.applied_at,
        since=row.since,
        version=row.version,
        outcome=row.outcome,
        needs_review=review,
    )
    return Kept(draft, row.by_id, row.revision, row.request, bool(row.waiting))


_CHANGE = msgspec.json.Decoder(Change)
