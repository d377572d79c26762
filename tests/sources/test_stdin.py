"""Standard input."""

from __future__ import annotations

import os

from detector.sources.stdin import StdinSettings, StdinSource
from tests.sources.clock import HandClock


def test_lines_come_as_they_are_written_and_the_last_needs_no_newline() -> None:
    reading, writing = os.pipe()
    source = StdinSource(StdinSettings(batch_size=2), run_id="run", fd=reading, clock=HandClock())
    source.open({"stdin:other": 5})
    assert source.read(0.0) == []
    os.write(writing, b"a\nbb\nc\nd")
    chunks = source.read(5.0) + source.read(5.0)
    assert [(chunk.payloads, chunk.offsets, chunk.next_offset) for chunk in chunks] == [
        ([b"a", b"bb"], [0, 2], 5),
        ([b"c"], [5], 7),
    ]
    assert source.lag() == {"stdin:run": 1}
    os.close(writing)
    (last,) = source.read(5.0)
    assert (last.payloads, last.next_offset) == ([b"d"], 8)
    assert source.exhausted
    assert source.streams() == []
    os.close(reading)


def test_each_run_is_a_stream_of_its_own() -> None:
    assert StdinSettings().connect().streams() != StdinSettings().connect().streams()
