"""How one prompt follows from those before: what people ask next depends on what they asked; a sweep is a shuffled set.

Remembers meaning and form of the last RECENT prompts and of a uniform sample of all older ones. `order` is a test of
exchangeability, one prompt at a time: how much the prompt has in common with the latest, against what it has in common
with all that are remembered, put in SHUFFLES random orders. Where a set is shuffled, its place among these is any,
whatever the set is; people stay with their matter, their manner and the length of answers that they want. `hand` is the
same test of form alone, `sense` of meaning alone: who sorts a set by what it means has shuffled how it is written.

Sees: sweeps of others' prompts, instruction sets, loose sentences, word salad, sets of one topic (nothing follows);
sweeps by templates (all begin alike).
Misses: whoever replays whole conversations, or sorts a set so that like follows like in meaning and in form.
Innocent: backends that ask for many people in turn; batch jobs over documents. The three tests alone may accuse; the
others corroborate (Signal.alone), since honest people differ in them as much as attackers do: two in a hundred have
templates of their own.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from detector.query import Batch
from features.chance import draw, share
from features.contract import DIMS, Feature, Field, Learned, Rows, Signal, nothing_to_learn, stage_of

RECENT = 12
SAMPLE = 20
MEMORY = RECENT + SAMPLE
LATELY = 6  # prompts that are not yet old
UNIT = 127.0  # length of a remembered direction
FEWEST = 3  # remembered, beside the latest, for an order to be seen
SHUFFLES = 31
FADING = np.exp(-np.arange(RECENT) / 4.0)  # weight of the latest, the one before ...
MANNER = 0.3  # weight of form against meaning

# Columns of Batch.form that make a form, and how many steps of the memory are one of it. Shares by their roots, since
# most are small. A step is some hundredth of what prompts differ by.
COLUMNS = np.array([0, 2, 3, 4, 5, 6, 7, 8, 9, 13])
STEPS = np.array([15.0, 200.0, 250.0, 200.0, 200.0, 100.0, 120.0, 20.0, 30.0, 15.0])
ROOT = np.array([False, True, True, True, True, True, True, False, False, False])
KEPT = len(COLUMNS)
APART = 250.0  # steps that two forms are apart, all columns together, to count as one unlikeness
FIRST, LAST = 11, 12
HAND, SENSE, LAG, LOCAL = range(7, 11)  # places among SIGNALS

HIDES = "sweeps of many prompts"


def _signal(what: str, low: str, high: str, *, staged: bool = True, alone: bool = False, even: bool = False) -> Signal:
    return Signal(
        f"follow.{what}", staged=staged, additive=False, low=low, high=high, hides=HIDES, alone=alone, even=even
    )


SIGNALS = (
    _signal(
        "order",
        "follow less from the prompts just before than {honest} of honest prompts do (as in a shuffled set)",
        "follow more from the prompts just before than {honest} of honest prompts do",
        staged=False,
        alone=True,
        even=True,
    ),
    _signal(
        "step",
        "have less to do with the prompt before than {honest} of honest prompts",
        "have more to do with the prompt before than {honest} of honest prompts",
        staged=False,
    ),
    _signal(
        "nearest",
        "have less to do with any earlier prompt than {honest} of honest prompts",
        "vary an earlier prompt more closely than {honest} of honest prompts",
    ),
    _signal(
        "far",
        "lie farther from what it mostly asks than {honest} of honest prompts",
        "lie closer to what it mostly asks than {honest} of honest prompts",
    ),
    _signal(
        "manner",
        "are written more like what it mostly asks than {honest} of honest prompts",
        "are written less like what it mostly asks than {honest} of honest prompts",
    ),
    _signal(
        "opening",
        "begin unlike its earlier prompts, more than {honest} of honest prompts",
        "begin with the words of more of its earlier prompts than {honest} of honest prompts (as a template does)",
    ),
    _signal(
        "closing",
        "end unlike its earlier prompts, more than {honest} of honest prompts",
        "end with the word of more of its earlier prompts than {honest} of honest prompts (as a template does)",
    ),
    _signal(
        "hand",
        "are written less like the prompts just before than {honest} of honest prompts are (as in a shuffled set)",
        "are written more like the prompts just before than {honest} of honest prompts are",
        staged=False,
        alone=True,
        even=True,
    ),
    _signal(
        "sense",
        "mean less of what the prompts just before meant than {honest} of honest prompts (as in a shuffled set)",
        "mean more of what the prompts just before meant than {honest} of honest prompts (as in a sorted set)",
        staged=False,
        alone=True,
        even=True,
    ),
    _signal(
        "lag",
        "come nearest to a later one of the prompts before than {honest} of honest prompts (as in a sorted set)",
        "come nearest to an earlier one of the prompts before than {honest} of honest prompts",
    ),
    _signal(
        "local",
        "stand out less from what it mostly asks, beside the prompt before, than {honest} of honest prompts",
        "stand closer to the prompt before, and farther from the others, than {honest} of honest prompts",
    ),
)

FIELDS = (
    Field("follow_seen", "<u4"),
    Field("follow_x", "|i1", (MEMORY, DIMS)),  # slots 0 .. RECENT-1: the ring of the last; then the sample
    Field("follow_form", "|u1", (MEMORY, KEPT)),
    Field("follow_words", "<u2", (MEMORY, 2)),
)


def measure(batch: Batch, rows: Rows, learned: Learned, values: NDArray[np.float64], stages: NDArray[np.int8]) -> None:
    _follow(batch.slots, batch.x, batch.form, rows, values, stages)


@numba.njit(cache=True)
def _follow(slots, x, form, rows, values, stages):  # type: ignore[no-untyped-def]
    alike, apart, age = np.empty(MEMORY), np.empty(MEMORY), np.empty(MEMORY, np.int64)
    point, mine = np.empty(DIMS, np.int8), np.empty(KEPT, np.uint8)
    for i in range(slots.size):
        row = rows[slots[i]]
        seen = np.int64(row.follow_seen)
        _direction(x[i], point)
        _manner(form[i], mine)
        first, last = np.uint16(form[i, FIRST]), np.uint16(form[i, LAST])
        filled = _compare(row, point, mine, seen, alike, apart, age)
        values[i, :] = np.nan
        stages[i, :] = stage_of(seen)
        stages[i, :2] = 0
        stages[i, HAND : SENSE + 1] = 0
        if filled > 0:
            chance = share(row.salt, seen)
            latest = (seen - 1) % RECENT
            values[i, 1] = alike[latest]
            values[i, 2] = alike[:filled].max()
            values[i, 5] = _shared(row.follow_words, 0, first, filled) + 1e-3 * chance
            values[i, 6] = _shared(row.follow_words, 1, last, filled) + 1e-3 * chance
            _old(age, filled, alike, apart, values[i])
            nearest = np.argmax(alike[:filled])
            values[i, LAG] = age[nearest] + chance
            values[i, LOCAL] = values[i, 1] - values[i, 3]
            if filled > FEWEST:
                _orders(alike, apart, age, filled, row.salt, seen, chance, values[i])
        _remember(row, point, mine, first, last, seen)
        row.follow_seen += 1


@numba.njit(cache=True)
def _direction(point, found):  # type: ignore[no-untyped-def]
    length = 0.0
    for d in range(DIMS):
        length += np.float64(point[d]) * np.float64(point[d])
    shrink = UNIT / np.sqrt(length) if length > 0.0 else 0.0
    for d in range(DIMS):
        found[d] = np.int8(np.rint(np.float64(point[d]) * shrink))


@numba.njit(cache=True)
def _manner(form, mine):  # type: ignore[no-untyped-def]
    for d in range(KEPT):
        value = form[COLUMNS[d]]
        if ROOT[d]:
            value = np.sqrt(value)
        mine[d] = np.uint8(min(np.rint(STEPS[d] * value), 255.0)) if value > 0.0 else np.uint8(0)  # 0 of NaN too


@numba.njit(cache=True)
def _compare(row, point, mine, seen, alike, apart, age):  # type: ignore[no-untyped-def]
    """Likeness in meaning, -1 .. 1, and unlikeness in form to each that is remembered, and how many prompts ago it was;
    of the sample, RECENT + 1. Returns how many are remembered: slots fill from the first.
    """
    filled = min(seen, MEMORY)
    for j in range(filled):
        dot, steps = np.int64(0), np.int64(0)
        for d in range(DIMS):
            dot += np.int64(point[d]) * np.int64(row.follow_x[j, d])
        for d in range(KEPT):
            steps += abs(np.int64(mine[d]) - np.int64(row.follow_form[j, d]))
        alike[j] = dot / (UNIT * UNIT)
        apart[j] = steps / APART
        age[j] = (seen - 1 - j) % RECENT + 1 if j < RECENT else RECENT + 1
    return filled


@numba.njit(cache=True)
def _shared(words, which, word, filled):  # type: ignore[no-untyped-def]
    found = 0
    for j in range(filled):
        found += words[j, which] == word
    return found / filled


@numba.njit(cache=True)
def _old(age, filled, alike, apart, values):  # type: ignore[no-untyped-def]
    """Median likeness to those that are older than LATELY, in meaning and in form."""
    near, far = np.empty(MEMORY), np.empty(MEMORY)
    olds = 0
    for j in range(filled):
        if age[j] > LATELY:
            near[olds], far[olds] = alike[j], apart[j]
            olds += 1
    if olds > 0:
        values[3] = np.median(near[:olds])
        values[4] = np.median(far[:olds])


@numba.njit(cache=True)
def _orders(alike, apart, age, filled, salt, seen, chance, values):  # type: ignore[no-untyped-def]
    """The places, 0 .. 1, of what the prompt has in common with the latest among SHUFFLES orders drawn at random: in
    meaning and form together (`order`), in form alone (`hand`), in meaning alone (`sense`).
    """
    recent = min(filled, RECENT)
    sense, hand = 0.0, 0.0
    for j in range(recent):
        sense += FADING[age[j] - 1] * alike[j]
        hand -= FADING[age[j] - 1] * apart[j]
    both = sense + MANNER * hand
    below, same = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for s in range(SHUFFLES):
        made_sense, made_hand = 0.0, 0.0
        for j in range(recent):  # the first of a shuffle by Fisher and Yates
            k = j + np.int64(draw(salt, seen * 512 + s * RECENT + j) % np.uint64(filled - j))
            alike[j], alike[k] = alike[k], alike[j]
            apart[j], apart[k] = apart[k], apart[j]
            made_sense += FADING[age[j] - 1] * alike[j]
            made_hand -= FADING[age[j] - 1] * apart[j]
        made = made_sense + MANNER * made_hand
        below[0] += made < both
        same[0] += made == both
        below[1] += made_hand < hand
        same[1] += made_hand == hand
        below[2] += made_sense < sense
        same[2] += made_sense == sense
    values[0] = (below[0] + chance * (same[0] + 1)) / (SHUFFLES + 1)
    values[HAND] = (below[1] + chance * (same[1] + 1)) / (SHUFFLES + 1)
    values[SENSE] = (below[2] + chance * (same[2] + 1)) / (SHUFFLES + 1)


@numba.njit(cache=True)
def _remember(row, point, mine, first, last, seen):  # type: ignore[no-untyped-def]
    """Puts the prompt into the ring; what it pushes out joins the sample of all older ones (Vitter's algorithm R)."""
    place = seen % RECENT
    older = seen - RECENT
    if older >= 0:
        keep = older
        if older >= SAMPLE:
            keep = np.int64(draw(row.salt, older) % np.uint64(older + 1))
        if keep < SAMPLE:
            row.follow_x[RECENT + keep] = row.follow_x[place]
            row.follow_form[RECENT + keep] = row.follow_form[place]
            row.follow_words[RECENT + keep] = row.follow_words[place]
    row.follow_x[place] = point
    row.follow_form[place] = mine
    row.follow_words[place, 0] = first
    row.follow_words[place, 1] = last


FEATURE = Feature("follow", SIGNALS, FIELDS, nothing_to_learn, measure)
