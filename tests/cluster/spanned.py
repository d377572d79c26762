"""A log in which everything happens that spans clients, and a profile of a service so busy that storms are rare."""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

import msgspec

from detector.logs.native import decode_many
from detector.profile.artefact import Profile
from detector.settings import Settings, settings_of
from tests import people

SOURCES = 3
SINCE = 14 * people.DAY_US  # behind the log that was fitted: days of the population close
STORM_AT = people.START_US + SINCE + 5 * people.DAY_US
BELL_AT = people.START_US + SINCE + 13 * people.DAY_US


def settings() -> Settings:
    source = {"type": "kafka", "brokers": ["127.0.0.1:9"], "topic": "t"}
    return settings_of({"source": source, "policy": {"thresholds": {"ring": {"medium": 1.0}}}})


def busy(profile: Profile) -> Profile:
    """Of a service so busy that some openings an hour are to be expected: how many were asked decides on a storm."""
    return replace(profile, summary=msgspec.structs.replace(profile.summary, promise=1.0, clients=1, queries=45))


def log() -> list[bytes]:
    """Honest clients and their groups, thieves, a crowd that makes a storm, a line that nobody can read; at last a bell
    of each source, by which all ticks close.
    """
    honest = [q._replace(at=q.at + SINCE) for q in people.honest(2, 14, volume=30)]
    storm = [
        q._replace(group=f"g{i % 4}")
        for i in range(14)
        for q in people.noise(f"m{i}", seed=i, n=12, at=STORM_AT + i * people.MINUTE_US)
    ]
    thieves = [
        *people.noise("thief", n=60, at=STORM_AT - people.DAY_US),
        *dealt(people.children("second", n=400, at=STORM_AT + 60 * people.MINUTE_US), 20),
    ]
    bells = [q._replace(client=f"bell-{i}", at=BELL_AT) for i in range(SOURCES) for q in people.honest(9, 1)[:1]]
    lines = people.log_of(people.in_order([*honest, *storm, *thieves]))
    return [*lines[:200], b"{", *lines[200:], *people.log_of([bell._replace(group=None) for bell in bells])]


def dealt(asked: list[people.Asked], accounts: int) -> list[people.Asked]:
    """One hand behind so many accounts."""
    return [q._replace(client=f"r{i % accounts}", group=f"g{i % 3}") for i, q in enumerate(asked)]


def shared(log: list[bytes]) -> list[list[bytes]]:
    """A client's records are in one stream, and each stream is in the order of time."""
    streams: list[list[bytes]] = [[] for _ in range(SOURCES)]
    for line in log:
        queries, _, _ = decode_many([line])
        client = (queries[0].client or "") if queries else ""
        place = int(client[-1]) if client.startswith("bell") else crc32(client.encode()) % SOURCES
        streams[place].append(line)
    return streams
