"""Books in memory: a journal of policies, a few entities and cases, and a detector that answers when it is told to."""

from __future__ import annotations

import threading

import msgspec
from msgspec import UNSET

from detector.dashboard.books import Unknown
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
    Judged,
    LevelWord,
    Map,
    Mattered,
    Overview,
    Page,
    PolicyWord,
    Preview,
    Promised,
    Said,
    Say,
    SignalWord,
    Sort,
    ThresholdAt,
    Timeline,
)

CLIENTS = tuple(f"client-{number}" for number in range(25))
FIRST = PolicyWord("p-0", 0, {"client": (ThresholdAt("medium", 1.25), ThresholdAt("high", 2.5))}, 86_400.0, (), True)


class MemoryBooks:
    """answers: what the detector says of the next requests; while it is empty, it takes each at once. silent: it
    answers nothing until told to.
    """

    def __init__(self) -> None:
        self.journal = [FIRST]
        self.asked: list[Change] = []
        self.answers: list[tuple[str, str]] = []
        self.outcomes: dict[int, tuple[str, str]] = {}
        self.silent = False
        self.said: list[tuple[Say, str]] = []
        self.broken: Exception | None = None
        self._lock = threading.Lock()

    def overview(self) -> Overview:
        level = LevelWord("client", 0.01, 0.004, 0.018, 400, 1 / 401, 1.25, len(CLIENTS), "")
        signal = SignalWord("spacing.nearest", "close to earlier ones", "far from earlier ones", True)
        return Overview(
            "fraud", "profile-1", "0.1.0", "numbers", "30d", "measured", (level,), (signal,), 0, 10**12, 500,
            len(CLIENTS), 1, False,
        )  # fmt: skip

    def policies(self) -> tuple[PolicyWord, ...]:
        return tuple(reversed(self.journal))

    def histogram(self, level: str) -> Histogram:
        self._known(level)
        return Histogram(level, (0.0, 1.0, 2.0), (20, 5), (0, 1), (1, 0), 0, 25, 0, 10**12)

    def preview(self, ask: Ask) -> Preview:
        judged = Judged(1, 0, 0, 1.0, 1.0)
        return Preview(
            0, 10**12, (), {}, {}, 0, 0, 0, 0, (), (), 0, 0, judged, (), {"client": 3}, 0.5, 25, 500, 11.6, 1.0
        )

    def promise(self, ask: AskPromise) -> Promised:
        self._known(ask.level)
        return Promised(ask.level, ask.severity, ask.score or 1.25, 0.01, 0.004, 0.018, True, ())

    def entities(self, level: str | None, search: str, sort: Sort, cursor: str | None, limit: int) -> Page[EntityRow]:
        rows = tuple(self._row(name) for name in CLIENTS if search in name)
        start = int(cursor) if cursor and cursor.isdecimal() and len(cursor) < 10 else 0
        items = rows[start : start + limit]
        return Page(items, len(rows), str(start + limit) if start + limit < len(rows) else None)

    def entity(self, level: str, id_: str) -> EntityView:
        self._entity(level, id_)
        return EntityView(self._row(id_), 0, (), (), (), (), "unknown", "", None, None)

    def timeline(self, level: str, id_: str) -> Timeline:
        self._entity(level, id_)
        return Timeline((1, 2), (10, 20), (None, 1.5), (None, None), {}, (), FIRST.thresholds["client"], False)

    def mattered(self, level: str, id_: str) -> tuple[Mattered, ...]:
        self._entity(level, id_)
        return ()

    def map(self, level: str, id_: str) -> Map:
        self._entity(level, id_)
        return Map(((0.0, 0.0),), ((1.0, 1.0),), 0.5)

    def cases(self, state: str, search: str, cursor: str | None, limit: int) -> Page[CaseRow]:
        return Page((self._case("case-1"),), 1)

    def case(self, case_id: str) -> CaseView:
        if case_id != "case-1":
            raise Unknown("no such case is kept")
        return CaseView(self._case(case_id), (), (), (), 0, ())

    def say(self, say: Say, by: str) -> Said:
        self.said.append((say, by))
        kept = tuple(case for case in say.cases if case == "case-1")
        return Said(kept, {case: "no such case is kept" for case in say.cases if case != "case-1"})

    def health(self) -> HealthWord:
        return HealthWord(
            False, "unreachable", (), "0.1.0", None, None, None, None, None, (), (), (), 25, 4096, 500, None, None
        )

    def request(self, change: Change) -> int:
        if self.broken is not None:
            raise self.broken
        with self._lock:
            self.asked.append(change)
            return len(self.asked)

    def outcome(self, request: int) -> tuple[str, str]:
        with self._lock:
            if request not in self.outcomes:
                if self.silent:
                    return "waiting", ""
                self.outcomes[request] = self.answers.pop(0) if self.answers else ("taken", "")
                if self.outcomes[request][0] == "taken":
                    self._take(self.asked[request - 1])
            return self.outcomes[request]

    def seen(self) -> dict[str, str]:
        return {"alerts": "1", "policy": str(len(self.journal)), "tape": "1", "health": "1"}

    def close(self) -> None:
        pass

    def _take(self, change: Change) -> None:
        old = self.journal[-1]
        new = PolicyWord(
            f"p-{len(self.journal)}",
            old.since + 1,
            old.thresholds if change.thresholds is UNSET else {**old.thresholds, **change.thresholds},
            old.cool_down_s if change.cool_down_s is UNSET else change.cool_down_s,
            old.suppressions if change.suppressions is UNSET else change.suppressions,
            True,
        )
        self.journal[-1] = msgspec.structs.replace(old, in_force=False)
        self.journal.append(new)

    def _known(self, level: str) -> None:
        if level != "client":
            raise Unknown(f"no level {level} is judged")

    def _entity(self, level: str, id_: str) -> None:
        self._known(level)
        if id_ not in CLIENTS:
            raise Unknown(f"no {level} {id_} is kept")

    def _row(self, name: str) -> EntityRow:
        return EntityRow("client", name, 1.5, 2.0, 20, 10**12, None, None, None, None, "spacing.nearest")

    def _case(self, case_id: str) -> CaseRow:
        return CaseRow(
            case_id, "extraction", "high", "open", "client", CLIENTS[0], 2.0, 20, 10**12, 10**12, 0.7, "odd", None
        )
