"""A library that repeats itself is heard once a minute; what we say is always heard."""

from __future__ import annotations

import logging

from detector.cluster.quiet import AGAIN_S, Quiet


def record(name: str, sentence: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, sentence, values, None)


def test_a_sentence_of_a_library_is_heard_again_after_a_while() -> None:
    now = [0.0]
    quiet = Quiet(lambda: now[0])
    heard = []
    for at in (0.0, 1.0, AGAIN_S - 1, AGAIN_S, AGAIN_S + 1):
        now[0] = at
        heard.append(quiet.filter(record("aiokafka.conn", "broker %s is away", at)))
    assert heard == [True, False, False, True, False]
    assert quiet.filter(record("aiokafka.conn", "another"))


def test_what_we_say_is_always_heard() -> None:
    quiet = Quiet(lambda: 0.0)
    assert all(quiet.filter(record("detector.run", "again")) for _ in range(3))
