"""What the API asks of whoever reads the detector's state: one protocol, so that HTTP knows no store."""

from __future__ import annotations

from typing import Protocol

from detector.dashboard.shapes import (
    Ask,
    AskPromise,
    CaseRow,
    CaseView,
    Change,
    EntityRow,
    EntityView,
    HealthWord,
    Histogram,
    Map,
    Mattered,
    Overview,
    Page,
    PolicyWord,
    Preview,
    Promised,
    Said,
    Say,
    Sort,
    Timeline,
)


class Unknown(LookupError):
    """No such entity, level or case is kept."""


class Books(Protocol):
    """Reads beside the detector, never holds it up. Called from several threads. Raises Unknown."""

    def overview(self) -> Overview: ...
    def policies(self) -> tuple[PolicyWord, ...]: ...
    def histogram(self, level: str) -> Histogram: ...
    def preview(self, ask: Ask) -> Preview: ...
    def promise(self, ask: AskPromise) -> Promised: ...
    def entities(
        self, level: str | None, search: str, sort: Sort, cursor: str | None, limit: int
    ) -> Page[EntityRow]: ...
    def entity(self, level: str, id_: str) -> EntityView: ...
    def timeline(self, level: str, id_: str) -> Timeline: ...
    def mattered(self, level: str, id_: str) -> tuple[Mattered, ...]: ...
    def map(self, level: str, id_: str) -> Map: ...
    def cases(self, state: str, search: str, cursor: str | None, limit: int) -> Page[CaseRow]: ...
    def case(self, case_id: str) -> CaseView: ...
    def say(self, say: Say, by: str) -> Said: ...
    def health(self) -> HealthWord: ...

    def request(self, change: Change) -> int:
        """Asks the running detector for the policy in force with `change`; the number to ask `outcome` about."""
        ...

    def outcome(self, request: int) -> tuple[str, str]:
        """`waiting`, `taken` or `refused`, and the reason."""
        ...

    def seen(self) -> dict[str, str]:
        """A mark for each of `alerts`, `policy`, `tape`, `health` that changes when there is something new: cheap."""
        ...

    def close(self) -> None: ...
