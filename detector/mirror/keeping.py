"""A mirror's two files: what is written in which order, so that after any crash the same records lead to the same.

What was told goes first, into the outbox, by ids that are known or not; then dead letters, by their places; then rows,
cases and points in one transaction with the places in the topics that they include. A crash in between repeats records
whose alerts and letters are known already.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from detector.cluster.folders import WORKERS, settle_mirror
from detector.entities import Name, entity_key
from detector.levels import TICK_US
from detector.mirror.forgetting import Forgotten
from detector.mirror.taking import Counted, Taken, with_held
from detector.policy import Dated
from detector.profile.artefact import Profile
from detector.run.lock import WriterLock
from detector.run.outbox import Outbox
from detector.run.store import Store

HANDED = "handed"  # of the extra that says of each partition the last number that was counted
HELD = "held "  # before an entity's key, of the extra that says which of its cases is held
DAY_US = 86_400_000_000


class Kept:
    """The store and the outbox in `folder`, which mirror the workers called `cluster`; the one writer of both.

    Raises StoreLocked when another process writes there, StoreError when the folder holds something else.
    """

    def __init__(self, folder: Path, *, cluster: str, profile: Profile, ids: str) -> None:
        """ids: how ids are kept (detector.pseudonyms.mark)."""
        model, of_profile = profile.summary.model, profile.summary.id
        self._model = model
        folder.mkdir(parents=True, exist_ok=True)
        self.outbox_path = folder / "outbox.sqlite"
        with ExitStack() as opened:
            opened.callback(WriterLock(self.outbox_path).release)
            self.store = opened.enter_context(
                closing(Store(folder / "state.sqlite", profile=of_profile, mirrors=cluster))
            )
            self.store.bind_ids(ids)
            self.outbox = opened.enter_context(closing(Outbox(self.outbox_path)))
            settle_mirror(self.outbox)
            self._opened = opened.pop_all()
        db = self.store.db
        with db.transaction("cannot be given a name") as writing:
            writing.execute("INSERT OR IGNORE INTO meta VALUES ('mirror', ?)", (uuid.uuid4().hex,))
        self.name = str(db.read("SELECT value FROM meta WHERE name = 'mirror'")[0][0])
        self.places = {str(stream): int(at) for stream, at in db.read("SELECT stream, next_offset FROM positions")}
        held = db.read("SELECT name, body FROM extras WHERE name GLOB ?", f"{HELD}*")
        self._held = {bytes.fromhex(name.removeprefix(HELD)): body.decode() for name, body in held}
        handed = self.store.saved_extra(HANDED)
        self._handed: dict[str, int] = msgspec.msgpack.decode(handed, type=dict[str, int]) if handed else {}
        self._journal = self.store.policies()
        self.forgotten = Forgotten(
            self.store, self.outbox, lambda kind, id_: entity_key(Name(model, kind, id_), profile.secret)
        )
        (newest,) = db.read("SELECT COALESCE(max(at), 0) FROM tape")[0]
        self.newest: int = newest  # log time of a point, microseconds

    def keep(self, taken: Taken, places: Mapping[str, int]) -> None:
        """Keeps what was taken, and where reading goes on; all of it is durable when it returns."""
        if taken.holds:
            self.outbox.hold(taken.holds)
        if taken.alerts:
            self.outbox.put(taken.alerts)
        if taken.letters:
            self.store.dead_letter(taken.letters)
        self.forgotten.note(taken.asked)
        self.forgotten.erase(taken.gone)
        rows = list(taken.named())
        self._held |= taken.held
        extras = {f"{HELD}{key.hex()}": held.encode() for key, held in taken.held.items()}
        extras |= taken.extras
        self.store.save(
            positions=places,
            rows=((one.key, one.row) for one in rows),
            names=((one.key, self._model, one.kind, one.id) for one in rows),
            cases=self._cases(taken),
            extras=extras,
            placed=taken.points,
            asked=self._asked(taken.counted, extras),
            forget=taken.gone,
            without_case=[key for key, case in taken.cases.items() if case is None],
        )
        self.places |= places
        self.newest = max(self.newest, taken.newest)

    def _asked(self, counted: Iterable[Counted], extras: dict[str, bytes]) -> Counter[int]:
        """Queries by tick; what a partition handed on twice (after a crash) counts once. Notes how far each is."""
        asked = Counter[int]()
        for one in counted:
            if one.number > self._handed.get(one.sender, 0):
                self._handed[one.sender] = one.number
                asked.update(one.asked)
        if asked:
            extras[HANDED] = msgspec.msgpack.encode(self._handed)
        return asked

    def _cases(self, taken: Taken) -> Iterator[tuple[bytes, bytes]]:
        for key in {**taken.cases, **taken.held}:
            body = taken.cases[key] if key in taken.cases else self._case(key)
            if body is not None:
                yield key, with_held(body, self._held.get(key, ""))

    def _case(self, key: bytes) -> bytes | None:
        """As it is kept; None where it has not come yet: which of an entity's cases is held may come before it."""
        found = self.store.db.read("SELECT body FROM cases WHERE key = ?", key)
        return found[0][0] if found else None

    def journal(self, policies: Sequence[Dated]) -> bool:
        """Has the journal say what the workers' says; True when it said something else. A policy that was decided later
        may hold from an earlier time: then what stood behind it is written anew.
        """
        known = self._journal
        if known == tuple(policies):
            return False
        same = next((i for i, (a, b) in enumerate(zip(known, policies, strict=False)) if a != b), len(known))
        new = [(dated.since, msgspec.msgpack.encode(dated.policy)) for dated in policies[same:]]
        with self.store.db.transaction("could not copy the journal of policies") as db:
            db.execute("DELETE FROM policies WHERE seq NOT IN (SELECT seq FROM policies ORDER BY seq LIMIT ?)", (same,))
            db.executemany("INSERT INTO policies(since, policy) VALUES (?, ?)", new)
        self._journal = tuple(policies)
        return True

    def prune(self, tape_days: int) -> None:
        """Drops what is too old: points by log time, alerts by the wall clock."""
        oldest = self.newest - tape_days * DAY_US
        self.store.prune_tape(oldest)
        self.store.prune_asked(oldest // TICK_US)
        self.outbox.prune([WORKERS])

    def keep_only(self, keys: Collection[bytes]) -> None:
        """Forgets all others, of whom no row is left in the topics."""
        gone = [key for (key,) in self.store.db.read("SELECT key FROM rows") if key not in keys]
        if gone:
            self.forgotten.erase(gone)
            self.store.save(positions={}, rows=(), forget=gone)

    def note(self, name: str, body: bytes) -> None:
        self.store.save(positions={}, rows=(), extras={name: body})

    def close(self) -> None:
        self._opened.close()
