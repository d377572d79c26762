"""What is kept in memory of a store, for all threads: a value that is made anew when the detector saved something."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from detector.alert import Alert
from detector.dashboard.reading.casing import Casing, Told
from detector.dashboard.reading.levels import Standing, standing
from detector.dashboard.reading.people import People, people_of
from detector.dashboard.reading.tapes import Tape
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
    """Makes views. Whoever asks is given the newest that is ready: what the detector saved since is read beside.

    check_s: seconds after which a store is asked again; 0: whoever asks waits for it.
    """

    def __init__(self, files: Files, profile: Profile, tape: Tape, check_s: float = CHECK_S) -> None:
        self.files = files
        self._profile, self._check_s = profile, check_s
        self._taping, self._casing = Taping(tape, profile.kit.signals), Casing()
        self._lock = threading.Lock()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="books")
        self._pending: Future[None] | None = None
        self._view: View | None = None
        self._stale = False
        self._due = 0.0
        self._rows: tuple[object, ...] = ()
        self._scan_due = 0.0

    def now(self) -> View:
        """The newest view. Raises StoreError, also that of a reading that went on beside."""
        view = self._view
        if view is None or self._stale or self._check_s == 0.0:
            return self._read(scan=view is None or self._check_s == 0.0)
        if self._pending is not None and self._pending.done():
            pending, self._pending = self._pending, None
            pending.result()
        if self._pending is None and time.monotonic() >= self._due:
            self._due = time.monotonic() + self._check_s
            self._pending = self._beside.submit(self._again)
        return view

    def stale(self) -> None:
        """Something was written here: the next who asks waits for it."""
        self._stale = True

    def close(self) -> None:
        self._beside.shutdown(cancel_futures=True)

    def _again(self) -> None:
        self._read(scan=False)
        with self.files.state() as reader:
            rows = rows_of(reader)
            if rows == self._rows or time.monotonic() < self._scan_due:
                return
            people = self._scanned(reader, rows)  # takes long: nobody waits for it
        with self._lock:
            assert self._view is not None
            self._view = replace(self._view, people=people)

    def _read(self, *, scan: bool) -> View:
        with self._lock, self.files.state() as reader, self.files.outbox() as outbox:
            self._stale = False
            view, marks, rows = self._view, marks_of(reader, outbox), rows_of(reader)
            people = view.people if view else None
            if people is None or (scan and rows != self._rows):
                people = self._scanned(reader, rows)
            if view is None or marks != view.marks or people is not view.people:
                view = self._view = self._made(reader, outbox, people, marks)
            return view

    def _scanned(self, reader: Reader, rows: tuple[object, ...]) -> People:
        began = time.monotonic()
        found = people_of(reader.db, self._profile)
        self._rows = rows
        self._scan_due = time.monotonic() + REST * (time.monotonic() - began)
        return found

    def _made(self, reader: Reader, outbox: Outbox, people: People, marks: tuple[str, ...]) -> View:
        self._taping.refresh()
        self._casing.refresh(outbox)
        journal = reader.policies()
        given = [(key, _VERDICT.decode(body)) for key, body in reader.db.read(VERDICTS)]
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
