"""What is only looked at: the overview, entities, cases, health, the audit; and verdicts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get, post
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from detector.dashboard.access.person import Person
from detector.dashboard.api import asked
from detector.dashboard.api.guarding import role
from detector.dashboard.api.house import FromHouse
from detector.dashboard.keeping import audit
from detector.dashboard.keeping.audit import Deed
from detector.dashboard.shapes import (
    AuditEntry,
    AuditState,
    CaseRow,
    CaseView,
    EntityRow,
    EntityView,
    HealthWord,
    Map,
    Mattered,
    Overview,
    Page,
    Said,
    Say,
    Sort,
    Timeline,
)

Asking = Request[Any, Any, Any]
EntityId = Annotated[str, QueryParameter(name="id", min_length=1, max_length=1_000)]
CaseId = Annotated[str, PathParameter(min_length=1, max_length=100)]
NOT_THERE = asked.raises(404)


@get("/overview", opt=role("viewer"), sync_to_thread=True)
def overview(house: FromHouse) -> Overview:
    return msgspec.structs.replace(house.books.overview(), needs_review=house.settings.review)


@get("/health", opt=role("viewer"), sync_to_thread=True)
def health(house: FromHouse) -> HealthWord:
    return house.books.health()


@get("/entities", opt=role("viewer"), sync_to_thread=True, raises=NOT_THERE)
def entities(
    house: FromHouse,
    level: Annotated[str | None, QueryParameter(max_length=100)] = None,
    search: asked.Search = "",
    sort: FromQuery[Sort] = "score",
    cursor: asked.Cursor = None,
    limit: asked.Limit = asked.LIMIT,
) -> Page[EntityRow]:
    return house.books.entities(level, search, sort, cursor, limit)


@get("/entity", opt=role("viewer"), sync_to_thread=True, raises=NOT_THERE)
def entity(house: FromHouse, level: asked.Level, id_: EntityId) -> EntityView:
    return house.books.entity(level, id_)


@get("/entity/timeline", opt=role("viewer"), sync_to_thread=True, raises=NOT_THERE)
def timeline(house: FromHouse, level: asked.Level, id_: EntityId) -> Timeline:
    return house.books.timeline(level, id_)


@get("/entity/queries", opt=role("viewer"), sync_to_thread=True, raises=NOT_THERE)
def queries(house: FromHouse, level: asked.Level, id_: EntityId) -> list[Mattered]:
    return list(house.books.mattered(level, id_))


@get("/entity/map", opt=role("viewer"), sync_to_thread=True, raises=NOT_THERE)
def map_(house: FromHouse, level: asked.Level, id_: EntityId) -> Map:
    return house.books.map(level, id_)


@get("/cases", opt=role("viewer"), sync_to_thread=True)
def cases(
    house: FromHouse,
    of_state: Annotated[Literal["open", "resolved", "held", "all"], QueryParameter(name="state")] = "open",
    search: asked.Search = "",
    cursor: asked.Cursor = None,
    limit: asked.Limit = asked.LIMIT,
) -> Page[CaseRow]:
    return house.books.cases(of_state, search, cursor, limit)


@get("/cases/{case_id:str}", opt=role("viewer"), sync_to_thread=True, raises=NOT_THERE)
def case(house: FromHouse, case_id: CaseId) -> CaseView:
    return house.books.case(case_id)


@post("/verdicts", opt=role("analyst"), status_code=200, sync_to_thread=True, raises=NOT_THERE)
def verdicts(house: FromHouse, request: Asking, data: JSONBody[Say]) -> Said:
    """Written down before it is done, so that none is ever done and not written down."""
    person: Person = request.user
    subject = data.cases[0] if len(data.cases) == 1 else f"{len(data.cases)} cases"
    deed = Deed(
        who=person.who, role=person.role, what="verdict", subject=subject, why=data.note,
        after=msgspec.json.encode(data).decode(),
    )  # fmt: skip
    with house.engine.begin() as db:
        audit.append(db, deed, house.now())
    said = house.books.say(data, person.who)
    if said.refused:
        after = msgspec.json.encode(said.refused).decode()
        with house.engine.begin() as db:
            refused = msgspec.structs.replace(deed, what="verdict.refused", after=after)
            audit.append(db, refused, house.now())
    return said


@get("/audit", opt=role("viewer"), sync_to_thread=True)
def entries(house: FromHouse, cursor: asked.Cursor = None, limit: asked.Limit = asked.LIMIT) -> Page[AuditEntry]:
    """The newest first."""
    with house.reading.begin() as db:
        found, total = audit.newest(db, asked.number(cursor), limit)
    return Page(found, total, str(found[-1].seq) if len(found) == limit and found[-1].seq > 1 else None)


@get("/audit/state", opt=role("viewer"), sync_to_thread=True)
def chain(house: FromHouse, whole: asked.Whole = False) -> AuditState:
    with house.reading.begin() as db:
        return house.chain.state(db, whole=whole)


HANDLERS = (
    overview, health, entities, entity, timeline, queries, map_, cases, case, verdicts, entries, chain,
)  # fmt: skip
