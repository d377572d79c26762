"""A process killed in the middle of put and save: what it had promised is there, and a replay fills the rest."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from detector.run.outbox import Outbox
from detector.run.store import Store
from tests.run.made import alert, key

ROWS = 300
CHILD = f"""
import sys
from detector.run.outbox import Outbox
from detector.run.store import Store
from tests.run.made import alert, key

store, outbox = Store(sys.argv[1] + "/s.db", profile="p"), Outbox(sys.argv[1] + "/o.db")
pragmas = [db.connection.execute("PRAGMA " + name).fetchone()[0]
           for db in (store.db, outbox.db) for name in ("synchronous", "journal_mode")]
print(*pragmas, flush=True)
at = store.load().positions.get("log", 0)
while True:
    at += 1
    outbox.put([alert(at)])
    print("put", at, flush=True)
    row = at.to_bytes(8, "little") * 512
    store.save(positions={{"log": at}}, rows=[(key(n), row) for n in range({ROWS})])
    print("saved", at, flush=True)
"""


@pytest.mark.parametrize("rounds", [3])
def test_killed_at_any_moment_it_keeps_its_promises(tmp_path: Path, rounds: int) -> None:
    for round_ in range(rounds):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(9)]
        assert said[0] == "2 wal 2 wal\n"  # 2 is FULL: what a power cut needs, and cannot be tested here
        time.sleep(0.003 * round_)  # another moment each round
        child.send_signal(signal.SIGKILL)
        said += child.communicate(timeout=20)[0].splitlines()
        put, saved = _last(said, "put"), _last(said, "saved")
        store, outbox = Store(tmp_path / "s.db", profile="p"), Outbox(tmp_path / "o.db")
        for database in (store.db, outbox.db):
            assert database.read("PRAGMA integrity_check") == [("ok",)]
        state = store.load()
        at = state.positions["log"]
        assert at >= saved
        assert {row for _, row in state.rows} == {at.to_bytes(8, "little") * 512}, "rows and position disagree"
        ids = [waiting.alert.id for waiting in outbox.undelivered("any", after=0, limit=10_000)]
        assert ids == [alert(n + 1).id for n in range(len(ids))]
        assert len(ids) >= max(put, at)
        assert outbox.put([alert(n) for n in range(at + 1, len(ids) + 1)]) == 0, "a replay added something"
        assert len(list(store.load().rows)) == ROWS
        assert store.row(key(0)) is not None
        store.close()
        outbox.close()


def _last(said: list[str], what: str) -> int:
    return max(int(line.split()[1]) for line in said if line.startswith(what + " ") and line.split()[1:])
