"""What is kept in memory of a store, for all threads: a value that is made anew when the detector saved something."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from detector.alert import Alert
from detector.dashboard.reading.casing import Casing, Told
from detector.dashboard.reading.levels import Standing, standing
from detector.dashboard.reading.people import People, people_of
from detector.dashboard.reading.taping import Taping
from detector.dashboard.whatif.columns import Columns
from detector.errors import StoreError
from detector.learned.triage import Answer
from detector.policy import Dated
from detector.profile.artefact import Profile
from detector.run.outbox import Outbox
from detector.run.store import Reader
from detector.run.verdicts import NOBODY, Verdict, counting, holds

CHECK_S = 0.5  # a store is not asked more often whether it changed
REST = 20.0  # rows of all entities are read again after so many times as long as that took


class Files:
    """The two files of a store. A connection belongs to one thread, so each call has its own: a millisecond."""

    def __init__(self, folder: Path, profile: Profile) -> None:
        self.folder = folder
        with self.state() as reader:
            bound = reader.profile()
        if bound != profile.summary.id:
            raise StoreError(f"{folder} holds rows of profile {bound}, the settings name {profile.summary.id}")

    @contextmanager
    def state(self) -> Iterator[Reader]:
        with closing(Reader(self.folder / "state.sqlite")) as reader:
            yield reader

    @contextmanager
    def outbox(self) -> Iterator[Outbox]:
        with closing(Outbox(self.folder / "outbox.sqlite")) as outbox:
            yield outbox

    @property
    def size(self) -> int:
        """Bytes of all that belongs to the store."""
        return sum(path.stat().st_size for path in self.folder.glob("*.sqlite*"))


@dataclass(frozen=True)
class View:
    """hands: of a client, the groups and rings whose points name it. told: cases, by id; mine: by entity (level, id),
    its cases in the order in which they were opened; moved: alerts on the population. verdicts: those that count, by
    case and by the entity's key; given: all. marks: see `marks_of`.
    """

    columns: Columns
    hands: Callable[[str], list[tuple[str, str]]]
    people: People
    journal: tuple[Dated, ...]
    standing: Standing
    told: Mapping[str, Told]
    mine: Mapping[tuple[str, str], Sequence[str]]
    moved: Sequence[Alert]
    verdicts: Mapping[str, Verdict]
    given: Sequence[Verdict]
    of_key: Mapping[bytes, Sequence[Verdict]]
    marks: tuple[str, ...]

    def open_case(self, kind: str, id_: str) -> Told | None:
        """The newest case of an entity that is not resolved."""
        cases = (self.told[case] for case in reversed(self.mine.get((kind, id_), ())))
        return next((told for told in cases if told.accused and told.state != "resolved"), None)

    def said(self, key: bytes, now: float) -> Answer | None:
        """The newest verdict on an entity that holds at wall clock `now`."""
        return next((one.answer for one in reversed(self.of_key.get(key, ())) if holds(one, now)), None)

    def answers(self, now: float) -> dict[bytes, Answer]:
        found = ((key, self.said(key, now)) for key in self.of_key)
        return {key: answer for key, answer in found if answer is not None}


class Views:
    """Makes views. Whoever asks while another thread makes one is given the one of before."""

    def __init__(self, files: Files, profile: Profile, tape_days: int, check_s: float = CHECK_S) -> None:
        self.files = files
        self._profile, self._check_s = profile, check_s
        self._taping, self._casing = Taping(tape_days), Casing()
        self._lock = threading.Lock()
        self._view: View | None = None
        self._checked = 0.0
        self._rows: tuple[object, ...] = ()
        self._people_due = 0.0

    def now(self) -> View:
        """The newest view."""
        view = self._view
        if view is not None and (time.monotonic() - self._checked < self._check_s or self._lock.locked()):
            return view
        with self._lock:
            if self._view is None or time.monotonic() - self._checked >= self._check_s:
                self._view = self._made(self._view)
                self._checked = time.monotonic()
            return self._view

    def stale(self) -> None:
        """The next who asks is given a new view."""
        self._checked = 0.0

    def _made(self, before: View | None) -> View:
        with self.files.state() as reader, self.files.outbox() as outbox:
            marks = marks_of(reader, outbox)
            if before is not None and marks == before.marks and self._rows == rows_of(reader):
                return before
            self._taping.refresh(reader.db)
            self._casing.refresh(outbox)
            journal = reader.policies()
            given = [(key, _VERDICT.decode(body)) for key, body in reader.db.read(VERDICTS)]
            people = self._people(reader, None if before is None else before.people)
            verdicts = {one.case_id: one for one in counting([one for _, one in given])}
            of_key: dict[bytes, list[Verdict]] = {}
            for key, one in given:
                if key != NOBODY and verdicts[one.case_id] is one:
                    of_key.setdefault(key, []).append(one)
            return View(
                columns=self._taping.columns,
                hands=self._taping.gathering.hands,
                people=people,
                journal=journal,
                standing=standing(reader, journal),
                told=self._casing.told,
                mine=self._casing.mine,
                moved=self._casing.moved,
                verdicts=verdicts,
                given=[one for _, one in given],
                of_key=of_key,
                marks=marks,
            )

    def _people(self, reader: Reader, before: People | None) -> People:
        rows = rows_of(reader)
        if before is not None and (rows == self._rows or time.monotonic() < self._people_due):
            return before
        began = time.monotonic()
        found = people_of(reader.db, self._profile)
        self._rows = rows
        self._people_due = time.monotonic() + REST * (time.monotonic() - began)
        return found


VERDICTS = "SELECT key, body FROM verdicts ORDER BY seq"


def rows_of(reader: Reader) -> tuple[object, ...]:
    """What changes with every snapshot that changed rows."""
    read = reader.db.read
    return (
        *read("SELECT sum(next_offset), count(*) FROM positions")[0],
        *read("SELECT count(*) FROM forgettings WHERE state = 'done'")[0],
        *read("SELECT max(rowid) FROM rows")[0],
    )


def marks_of(reader: Reader, outbox: Outbox) -> tuple[str, ...]:
    """What changes with the alerts, the policies, the tape and verdicts."""
    state, box = reader.db.read, outbox.db.read
    alerts = box(
        "SELECT (SELECT max(seq) FROM outbox), (SELECT count(*) FROM outbox WHERE payload IS NULL),"
        " (SELECT max(rowid) FROM sink_dead_letters), (SELECT count(*) FROM sink_dead_letters)"
    )[0]
    policy = state(
        "SELECT (SELECT max(seq) FROM policies), (SELECT max(id) FROM requests),"
        " (SELECT count(*) FROM requests WHERE state = 'waiting')"
    )[0]
    tape = state(
        "SELECT (SELECT max(rowid) FROM tape), (SELECT count(*) FROM forgettings WHERE state = 'done'),"
        " (SELECT sum(next_offset) FROM positions)"
    )[0]
    verdicts = state("SELECT max(seq), count(*) FROM verdicts")[0]
    return tuple(".".join(map(str, one)) for one in (alerts, policy, tape, verdicts))


_VERDICT = msgspec.msgpack.Decoder(Verdict)
