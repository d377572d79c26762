"""`fit`, step by step: survey, projection, three sets, nulls, scale, calibration, groups, and the promise in words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector import columns
from detector.columns import Reader
from detector.entities import Name, entity_key
from detector.errors import ProfileError, PromiseRefused
from detector.evidence.law import Law
from detector.learned.kinds import Choice
from detector.logs.contract import Decode
from detector.named import PYTHON
from detector.only import Only
from detector.policy import Policy, Threshold
from detector.profile import (
    calibration,
    classing,
    exposing,
    groups,
    honest,
    learn,
    lessons,
    projection,
    promised,
    rings,
    scaling,
    sequencing,
    sets,
    trying,
    watching,
)
from detector.profile.artefact import (
    FORMAT,
    MEASURED,
    PRESUMED,
    Level,
    Oddest,
    Profile,
    Summary,
    Watching,
    identify,
    row_layouts,
)
from detector.profile.sets import LEARN, SCALE
from detector.profile.succession import severities
from detector.profile.table import Named
from detector.profile.table import learn as learn_table
from detector.profile.training import Training, as_logged
from detector.reasons import rfc3339
from detector.rings.accounts import RING
from detector.tape import score_of
from detector.text.reading import EMBEDDERS, LOG, WORDS, reader_of
from features import NUMBERS, TABLE, TEXT, cells
from features.contract import Reference
from features.kit import Kit

DAY_US = 86_400_000_000
SUSPICION_SHARE = 0.05
LONGEST_US = 2**61
FEWEST_RANKED = 10  # units to hold a rank against, where nothing is promised
OBSERVE = "or --observe (no promise and no alerts: budgets, and `querywarden digest`)"

Say = Callable[[str], None]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """horizon_us None: the log's own span. alerts_per_week: instead of `promise`, how many false alerts to expect.
    groups: the kinds that are judged; none: all that the log names. watch: the River model that watches beside the
    signals. observe: promise nothing, and set no thresholds. only: the use of the model that the log was filtered for
    (detector.only); here it is but noted. embedder: of prompts, see detector.text.reading; not used where the log holds
    numbers. rings: look for accounts that are one hand. classes: who in the log is no person.
    """

    promise: float = 0.01
    alerts_per_week: float | None = None
    confidence: float | None = None
    horizon_us: int | None = 30 * DAY_US
    seed: int = 0
    model: str | None = None
    model_version: str | None = None
    groups: tuple[str, ...] = ()
    exclude: frozenset[str] = frozenset()
    presumed: bool = False
    scale_short_log: bool = False
    watch: Choice | None = Choice()
    observe: bool = False
    only: Only | None = None
    embedder: str = WORDS
    rings: bool = False
    classes: tuple[classing.Membership, ...] = ()


class _Span(NamedTuple):
    """The promise's span: closed (clients,) bool, whose window lies inside the log; share that is promised in it, None
    where nothing is.
    """

    horizon_us: int
    text: str
    closed: NDArray[np.bool_]
    share: float | None
    remark: str


def fit(read: honest.Read, decode: Decode, training: Training | None, options: Options, say: Say) -> Profile:
    """The profile of an honest log. `say` is told what is being done.

    Raises PromiseRefused when the log cannot carry the promise, ProfileError when it cannot be learned from.
    """
    say("reading who asked")
    survey = honest.survey(read, decode, options.model, options.model_version)
    secret = _secret(survey, options.seed)
    days = max((max(survey.last) - min(survey.first)) / DAY_US, 1e-9)
    if options.alerts_per_week is not None:
        share = promised.share_of(options.alerts_per_week, len(survey.index), days)
        if options.scale_short_log and options.horizon_us is not None:  # `_span` takes it back in proportion
            share *= max(options.horizon_us / (days * DAY_US), 1.0)
        options = msgspec.structs.replace(options, promise=share)
    span = _span(survey, options)
    if options.only:
        survey.drop_group(options.only.group)  # that of the use is the same for all
    kinds, unjudged = honest.judged_kinds(survey, options.groups)
    kept = np.array([client not in options.exclude for client in survey.clients])
    excluded = int(np.count_nonzero(~kept))
    needs = _needs(span.share, options, excluded, len(kinds))
    siblings = {kind: survey.groups_of(kind) for kind in kinds}
    classes = classing.classes_of(survey.clients, _groups_named(survey, options.classes), options.classes)
    people = kept & (classes < 0)
    drawn = sets.draw(survey.clients, siblings, span.closed & people, options.seed, needs)
    drawn.of[~people] = -1
    referees = _referees(survey, drawn, training, options.seed)
    say("learning the training distribution")
    kit, embedder = _kind(survey, options)
    training = _of_the_kind(kit, training, read, decode, survey)
    table = None
    if kit is TABLE:
        table = learn_table(training.rows if training else honest.rows(read, decode, survey, referees))
    reader: Reader = reader_of(embedder) if table is None else Named(table)
    reference, projected = _reference(read, decode, survey, training, referees, options, reader)
    reference = reference._replace(key=int.from_bytes(secret[:8], "little"))
    teachers = (drawn.of == LEARN) & ~referees
    taught = None
    if lessons.SIGNAL in kit.names:
        say("making blends, and teaching what they look like")
        taught = lessons.of_log(read, decode, survey, projected, reader, teachers, options.seed)
    if taught is not None:
        reference = reference._replace(lessons=(taught.honest, taught.made))
    learned = kit.learn(reference)
    say("reading what they asked")
    word = columns.secret_word(secret)
    asked = honest.gather(read, decode, survey, kinds, projected, word, reader)
    salts = np.array([_salt(survey.model, client, secret) for client in survey.clients], np.uint64)
    say(f"measuring {len(asked.batch):,} queries of {len(survey.index):,} clients")
    centres = (learned if "cells" in learned else cells.learn(reference))["cells"]
    known = exposing.learn(asked.batch, teachers, centres, options.seed)
    measured = learn.signals(kit, asked.batch, salts, learned, known, span.horizon_us, word)
    measured = lessons.out_of_sight(measured, taught)
    say("learning what honest clients do")
    scalers = measured.of(drawn.of == SCALE)
    known = exposing.scaled(known, scalers.owner, scalers.taught)
    measured = measured.exposed(known)
    teaching, scalers = measured.of(teachers), measured.of(drawn.of == SCALE)
    found = learn.learn_nulls(teaching)
    law = scaling.learn_scale(scalers, found, found.active)
    say("making sweeps, and teaching what they look like")
    unseen = teachers if taught is None else teachers & ~taught.clients
    halves = [
        sequencing.half_of(read, decode, survey, measured, half, referees=referred)
        for half, referred in ((unseen, False), (referees, True))
        if half.any()
    ]
    copy = None if taught is None else taught.copy
    known_by = sequencing.Known(kit, reader, projected, learned, found, embedder == WORDS, copy)
    spoken, unspoken = sequencing.learn_sequences(halves, scalers, known_by, options.seed)
    law = law if spoken is None else sequencing.speaking(law, spoken.weights, found, scalers)
    say("teaching the one-class model")
    watched, unwatched = _watched(teaching, scalers, law, _units(survey, kinds[:1], secret), secret, options)
    say("calibrating")
    watch = watched.watch(law.slope) if watched else None
    trial = trying.try_clients(measured.of(drawn.stands), law, watch)
    of_people = measured.of(people) if options.classes else measured
    asking = groups.Asking(of_people, asked.groups, dict(zip(kinds, asked.names, strict=True)))
    grouped = groups.learn_levels(asking, drawn, kept, found, span.share, options.confidence, options.seed)
    ringed = None
    if options.rings:
        say("looking for rings among honest accounts")
        of_accounts = rings.Asking(measured, survey.clients, survey.model, secret)
        ringed = rings.learn_rings(of_accounts, drawn, kept, found, options.seed)
    left = None if span.share is None else span.share - sum(one.level.share or 0.0 for one in grouped)
    try:
        client = _client_level(survey, drawn, trial, left, referees, excluded, options)
    except PromiseRefused as refusal:
        least = calibration.smallest_share(len(trial.suprema), excluded, options.confidence)
        weekly = promised.alerts_a_week(least, len(survey.index), days)
        raise PromiseRefused(f"{refusal}, which is {weekly:.2g} false alerts a week; {OBSERVE}") from refusal
    borrowed = classing.People(scalers, measured.of(drawn.stands), found)
    of_classes = measured, survey.clients, classes, span.closed & kept, borrowed
    classed = classing.learn_classes(classing.Asking(*of_classes, left, options.confidence, options.seed))
    others: list[groups.Grouped | rings.Ringed | classing.Classed] = [*grouped, *([ringed] if ringed else []), *classed]
    levels = (client, *(one.level for one in others))
    all_laws = {"client": law} | {one.level.kind: one.law for one in others}
    suprema = {"client": np.sort(trial.suprema)} | {one.level.kind: one.suprema for one in others}
    summary = Summary(
        format=FORMAT,
        id="",
        model=survey.model,
        kit=kit.name,
        width=projected.width,
        secret=secret.hex(),
        seed=options.seed,
        promise=span.share,
        confidence=options.confidence,
        horizon=span.text,
        epoch_us=LONGEST_US if options.horizon_us is None else options.horizon_us // 2,
        state=PRESUMED if options.presumed else MEASURED,
        reference="training" if training else f"honest traffic of {int(referees.sum())} clients",
        log_from=rfc3339(min(survey.first)),
        log_to=rfc3339(max(survey.last)),
        queries=survey.queries,
        clients=len(survey.index),
        unreadable=survey.unreadable + asked.misfits,
        unidentified=survey.unidentified,
        alerts_a_day=promised.alerts_a_week(span.share or 0.0, len(survey.index), days) / 7,
        suspicion=_suspicion(trial.suprema, client),
        groups=tuple(one.level.kind for one in grouped),
        levels=levels,
        signals=kit.names,
        off=found.off + exposing.off(known),
        policy=_policy(levels, suprema, options.confidence),
        rows=row_layouts(kit),
        watch=Watching(watched.first.taught.choice, watched.first.taught.river, options.seed) if watched else None,
        versions=() if survey.version is None else (survey.version,),
        only=options.only,
        embedder=embedder,
        seen=lessons.seen(kit, learned, taught, scalers),
        rings=ringed.learned if ringed else None,
        classes=tuple(one.name for one in classed),
        swept=spoken.swept if spoken else (),
        remarks=tuple(
            filter(None, (span.remark, unwatched, unspoken, *unjudged, *_remarks(survey, grouped, kinds, options)))
        ),
    )
    first = watched.first if watched else None
    return identify(Profile(summary, projected, learned, all_laws, suprema, known, first, table))


def _kind(survey: honest.Survey, options: Options) -> tuple[Kit, str | None]:
    """What reads the log: most of its queries are text, or named values, or numbers; and the embedder of text."""
    if 2 * survey.named > survey.queries:
        return TABLE, None
    if 2 * survey.texts <= survey.queries:
        return NUMBERS, None
    if options.embedder not in EMBEDDERS and not options.embedder.startswith(PYTHON):
        raise ProfileError(
            f"the embedder is {options.embedder}, not one of {', '.join(EMBEDDERS)}, {PYTHON}MODULE:NAME"
        )
    if options.embedder == LOG and 2 * survey.embedded <= survey.texts:
        raise ProfileError(f"{survey.embedded} of {survey.texts} prompts of the log carry an `embedding`: too few")
    return TEXT, options.embedder


def _of_the_kind(
    kit: Kit, training: Training | None, read: honest.Read, decode: Decode, survey: honest.Survey
) -> Training | None:
    """The training data, with the names of the log. Raises ProfileError when they are of another kind than the log."""
    if training is None:
        return None
    if kit is TEXT:
        raise ProfileError("training data are not read for text: what people ask is learned from the log")
    if bool(training.rows) != (kit is TABLE):
        kinds = ("numbers", "rows of named values")
        raise ProfileError(f"the training data are {kinds[bool(training.rows)]}, the log holds {kinds[kit is TABLE]}")
    if kit is NUMBERS:
        return training
    logged = honest.rows(read, decode, survey, np.ones(len(survey.index), np.bool_))
    return training._replace(rows=as_logged(training.rows, logged))


def _groups_named(survey: honest.Survey, classes: Sequence[classing.Membership]) -> dict[str, list[set[str]]]:
    return {kind: survey.groups_of(kind) for kind in {one.kind for one in classes} - {"client"}}


def _needs(share: float | None, options: Options, excluded: int, kinds: int) -> list[int]:
    """How many units must be left to calibrate for groups of each kind to be drawn whole: the first kind is, where the
    clients' promise can still be made, a further one where its groups get a promise for it.
    """
    if share is None:
        return [FEWEST_RANKED] * max(kinds, 1)
    need = calibration.entities_needed(share, options.confidence, excluded)
    further = calibration.entities_needed(groups.SHARE * share / max(kinds, 1), options.confidence, excluded)
    return [need] + [further] * (kinds - 1)


def _units(survey: honest.Survey, kinds: list[str], secret: bytes) -> watching.Units:
    """Of each client its key and that of its group of the first kind."""
    keys = [entity_key(Name(survey.model, "client", client), secret) for client in survey.clients]
    if not kinds:
        return [(key, b"") for key in keys]
    named = [min(of, default=None) for of in survey.groups_of(kinds[0])]
    of_kind = [b"" if name is None else entity_key(Name(survey.model, kinds[0], name), secret) for name in named]
    return list(zip(keys, of_kind, strict=True))


def _watched(
    teachers: learn.Measured,
    scalers: learn.Measured,
    law: Law,
    units: watching.Units,
    secret: bytes,
    options: Options,
) -> tuple[watching.Watched | None, str]:
    """The one-class model; none, and why, where there are too few looks at clients."""
    if options.watch is None:
        return None, ""
    try:
        return watching.learn_watch(teachers, scalers, law, units, options.watch, secret, options.seed), ""
    except ProfileError as error:
        return None, f"no one-class model watches beside the signals: {error}"


def _secret(survey: honest.Survey, seed: int) -> bytes:
    """32 bytes that who has not seen the honest log cannot guess; the same log and seed give the same."""
    digest = hashlib.blake2b(digest_size=32, key=seed.to_bytes(8, "little", signed=True))
    digest.update(msgspec.msgpack.encode((survey.clients, survey.first, survey.last, survey.volume)))
    return digest.digest()


def _salt(model: str, client: str, secret: bytes) -> int:
    return int.from_bytes(entity_key(Name(model, "client", client), secret)[:8], "little")


def _span(survey: honest.Survey, options: Options) -> _Span:
    start, end = min(survey.first), max(survey.last)
    first = np.array(survey.first)
    if options.horizon_us is None:
        share = None if options.observe else options.promise
        return _Span(LONGEST_US, "log", np.ones(len(first), np.bool_), share, "")
    text = f"{options.horizon_us / DAY_US:g}d"
    if options.observe:
        return _Span(LONGEST_US, text, np.ones(len(first), np.bool_), None, "")
    if end - start >= options.horizon_us:
        return _Span(options.horizon_us, text, first + options.horizon_us <= end, options.promise, "")
    days = (end - start) / DAY_US
    if not options.scale_short_log:
        raise PromiseRefused(
            f"the log spans {days:.1f} days, the promise is for {text}: what happens later was never seen. Give a "
            f"longer log, --horizon {max(int(days), 1)}d, --horizon log (a promise for a span like the log's), or "
            f"--scale-short-log (a smaller promise, in proportion), {OBSERVE}"
        )
    share = options.promise * (end - start) / options.horizon_us
    remark = (
        f"the log is shorter than {text}: calibrated at {share:.3%}, the promise in proportion to its {days:.1f} days"
    )
    return _Span(LONGEST_US, text, np.ones(len(first), np.bool_), share, remark)


def _referees(survey: honest.Survey, drawn: sets.Sets, training: Training | None, seed: int) -> NDArray[np.bool_]:
    """Without training data: the half of the learn set that stands in for it. The other half teaches the nulls, since
    a client is never measured by a reference of its own.
    """
    chosen = np.zeros(len(drawn.of), np.bool_)
    if training is None:
        learners = sorted(np.flatnonzero(drawn.of == LEARN), key=lambda i: sets.keyed(survey.clients[i], seed + 1))
        chosen[learners[: max(len(learners) // 2, 1)]] = True
    return chosen


def _reference(
    read: honest.Read,
    decode: Decode,
    survey: honest.Survey,
    training: Training | None,
    referees: NDArray[np.bool_],
    options: Options,
    reader: Reader,
) -> tuple[Reference, projection.Projection]:
    if training is None:
        inputs, labels = honest.sample(read, decode, survey, referees, options.seed, reader)
        projected = projection.learn(inputs, options.seed)
        return _referring(projected, inputs, labels, options.seed), projected
    whole = reader.table.read(training.rows)[0] if isinstance(reader, Named) else training.inputs
    inputs, labels = honest.thinned(whole, training.labels, options.seed)
    projected = projection.learn(inputs, options.seed)
    reference = _referring(projected, inputs, labels, options.seed)
    return reference._replace(records=projected.apply(whole).x), projected


def _referring(
    projected: projection.Projection, inputs: NDArray[np.float64], labels: NDArray[np.int32], seed: int
) -> Reference:
    found = projected.apply(inputs)
    return Reference(found.x, labels, seed, residual=found.residual, roughness=found.roughness)


def _client_level(
    survey: honest.Survey,
    drawn: sets.Sets,
    trial: trying.Trial,
    share: float | None,
    referees: NDArray[np.bool_],
    excluded: int,
    options: Options,
) -> Level:
    suprema = np.sort(trial.suprema)
    fired = None
    if share is not None:
        fired = calibration.threshold(suprema, share, excluded=excluded, confidence=options.confidence)
    by_owner = dict(zip(trial.owners.tolist(), trial.suprema.tolist(), strict=True))
    oddest = tuple(
        Oddest(survey.clients[who], max(score_of(by_owner[who]), 0.0), queries, text)
        for who, queries, text in trial.oddest
    )
    counts = [int(np.count_nonzero((drawn.of == LEARN) & ~referees)), int(np.count_nonzero(drawn.of == SCALE))]
    note = promised.OBSERVES if share is None else ""
    level = promised.level("client", share, counts, suprema, fired, excluded, options.confidence)
    volumes = trying.by_volume(trial, np.array(survey.volume))
    return msgspec.structs.replace(level, unit=drawn.drawn, note=note, oddest=oddest, volumes=volumes)


def _suspicion(suprema: NDArray[np.int64], client: Level) -> float:
    """The score above which an entity teaches nothing: passed by one honest client in twenty, where that is known."""
    rank = calibration.rank_of(SUSPICION_SHARE, len(suprema))
    at_most = client.threshold if client.threshold is not None else 1.0
    return at_most if rank is None else min(at_most, max(score_of(int(np.sort(suprema)[rank - 1]) + 1), 0.0))


def _policy(levels: tuple[Level, ...], suprema: dict[str, NDArray[np.int64]], confidence: float | None) -> Policy:
    """Clients and rings that are only observed have none: whoever sets thresholds of his own sets them without a
    promise.
    """
    none: dict[str, tuple[Threshold, ...]] = {level.kind: () for level in levels if level.kind in ("client", RING)}
    for level in levels:
        if level.kind.startswith("client:") and level.threshold is not None:  # classes that borrow promise nothing
            of_people = msgspec.structs.replace(level, share=levels[0].share, calibrated=len(suprema[level.kind]))
            none[level.kind] = severities(of_people, suprema[level.kind], confidence)
    thresholds = none | {
        level.kind: severities(level, suprema[level.kind], confidence)
        for level in levels
        if level.threshold is not None and level.share is not None
    }
    return Policy(version="profile", thresholds=thresholds)


def _remarks(survey: honest.Survey, grouped: Sequence[groups.Grouped], kinds: list[str], options: Options) -> list[str]:
    remarks = []
    if len(survey.models) > 1:
        others = ", ".join(name for name in sorted(survey.models) if name != survey.model)
        remarks.append(f"the log also holds queries of other models, which were left out: {others}")
    if len(survey.versions) > 1:
        others = ", ".join(name for name in sorted(survey.versions) if name != survey.version)
        remarks.append(f"the profile is for version {survey.version}; queries of others were left out: {others}")
    judged = {one.level.kind for one in grouped}
    remarks += [f"too few groups ({kind}) to judge them as entities" for kind in kinds if kind not in judged]
    strangers = [
        f"{one.kind} {one.id}"
        for one in options.classes
        if one.id not in (survey.index if one.kind == "client" else set().union(*survey.groups_of(one.kind)))
    ]
    if strangers:
        remarks.append(f"asked for classes of whom the log does not know: {', '.join(strangers)}")
    unknown = options.exclude - set(survey.index)
    if unknown:
        remarks.append(f"asked to exclude clients that are not in the log: {', '.join(sorted(unknown))}")
    return remarks
