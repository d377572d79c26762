"""The cases in the order in which they wait for somebody, with what triage says of them and what people did."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from detector.alert import SEVERITIES
from detector.dashboard.reading import cursors
from detector.dashboard.reading.casing import Told, alerts_of, at_us
from detector.dashboard.reading.view import Files, View
from detector.dashboard.shapes import Because, CaseRow, CaseView, Hand, Page, VerdictWord
from detector.errors import SettingsError
from detector.learned.triage import Triage, Word, evidence_of
from detector.profile.artefact import Profile
from detector.run.store import Reader
from detector.run.verdicts import Verdict, highest, holds

STATES = ("open", "held", "resolved")
KEY = (bool, float, int, float, str)  # types of a place in the queue


class Queue:
    """For many threads. Words of triage are kept until a verdict or the case changes."""

    def __init__(self, files: Files, profile: Profile) -> None:
        self._files, self._profile = files, profile
        self._lock = threading.Lock()
        self._triage: tuple[str, Triage] | None = None
        self._words: dict[str, tuple[object, Word | None]] = {}

    def page(self, view: View, state: str, search: str, cursor: str | None, limit: int) -> Page[CaseRow]:
        """Raises SettingsError for an unknown state or a cursor of another list."""
        if state not in (*STATES, "all"):
            raise SettingsError(f'state: "{state}"; known are {", ".join((*STATES, "all"))}')
        needle, now = search.casefold(), time.time()
        wanted = {
            id_: told
            for id_, told in view.told.items()
            if told.accused and state in (told.state, "all") and (not needle or _mentions(told, needle))
        }
        words = self._words_of(view, wanted)
        rows = [(_place(one, words.get(id_), view.verdicts.get(id_), now), one) for id_, one in wanted.items()]
        rows.sort(key=lambda row: row[0])
        start = 0
        if cursor is not None:
            start = bisect_right(rows, cursors.key_of(cursor, KEY), key=lambda row: row[0])
        shown = rows[start : start + limit]
        following = cursors.after(shown[-1][0]) if shown and start + limit < len(rows) else None
        items = tuple(self._row(view, told, words.get(told.first.case_id), now) for _, told in shown)
        return Page(items, len(rows), following)

    def case(self, view: View, case_id: str) -> CaseView:
        told, now = view.told[case_id], time.time()
        word = self._words_of(view, {case_id: told}).get(case_id)
        with self._files.outbox() as outbox:
            alerts = alerts_of(outbox, [told])
        given = [one for one in view.given if one.case_id == case_id]
        members = told.accusing.entity.members or ()
        return CaseView(
            row=self._row(view, told, word, now),
            alerts=alerts,
            verdicts=tuple(_said(one) for one in given),
            because=tuple(Because(*part) for part in word.because) if word else (),
            taught_by=word.verdicts if word else 0,
            members=tuple(Hand("client", member) for member in members),
        )

    def _row(self, view: View, told: Told, word: Word | None, now: float) -> CaseRow:
        verdict = view.verdicts.get(told.first.case_id)
        alert = told.accusing
        return CaseRow(
            case_id=alert.case_id,
            kind=alert.kind,
            severity=alert.severity,
            state=told.state,
            level=alert.entity.kind,
            id=alert.entity.id,
            score=alert.score,
            queries=alert.queries,
            at=at_us(told.newest),
            opened_at=at_us(told.first),
            probability=word.probability if word else None,
            reason=next((reason.text for reason in alert.reasons), alert.message),
            said=_said(verdict) if verdict and holds(verdict, now) else None,
        )

    def _words_of(self, view: View, wanted: Mapping[str, Told]) -> Mapping[str, Word | None]:
        """What triage says of cases; nothing while too few verdicts taught it."""
        with self._lock:
            triage = self._taught(view)
            if not triage.speaks:
                return {}
            new = {id_: one for id_, one in wanted.items() if self._words.get(id_, (None,))[0] != one.alerts}
            if new:
                with self._files.state() as reader:
                    self._words |= {id_: (one.alerts, self._word(triage, reader, one)) for id_, one in new.items()}
            return {id_: self._words[id_][1] for id_ in wanted}

    def _taught(self, view: View) -> Triage:
        mark = view.marks[-1]
        if self._triage is None or self._triage[0] != mark:
            triage = Triage()
            for one in view.verdicts.values():
                triage.learn(one.evidence, one.answer)
            self._triage, self._words = (mark, triage), {}
        return self._triage[1]

    def _word(self, triage: Triage, reader: Reader, told: Told) -> Word | None:
        point = highest(reader, self._profile, told.first, told.newest)
        return triage.word(evidence_of(point, self._profile.kit.names)) if point else None


def _mentions(told: Told, needle: str) -> bool:
    alert = told.accusing
    return needle in f"{alert.entity.id} {alert.case_id} {alert.kind} {alert.message}".casefold()


def _place(told: Told, word: Word | None, verdict: Verdict | None, now: float) -> tuple[Any, ...]:
    """As `querywarden cases` orders them, those that are over behind all others."""
    judged = verdict is not None and holds(verdict, now) and verdict.answer != "unsure"
    alert = told.accusing
    known = -word.probability if word else 0.0
    over = told.state == "resolved"
    return judged or over, known, -SEVERITIES.index(alert.severity), -alert.score, alert.case_id


def _said(verdict: Verdict) -> VerdictWord:
    return VerdictWord(verdict.answer, verdict.by, verdict.note, verdict.said_at, verdict.expires_at)
