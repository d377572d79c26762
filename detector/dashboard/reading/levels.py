"""What is calibrated of each level, by the model that is in force, and what is said beside each of its thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from detector.dashboard.shapes import LevelWord, SignalWord
from detector.dashboard.whatif.promised import Calibrated, words_of
from detector.learned.successor import Successor
from detector.policy import Dated
from detector.profile.artefact import PRESUMED, Level, Profile
from detector.profile.report import span
from detector.profile.succession import name_of, thresholds_of
from detector.reasons import rfc3339
from detector.run.judge import POPULATION
from detector.run.store import Reader
from detector.run.successors import PREFIX, kept_in


class _Watched(msgspec.Struct):
    void_since: int | None = None


class _Population(msgspec.Struct):
    """Of detector.learned.population.Settled what is looked at here: the rest is large."""

    watch: _Watched


class Standing(msgspec.Struct, frozen=True):
    """successor: of the one-class model, that took over last; void_since: log time from which the promise is void."""

    successor: Successor | None = None
    void_since: str | None = None


def standing(reader: Reader, journal: Sequence[Dated]) -> Standing:
    names = [one.policy.version.removeprefix(PREFIX) for one in journal if one.policy.version.startswith(PREFIX)]
    found = None
    if names:
        found = next((one for one in kept_in(reader) if name_of(one) == names[-1]), None)
    body = reader.saved_extra(POPULATION)
    void = msgspec.msgpack.decode(body, type=_Population).watch.void_since if body else None
    return Standing(found, None if void is None else rfc3339(void)[:10])


def calibrated(profile: Profile, of: Standing) -> dict[str, Calibrated]:
    """By level."""
    found = {}
    for level in profile.summary.levels:
        suprema, excluded, state = profile.suprema[level.kind], level.excluded, profile.summary.state
        fixed = profile.summary.policy.thresholds.get(level.kind, ())
        if level.kind == "client" and of.successor is not None:
            suprema, excluded = np.array(of.successor.suprema, np.int64), of.successor.threshold.excluded
            fixed, state = thresholds_of(profile, of.successor), PRESUMED
        found[level.kind] = Calibrated(
            level=level.kind,
            suprema=suprema,
            excluded=excluded,
            confidence=profile.summary.confidence,
            horizon=span(profile.summary.horizon),
            fixed=tuple(one.score for one in fixed),
            unit=_plural(level),
            words=words_of(state, PRESUMED, of.void_since, level.note),
        )
    return found


def _plural(level: Level) -> str:
    kind = level.kind.partition(":")[0]
    return "entities" if kind.endswith(("y", "s")) else f"{kind}s"


def level_words(profile: Profile, of: Standing, entities: dict[str, int]) -> tuple[LevelWord, ...]:
    """entities: by level, how many are known."""
    known = calibrated(profile, of)
    found = []
    for level in profile.summary.levels:
        threshold, low, high = level.threshold, level.low, level.high
        if level.kind == "client" and of.successor is not None:
            threshold, low, high = of.successor.threshold.score, of.successor.threshold.low, of.successor.threshold.high
        one = known[level.kind]
        found.append(
            LevelWord(
                level=level.kind,
                share=level.share,
                low=low,
                high=high,
                calibrated=len(one.suprema),
                smallest=one.smallest,
                threshold=threshold,
                entities=entities.get(level.kind, 0),
                note=level.note,
            )
        )
    return tuple(found)


def signal_words(profile: Profile) -> tuple[SignalWord, ...]:
    """The share of honest queries, which belongs to an entity's evidence, is `most` of them here."""
    return tuple(SignalWord(one.name, _usual(one.low), _usual(one.high), one.alone) for one in profile.kit.signals)


def _usual(sentence: str) -> str:
    return sentence.replace("{honest} of", "most").replace("{honest}", "most")
