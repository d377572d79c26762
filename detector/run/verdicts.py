"""What analysts said of cases, and in which order the open ones wait for them.

A verdict is kept in the store with the evidence that it was given on, under the key of the entity: it says no name, and
goes when the entity is forgotten. A later verdict of the same case is kept beside the first, and is what counts.
Nothing that reads the log reads this.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from detector.alert import ATTACKS, SEVERITIES, Alert
from detector.entities import Name, entity_key
from detector.errors import SettingsError, StoreError
from detector.learned.triage import LEAST, Answer, Evidence, Triage, Word, evidence_of
from detector.profile.artefact import Profile
from detector.run.outbox import Outbox
from detector.run.store import Reader
from detector.tape import Point

NOBODY, RANGE = bytes(16), "range"
I64_MOST = 2**63 - 1
JUDGED = (*ATTACKS, "ring", "exposure")  # kinds of alerts that call somebody something


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """at: log time of the case's newest alert, as alerts write it; said_at, expires_at: wall clock, seconds; None: it
    does not expire. After it the case waits again; what it taught stays, since it was said of the evidence of its time.
    """

    case_id: str
    answer: Answer
    by: str
    note: str
    at: str
    said_at: float
    profile: str
    evidence: Evidence
    expires_at: float | None = None


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `querywarden range --cases`. truth: the campaign, or `honest`."""

    case_id: str
    profile: str
    truth: str
    at: str
    evidence: Evidence


class Open(NamedTuple):
    """A case that waits. alert: the newest that accuses; word: None where triage knows too little; said: the verdict
    that counts, if there is one.
    """

    alert: Alert
    word: Word | None
    said: Verdict | None


class Cases:
    """The cases of a store's folder and what was said of them; for one thread, beside the runner or without it.

    Raises StoreError when there is no store, or it belongs to another profile.
    """

    def __init__(self, folder: Path, profile: Profile) -> None:
        self._profile = profile
        self._reader = Reader(folder / "state.sqlite")
        bound = self._reader.profile()
        if bound != profile.summary.id:
            self._reader.close()
            raise StoreError(f"{folder} holds rows of profile {bound}, the settings name {profile.summary.id}")
        self._outbox = Outbox(folder / "outbox.sqlite")
        self._known: tuple[tuple[object, ...], dict[str, _Told]] | None = None

    def close(self) -> None:
        self._outbox.close()
        self._reader.close()

    def say(
        self, case_id: str, answer: Answer, *, by: str, note: str, said_at: float, expires_at: float | None = None
    ) -> Verdict:
        """Keeps a verdict; durable when it returns. Raises StoreError for a case that is not known, or whose evidence
        is not kept.
        """
        told = self._told()
        if case_id not in told:
            raise StoreError(f"no alert that is kept belongs to a case {case_id}; {_nearest(case_id, told)}")
        point = self._point(told[case_id])
        if point is None:
            raise StoreError(
                f"the evidence of case {case_id} is not in the store: that of a new case comes with the next snapshot, "
                "that of an old one was pruned (store.tape_days)"
            )
        verdict = Verdict(
            case_id=case_id, answer=answer, by=by, note=note, at=told[case_id].newest.at, said_at=said_at,
            profile=self._profile.summary.id, evidence=evidence_of(point, self._profile.kit.names),
            expires_at=expires_at,
        )  # fmt: skip
        with self._reader.db.transaction("could not keep a verdict") as db:
            kept = db.execute(
                "INSERT INTO verdicts(case_id, key, said_at, body) SELECT ?1, ?2, ?3, ?4"
                " WHERE EXISTS (SELECT 1 FROM tape WHERE key = ?2)",
                (case_id, point.key, said_at, msgspec.msgpack.encode(verdict)),
            ).rowcount
        if not kept:
            raise StoreError(f"the entity of case {case_id} was forgotten this moment")
        return verdict

    def teach(self, made: Iterable[Verdict]) -> None:
        """Keeps verdicts on cases that the range made: nobody's, so that no forgetting ends them."""
        rows = [(one.case_id, NOBODY, one.said_at, msgspec.msgpack.encode(one)) for one in made]
        with self._reader.db.transaction("could not keep made cases") as db:
            db.executemany("INSERT INTO verdicts(case_id, key, said_at, body) VALUES (?, ?, ?, ?)", rows)

    def verdicts(self) -> list[Verdict]:
        """All, in the order in which they were given."""
        rows = self._reader.db.read("SELECT body FROM verdicts ORDER BY seq")
        return [_VERDICT.decode(body) for (body,) in rows]

    def triage(self) -> Triage:
        """The classifier that the verdicts that count teach, in the order in which those were given."""
        made = Triage()
        for verdict in counting(self.verdicts()):
            made.learn(verdict.evidence, verdict.answer)
        return made

    def waiting(self) -> list[Open]:
        """The open cases: the likeliest attack first, those without a probability by their score behind them, and at
        the end those that somebody has judged.
        """
        now, count = time.time(), counting(self.verdicts())
        triage, said = self.triage(), {one.case_id: one for one in count if holds(one, now)}
        found = []
        for case_id, told in self._told().items():
            if told.newest.action != "resolve":
                point = self._point(told)
                word = triage.word(evidence_of(point, self._profile.kit.names)) if point else None
                found.append(Open(told.accusing, word, said.get(case_id)))
        return sorted(found, key=_place)

    def _told(self) -> dict[str, _Told]:
        """By case; read again when the outbox has changed, since many verdicts may be given at once."""
        (mark,) = self._outbox.db.read("SELECT max(seq), sum(payload IS NULL) FROM outbox")
        if self._known is None or self._known[0] != mark:
            self._known = mark, self._read()
        return self._known[1]

    def _read(self) -> dict[str, _Told]:
        found: dict[str, _Told] = {}
        for alert in self._outbox.kept():
            known = found.get(alert.case_id)
            if alert.kind in JUDGED and alert.action != "resolve":
                found[alert.case_id] = _Told(known.first if known else alert, alert, alert)
            elif known:
                found[alert.case_id] = known._replace(newest=alert)
        return found

    def _point(self, told: _Told) -> Point | None:
        return highest(self._reader, self._profile, told.first, told.newest)


def highest(reader: Reader, profile: Profile, first: Alert, newest: Alert) -> Point | None:
    """Where the score of a case's entity was highest since its first alert, until its newest where that resolves it."""
    key = entity_key(Name(first.model, first.entity.kind, first.entity.id), profile.secret)
    last = newest.queries if newest.action == "resolve" else I64_MOST
    rows = reader.db.read(
        "SELECT point FROM tape WHERE key = ? AND n BETWEEN ? AND ? AND budget = 0 ORDER BY level DESC, n DESC LIMIT 1",
        *(key, first.queries, last),
    )
    return _POINT.decode(rows[0][0]) if rows else None


class _Told(NamedTuple):
    """The alerts of a case: its first, its newest that accuses, its newest."""

    first: Alert
    accusing: Alert
    newest: Alert


def _nearest(case_id: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(case_id, known, n=3, cutoff=0.0)
    return f"the nearest are {', '.join(close)}" if close else "no case is kept"


def counting(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The last verdict of each case."""
    last = {one.case_id: place for place, one in enumerate(verdicts)}
    return [one for place, one in enumerate(verdicts) if last[one.case_id] == place]


def holds(verdict: Verdict, now: float) -> bool:
    """Whether it has not expired at wall clock `now`."""
    return verdict.expires_at is None or now < verdict.expires_at


@contextmanager
def cases(folder: Path, profile: Profile) -> Iterator[Cases]:
    with closing(Cases(folder, profile)) as found:
        yield found


def say(folder: Path, profile: Profile, case_id: str, answer: Answer, *, by: str, note: str) -> list[str]:
    """The lines of `querywarden verdict`."""
    with cases(folder, profile) as found:
        found.say(case_id, answer, by=by, note=note, said_at=time.time())
        count = len(counting(found.verdicts()))
    return [f"Case {case_id}: {answer}, said by {by}. {count:,} cases are judged."]


def teach(folder: Path, profile: Profile, file: Path) -> list[str]:
    """The lines of `querywarden verdicts --teach`. Raises SettingsError for a file that is none of this profile's."""
    now, made = time.time(), []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            one = _MADE.decode(line)
        except msgspec.DecodeError as error:
            raise SettingsError(f"{file}, line {number}: {error}") from error
        if one.profile != profile.summary.id:
            raise SettingsError(
                f"{file}, line {number}: of profile {one.profile}, the settings name {profile.summary.id}"
            )
        answer: Answer = "honest" if one.truth == "honest" else "attack"
        made.append(
            Verdict(case_id=one.case_id, answer=answer, by=RANGE, note=one.truth, at=one.at, said_at=now,
                    profile=one.profile, evidence=one.evidence)
        )  # fmt: skip
    with cases(folder, profile) as found:
        found.teach(made)
    honest = sum(one.answer == "honest" for one in made)
    return [f"Taken: {len(made) - honest:,} made attacks, and {honest:,} made honest cases."]


def verdicts(folder: Path, profile: Profile) -> list[str]:
    """The lines of `querywarden verdicts`: all that were given, and which do not count any more."""
    with cases(folder, profile) as found:
        given = found.verdicts()
    count = counting(given)
    return [
        f"{one.at[:19]}Z case {one.case_id}: {one.answer}, said by {one.by}"
        f"{'' if one in count else ' (replaced)'}{f': {one.note}' if one.note else ''}"
        for one in given
    ] or ["No verdict was given."]


def waiting(folder: Path, profile: Profile, top: int) -> list[str]:
    """The lines of `querywarden cases`."""
    with cases(folder, profile) as found:
        open_cases = found.waiting()
    lines = [line for one in open_cases[:top] for line in _told_of(one)]
    if not open_cases:
        return ["No case is open."]
    if len(open_cases) > top:
        lines.append(f"{len(open_cases) - top:,} more are open.")
    if all(one.word is None for one in open_cases):
        lines.append(
            f"In the order of severity and score: triage needs {LEAST} verdicts of attacks and as many of others."
        )
    return lines


def _told_of(one: Open) -> Iterator[str]:
    alert = one.alert
    said = f"; judged {one.said.answer} by {one.said.by}" if one.said else ""
    yield (
        f"{alert.case_id} {alert.entity.kind} {alert.entity.id}: {alert.severity} {alert.kind}, score "
        f"{alert.score:.2f} after {alert.queries:,} queries, {alert.at[:19]}Z{said}"
    )
    if one.word:
        parts = ", ".join(
            f"{part.name} speaks for {'an attack' if part.decibans > 0 else 'honest'} ({part.decibans:+.0f} dB)"
            for part in one.word.because
        )
        yield f"     {one.word.probability:.0%} an attack, as {one.word.verdicts:,} verdicts say: {parts}"


def _place(one: Open) -> tuple[bool, float, int, float, str]:
    judged = one.said is not None and one.said.answer != "unsure"
    known = -one.word.probability if one.word else 0.0
    return judged, known, -SEVERITIES.index(one.alert.severity), -one.alert.score, one.alert.case_id


_POINT = msgspec.msgpack.Decoder(Point)
_MADE = msgspec.json.Decoder(Made)
_VERDICT = msgspec.msgpack.Decoder(Verdict)
