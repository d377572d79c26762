"""How the detector stands: what its port says just now, and what the store says whether it runs or not."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import NamedTuple

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from detector.alert import Alert
from detector.dashboard.reading.casing import at_us
from detector.dashboard.shapes import Drift, HealthWord, Letters, SinkHealth
from detector.profile.succession import name_of
from detector.query import DeadLetter
from detector.run.outbox import HELD, Outbox
from detector.run.store import Reader
from detector.run.successors import kept_in, told_side

VERSION = version("querywarden")
WAIT_S = 1.0
MOST_BYTES = 4 * 2**20  # of an answer
LETTERS = 2_000  # dead letters that are looked at
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  # where it listens is not where to ask
AWAY = "away"


class Ready(msgspec.Struct, frozen=True):
    """The answer of /readyz (detector.run.telemetry)."""

    state: str = ""
    reasons: tuple[str, ...] = ()
    queries_per_s: float | None = None
    lag_s: float | None = None


class Found(NamedTuple):
    """What the port said. numbers: the value of each sample, by name and sorted labels."""

    ready: Ready
    numbers: Mapping[tuple[str, tuple[tuple[str, str], ...]], float]

    def value(self, name: str, **labels: str) -> float | None:
        return self.numbers.get((name, tuple(sorted(labels.items()))))

    def by(self, name: str, label: str) -> dict[str, float]:
        return {
            dict(labels)[label]: value for (of, labels), value in self.numbers.items() if of == name and dict(labels)
        }


def asked(host: str, port: int) -> Found | None:
    """None where nobody answers, or something that is no querywarden: which is a state, not an error."""
    if port == 0:
        return None
    connection = http.client.HTTPConnection(EVERYWHERE.get(host, host), port, timeout=WAIT_S)
    try:
        ready = _DECODER.decode(_got(connection, "/readyz"))
        families = text_string_to_metric_families(_got(connection, "/metrics").decode())
        samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): float(sample.value)
            for family in families
            for sample in family.samples
        }
    except (OSError, http.client.HTTPException, msgspec.MsgspecError, ValueError):
        return None
    finally:
        connection.close()
    return Found(ready, samples)


def _got(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read(MOST_BYTES)


def health(
    found: Found | None,
    reader: Reader,
    outbox: Outbox,
    moved: Sequence[Alert],
    *,
    entities: int,
    points: int,
    store_bytes: int,
    watermark_at: int | None,
    seen_at: float | None,
) -> HealthWord:
    """moved: alerts on the population; seen_at: wall clock, when the detector answered last."""
    records = _count(found, "querywarden_records_total")
    without = _count(found, "querywarden_records_without_identity_total")
    watermark = found.value("querywarden_watermark_timestamp_seconds") if found else None
    return HealthWord(
        reachable=found is not None,
        state=found.ready.state if found else AWAY,
        reasons=found.ready.reasons if found else (),
        version=VERSION,
        lag_s=found.ready.lag_s if found else None,
        rate=found.ready.queries_per_s if found else None,
        records=records,
        queries=_count(found, "querywarden_queries_total"),
        without_identity=without / records if records and without is not None else None,
        letters=_letters(reader.dead_letters(LETTERS), found),
        sinks=_sinks(outbox, found),
        drift=(*_drifted(moved), *_proposed(reader)),
        entities=entities,
        store_bytes=store_bytes,
        tape_points=points,
        watermark_at=int(watermark * 1e6) if watermark else watermark_at,
        seen_at=seen_at,
    )


def _count(found: Found | None, name: str) -> int | None:
    value = found.value(name) if found else None
    return None if value is None else int(value)


def _letters(kept: Iterable[DeadLetter], found: Found | None) -> tuple[Letters, ...]:
    """By reason, as the detector counted since it began; where it is away, of the newest that are kept."""
    examples: dict[str, DeadLetter] = {}
    counts: Counter[str] = Counter()
    for letter in kept:
        examples.setdefault(letter.reason, letter)
        counts[letter.reason] += 1
    if found is not None:
        counts |= Counter({reason: int(value) for reason, value in found.by(LETTERS_NAME, "reason").items()})
    return tuple(
        Letters(reason, count, _example(examples[reason]) if reason in examples else "")
        for reason, count in counts.most_common()
    )


LETTERS_NAME = "querywarden_dead_letters_total"


def _example(letter: DeadLetter) -> str:
    return f"{letter.stream}, record {letter.offset:,}: {letter.message}"


def _sinks(outbox: Outbox, found: Found | None) -> tuple[SinkHealth, ...]:
    states = {}
    if found is not None:
        for (name, labels), value in found.numbers.items():
            if name == "querywarden_sink_state" and value == 1.0:
                states[dict(labels)["sink"]] = dict(labels)["state"]
    rows = outbox.db.read("SELECT sink, last_ack FROM sink_positions WHERE sink != ? ORDER BY sink", HELD)
    return tuple(SinkHealth(sink, states.get(sink, AWAY), outbox.backlog(sink), last) for sink, last in rows)


def _drifted(moved: Sequence[Alert]) -> Iterable[Drift]:
    """The newest first. A storm has a resolve; a drift and a void promise ask for a new profile."""
    for alert in reversed(moved):
        proposal = "" if alert.action == "resolve" or alert.threshold else "Fit the profile anew."
        yield Drift(at_us(alert), alert.message, proposal, "", "")


def _proposed(reader: Reader) -> Iterable[Drift]:
    for one in reversed(kept_in(reader)):
        name = name_of(one)
        proposal = " ".join(
            [
                f"Approve it with: querywarden successor --config FILE --approve {name}.",
                *(f"{why}." for why in one.why_not),
            ]
        )
        text = f"Successor {name} of the one-class model, of the epoch that closed."
        yield Drift(one.closed_at, text, proposal, told_side(one.before), told_side(one.after))


_DECODER = msgspec.json.Decoder(Ready)
