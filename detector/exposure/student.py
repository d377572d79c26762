"""The student: what a copyist could have learned from the answers that an entity got, kept as sums and counts.

It knows, for each answer, how many queries had it and where their centre lies; among the projected dimensions, in which
the training of the profile made the spread within an answer one, that is all there is to learn for a linear classifier
(Fisher 1936; each centre is shrunk as far as its few queries ask). Sums of integers: no learning rate, no order, exact
after any crash; a step costs as much as adding 16 numbers. At a look it sits an exam, the audit queries.

Three measures:

    agreement   the share of audit queries to which a *cautious* student gives the victim's answer: one who has to be
                given an answer often before he gives it himself, so that it grows with breadth
    answers     log of how much likelier the answers it got are if it asks as the whole population does together than
                if it is one honest client, with interests of its own (Pólya)
    cells       the same of the cells of the input space; the only one where the log has no labels

Sees: harvesters, who ask natural queries from everywhere and leave no odd shape.
Misses: who splits them over accounts; who is as narrow as an honest client, and learns a part of the model only.
Innocent: backends that ask for a whole population.
"""

from __future__ import annotations

from math import exp, lgamma, log

import numba
import numpy as np

from detector.evidence.polya import standard
from detector.exposure.known import AGREEMENT, ANSWERS, CELLS, EXAMS, LOOKS, MEASURES
from detector.query import UNREAD
from features.cells import CELLS as MOST_CELLS
from features.cells import distances
from features.contract import DIMS, LABELS, Field, place_of

FIRST_EXAM = 30  # queries
CAUTION = 0.25  # weight of what a query looks like against how often its answer was given; a clone has 1
HELD = 2**17  # queries of one answer, whose sums fit 32 bits; then they and their number are halved
FULL = 65_534  # of one cell; then all are halved
EQUALS, CLONE, SEEN = range(len(MEASURES), len(MEASURES) + 3)  # see `judge`
TOLD = len(MEASURES) + 3
STEPS = 20  # of the share of a clone's knowledge: a point of the tape is due at each new one

FIELDS = (
    Field("exposure_seen", "<u4"),  # queries, ever: never fades
    Field("exposure_judged", "<u4"),  # as it stood at the last look
    Field("exposure_words", "<f4", (len(MEASURES),)),  # what each measure last said, in the score's unit
    Field("exposure_clone", "<f4"),  # share of what a clone knows, as of the last look
    Field("exposure_equals", "<u4"),  # queries after which half of the honest knew as much, then; 0: none ever did
    Field("exposure_look", "|u1"),  # the next look
    Field("exposure_step", "|u1"),  # highest step of `exposure_clone` so far
    Field("exposure_answers", "<u4", (LABELS,)),
    Field("exposure_sums", "<i4", (LABELS, DIMS)),
    Field("exposure_cells", "<u2", (MOST_CELLS,)),
)


@numba.njit(cache=True)
def teach(slots, x, labels, odd, known, rows, found):  # type: ignore[no-untyped-def]
    """Teaches each entity's student its queries in order; what they come to at a look goes into found (n, M + 2): the
    measures, agreement of a clone, and the look; NaN for other queries.
    """
    squared = np.empty(known.centres.shape[1], np.uint32)
    points, best = room(known)
    answers = _constants(known.answer_alpha, known.answer_shares)
    cells = _constants(known.cell_alpha, known.mass.reshape((1, known.mass.size)))
    for i in range(slots.size):
        for m in range(found.shape[1]):
            found[i, m] = np.nan
        if odd[i] == UNREAD:
            continue
        row = rows[slots[i]]
        distances(x[i], known.centres, squared)
        _visit(row, np.argmin(squared))
        place = place_of(labels[i])
        if place >= 0:
            _hear(row, place, x, i)
        row.exposure_seen += 1
        look = np.int64(row.exposure_look)
        if look < LOOKS.size and np.int64(row.exposure_seen) == LOOKS[look]:
            row.exposure_look += 1
            found[i, len(MEASURES) + 1] = look
            if known.places.size:
                found[i, ANSWERS] = _answers(row, known, answers)
            if look % EXAMS == 0:
                found[i, CELLS] = _breadths(row.exposure_cells[: known.mass.size], known.cell_alpha, cells)[0]
                if known.places.size and LOOKS[look] >= FIRST_EXAM:
                    found[i, AGREEMENT], found[i, len(MEASURES)] = exam(row, known, points, best)


@numba.njit(cache=True)
def room(known):  # type: ignore[no-untyped-def]
    """What `exam` works in."""
    return np.empty((3, known.audit_places.size)), np.empty((2, known.audit_places.size), np.int64)


@numba.njit(cache=True)
def judge(slots, found, known, rows, told, stepped):  # type: ignore[no-untyped-def]
    """Puts what `teach` found on the score's scale. told (n, TOLD) float32 is how the entity stands after each query: a
    word for each measure, then EQUALS, CLONE and SEEN; stepped (n,) bool: CLONE came to a new step.
    """
    for i in range(slots.size):
        row = rows[slots[i]]
        stepped[i] = False
        look = found[i, len(MEASURES) + 1]
        if not np.isnan(look):
            _say(row, found[i], np.int64(look), known)
            stepped[i] = _step(row, found[i], known)
            row.exposure_judged = LOOKS[np.int64(look)]
        for m in range(len(MEASURES)):
            told[i, m] = row.exposure_words[m]
        told[i, EQUALS], told[i, CLONE], told[i, SEEN] = row.exposure_equals, row.exposure_clone, row.exposure_judged


@numba.njit(cache=True)
def _say(row, found, look, known):  # type: ignore[no-untyped-def]
    """Of agreement there is a word only at looks that honest entities came to; after them, the last stays."""
    for m in range(len(MEASURES)):
        u = (found[m] - known.centre[m, look]) / known.spread[m, look]
        if not np.isnan(u):
            centre, knee, spread, shape = known.scale[m]
            row.exposure_words[m] = max(0.0, known.weight[m] * standard(u, centre, knee, spread, shape))


@numba.njit(cache=True)
def _step(row, found, known):  # type: ignore[no-untyped-def]
    """Notes what the student knows; whether a clone's share came to a new step."""
    if np.isnan(found[AGREEMENT]):
        return False
    row.exposure_equals = 0
    for look in range(LOOKS.size):
        if known.centre[AGREEMENT, look] >= found[AGREEMENT]:
            row.exposure_equals = LOOKS[look]
            break
    row.exposure_clone = share_of(found[len(MEASURES)], known)
    step = min(int(row.exposure_clone * STEPS), 255)
    if step <= np.int64(row.exposure_step):
        return False
    row.exposure_step = step
    return True


@numba.njit(cache=True)
def share_of(agreement, known):  # type: ignore[no-untyped-def]
    """How much of what a clone of known.CLONE queries knows beyond chance; never negative."""
    return max(agreement - known.chance, 0.0) / max(known.clone - known.chance, 0.01)


@numba.njit(cache=True)
def _visit(row, cell):  # type: ignore[no-untyped-def]
    row.exposure_cells[cell] += 1
    if row.exposure_cells[cell] >= FULL:
        for c in range(MOST_CELLS):
            row.exposure_cells[c] //= 2


@numba.njit(cache=True)
def _hear(row, place, x, i):  # type: ignore[no-untyped-def]
    row.exposure_answers[place] += 1
    for d in range(DIMS):
        row.exposure_sums[place, d] += x[i, d]
    if row.exposure_answers[place] >= HELD:
        row.exposure_answers[place] //= 2
        for d in range(DIMS):
            row.exposure_sums[place, d] //= 2


@numba.njit(cache=True)
def _answers(row, known, constants):  # type: ignore[no-untyped-def]
    """The mean of both bets, as a log."""
    as_asked, alike = _breadths(row.exposure_answers, known.answer_alpha, constants)
    most = max(as_asked, alike)
    return most + log((exp(as_asked - most) + exp(alike - most)) / 2.0)


@numba.njit(cache=True)
def _constants(alpha, shares):  # type: ignore[no-untyped-def]
    """What `_breadths` needs at every look (1 + s, B): lgamma of alpha (B,), and logs of shares (s, B)."""
    constants = np.empty((1 + shares.shape[0], alpha.size))
    for b in range(alpha.size):
        constants[0, b] = lgamma(alpha[b])
        for s in range(shares.shape[0]):
            constants[1 + s, b] = log(shares[s, b])
    return constants


@numba.njit(cache=True)
def _breadths(counts, alpha, constants):  # type: ignore[no-untyped-def]
    """Log of how much likelier counts are under each of some shares than under the honest law, in nats (s,)."""
    n, whole = 0.0, 0.0
    nats = np.zeros(constants.shape[0] - 1)
    for b in range(counts.size):
        count = np.float64(counts[b])
        whole += alpha[b]
        if count > 0.0:
            n += count
            honest = lgamma(alpha[b] + count)
            for s in range(nats.size):
                nats[s] += count * constants[1 + s, b] - honest + constants[0, b]
    return nats + lgamma(whole + n) - lgamma(whole)


@numba.njit(cache=True)
def exam(row, known, points, best):  # type: ignore[no-untyped-def]
    """Shares of audit queries to which the cautious student, and the clone, give the victim's answer.

    points (3, A) and best (2, A): see `room`. An answer's centre is normal around 0 with `between`, queries are
    normal around it with 1; given n queries of it the centre is known up to between / (n between + 1).
    """
    centre, slope, bend = np.empty(DIMS), np.empty(DIMS), np.empty(DIMS)
    points[1:] = -np.inf
    for place in known.places:
        n = np.float64(row.exposure_answers[place])
        _centre(row, place, n, known, centre)
        constant = 0.0
        for d in range(DIMS):
            between = known.between[d]
            room = 1.0 + between / (n * between + 1.0)
            at = n * centre[d] * between / (n * between + 1.0)
            constant -= 0.5 * (at * at / room + log(room))
            slope[d], bend[d] = at / room, -0.5 / room
        _apart(known.audit, slope, bend, points[0])
        heard = log(n + 1.0)
        for a in range(best.shape[1]):
            cautious, clone = CAUTION * (points[0, a] + constant) + heard, points[0, a] + constant + heard
            if cautious > points[1, a]:
                points[1, a], best[0, a] = cautious, place
            if clone > points[2, a]:
                points[2, a], best[1, a] = clone, place
    cautious, clone = 0, 0
    for a in range(best.shape[1]):
        cautious += best[0, a] == known.audit_places[a]
        clone += best[1, a] == known.audit_places[a]
    return cautious / best.shape[1], clone / best.shape[1]


@numba.njit(cache=True)
def _apart(audit, slope, bend, total):  # type: ignore[no-untyped-def]
    """How each audit query lies to an answer, total (A,): summed over the dimensions in their order, four at a time,
    since bringing sums to memory and back took longer than the sums.
    """
    total[:] = 0.0
    for d in range(0, DIMS, 4):
        for a in range(total.size):
            one, two, three, four = audit[d, a], audit[d + 1, a], audit[d + 2, a], audit[d + 3, a]
            so_far = total[a] + one * (slope[d] + bend[d] * one)
            so_far += two * (slope[d + 1] + bend[d + 1] * two)
            so_far += three * (slope[d + 2] + bend[d + 2] * three)
            total[a] = so_far + four * (slope[d + 3] + bend[d + 3] * four)


@numba.njit(cache=True)
def _centre(row, place, n, known, centre):  # type: ignore[no-untyped-def]
    """Mean of the queries with this answer in the audit's coordinates; 0 where there are none."""
    centre[:] = 0.0
    if n > 0.0:
        for d in range(DIMS):
            apart = np.float64(row.exposure_sums[place, d]) / n - known.mean[d]
            for e in range(DIMS):
                centre[e] += apart * known.basis[d, e]
