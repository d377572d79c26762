"""Reading the honest log for `fit`: a survey of who asked when, then every query projected. Raw inputs are not kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector import columns
from detector.errors import ProfileError
from detector.logs.contract import Decode
from detector.profile.projection import Projection
from detector.profile.table import Row
from detector.query import ABSENT, UNREAD, Batch, Chunk, Query
from detector.rings.accounts import ACCOUNT, RING

Read = Callable[[], Iterator[Chunk]]
CLIENT = "client"
OURS = (CLIENT, RING, ACCOUNT)  # levels and tables that no kind of groups is called like
PREFERRED_GROUPS = ("organisation", "organization", "org", "tenant", "team", "customer", "account")
MOST_KINDS = 4  # of groups that are judged
JOINS = 0.1  # of a kind's groups that have two clients or more; else the kind only names clients again
MOST_VALUES = 256  # of a kind, for one client
SAMPLE_PER_CLIENT = 100
SAMPLE = 20_000
FEWEST_ASKED = 500  # queries, to teach anything on


@dataclass
class Survey:
    """Who asked. Per client: first and last time (microseconds), queries, its groups by kind.

    texts, embedded, named: how many of the queries are text, carry an embedding, are named values.
    versions: of the model that was asked, with their queries; `version` is the one that is learned from, None where the
    log names none. A query without a version belongs to it.
    """

    model: str = ""
    version: str | None = None
    versions: Counter[str] = field(default_factory=Counter)
    index: dict[str, int] = field(default_factory=dict)
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    volume: list[int] = field(default_factory=list)
    groups: list[dict[str, set[str]]] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)
    texts: int = 0
    embedded: int = 0
    named: int = 0
    unreadable: int = 0
    unidentified: int = 0

    @property
    def clients(self) -> list[str]:
        return list(self.index)

    @property
    def queries(self) -> int:
        return sum(self.volume)

    def groups_of(self, kind: str) -> list[set[str]]:
        """The groups of one kind of each client."""
        return [found.get(kind, set()) for found in self.groups]

    def drop_group(self, kind: str) -> None:
        for found in self.groups:
            found.pop(kind, None)


def survey(read: Read, decode: Decode, model: str | None, version: str | None = None) -> Survey:
    """One pass over the log. `model` None takes the model that was asked most often, `version` None its most frequent.

    Raises ProfileError when no query can be read.
    """
    found = Survey()
    by_model: dict[str, dict[str | None, Survey]] = {}
    for chunk in read():
        queries, unreadable = _readable(chunk, decode)
        found.unreadable += unreadable
        for query in queries:
            if query.client is None:
                found.unidentified += 1
            elif query.answered:
                found.models[query.model] += 1
                _note(by_model.setdefault(query.model, {}).setdefault(query.version, Survey()), query)
    chosen = model or (found.models.most_common(1)[0][0] if found.models else "")
    if chosen not in by_model:
        known = ", ".join(sorted(by_model)) or "none"
        raise ProfileError(
            f"no readable query with a client{f' for the model {model}' if model else ''} in the log: "
            f"{found.unreadable} records unreadable, {found.unidentified} without identity; models seen: {known}"
        )
    result = _of_version(by_model[chosen], version)
    result.model, result.models = chosen, found.models
    result.unreadable, result.unidentified = found.unreadable, found.unidentified
    return result


def _of_version(by_version: dict[str | None, Survey], wanted: str | None) -> Survey:
    """Who asked one version, or none by name. Raises ProfileError when the log does not hold the one that is wanted."""
    versions = Counter({name: one.queries for name, one in by_version.items() if name is not None})
    if wanted is not None and wanted not in versions:
        known = ", ".join(sorted(versions)) or "none"
        raise ProfileError(f"no query of the version {wanted} in the log; versions seen: {known}")
    chosen = wanted or (versions.most_common(1)[0][0] if versions else None)
    result = by_version[chosen]
    if chosen is not None and None in by_version:
        result = _together(result, by_version[None])
    result.version, result.versions = chosen, versions
    return result


def _together(one: Survey, other: Survey) -> Survey:
    one.texts += other.texts
    one.embedded += other.embedded
    one.named += other.named
    for client, i in other.index.items():
        who = one.index.setdefault(client, len(one.index))
        if who == len(one.first):
            one.first.append(other.first[i])
            one.last.append(other.last[i])
            one.volume.append(0)
            one.groups.append({})
        one.first[who] = min(one.first[who], other.first[i])
        one.last[who] = max(one.last[who], other.last[i])
        one.volume[who] += other.volume[i]
        for kind, values in other.groups[i].items():
            one.groups[who].setdefault(kind, set()).update(values)
    return one


def _note(survey: Survey, query: Query) -> None:
    who = survey.index.setdefault(query.client or "", len(survey.index))
    if who == len(survey.first):
        survey.first.append(query.at)
        survey.last.append(query.at)
        survey.volume.append(0)
        survey.groups.append({})
    survey.first[who] = min(survey.first[who], query.at)
    survey.last[who] = max(survey.last[who], query.at)
    survey.volume[who] += 1
    survey.texts += isinstance(query.input, str)
    survey.embedded += query.embedding is not None
    survey.named += isinstance(query.input, dict)
    if query.groups:
        mine = survey.groups[who]
        for kind, value in query.groups.items():
            values = mine.setdefault(kind, set())
            if len(values) < MOST_VALUES:
                values.add(value)


def judged_kinds(survey: Survey, asked_for: Sequence[str]) -> tuple[list[str], list[str]]:
    """The kinds of groups to judge, and remarks on those that are not: the ones asked for, else all that join clients,
    the best known names first, then what most clients have. Raises ProfileError for one that nobody logs.
    """
    seen = Counter(kind for groups in survey.groups for kind in groups)
    for kind in asked_for:
        if kind not in seen:
            raise ProfileError(f"no client of the log has a group {kind}; groups seen: {', '.join(seen) or 'none'}")
    for kind in OURS:
        if kind in asked_for:
            raise ProfileError(f"a group cannot be called {kind}: that is a level of another kind")
    if asked_for:
        return list(dict.fromkeys(asked_for)), []
    known = {kind: place for place, kind in enumerate(PREFERRED_GROUPS)}
    order = sorted(seen, key=lambda kind: (known.get(kind, len(known)), -seen[kind], kind))
    joining = [kind for kind in order if kind not in OURS and _joins(survey.groups_of(kind))]
    alone = [kind for kind in order if kind not in joining]
    remarks = [f"groups called {kind} are not judged: they hardly join any clients" for kind in alone]
    remarks += [
        f"groups called {kind} are not judged: a profile judges {MOST_KINDS} kinds, see --group"
        for kind in joining[MOST_KINDS:]
    ]
    return joining[:MOST_KINDS], remarks


def _joins(groups: Sequence[set[str]]) -> bool:
    members = Counter(name for of in groups for name in of)
    return sum(count > 1 for count in members.values()) >= JOINS * len(members)


def sample(
    read: Read,
    decode: Decode,
    survey: Survey,
    wanted: NDArray[np.bool_],
    seed: int,
    reader: columns.Reader = columns.AS_NUMBERS,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Raw inputs (n, d) and labels of the `wanted` clients, at most SAMPLE_PER_CLIENT of each and SAMPLE in all.

    Inputs of the most frequent width d: a few odd ones do not decide what the profile reads.
    """
    by_width: dict[int, list[tuple[NDArray[np.float64], NDArray[np.int32]]]] = {}
    for mine in some_of_each(read, decode, survey, wanted):
        while mine:
            numbers, _, unfit = reader.read(mine, None)
            fit = np.setdiff1d(np.arange(len(mine)), [u.place for u in unfit])
            if len(fit):
                by_width.setdefault(numbers.shape[1], []).append((numbers[fit], columns.labels_of(mine)[fit]))
            mine = [mine[u.place] for u in unfit if u.reason == columns.WIDTH]
    if not by_width:
        raise ProfileError(
            "no client of the reference set has an input that can be read: there is nothing to learn from"
        )
    inputs, labels = zip(*max(by_width.values(), key=lambda parts: sum(len(x) for x, _ in parts)), strict=True)
    return thinned(np.concatenate(inputs), np.concatenate(labels), seed)


def rows(read: Read, decode: Decode, survey: Survey, wanted: NDArray[np.bool_]) -> list[Row]:
    """Rows of named values that the `wanted` clients asked, at most SAMPLE_PER_CLIENT of each and SAMPLE in all."""
    taken: Counter[int] = Counter()
    found: list[Row] = []
    for queries in _judged(read, decode, survey):
        for query in queries:
            who = survey.index[query.client or ""]
            if wanted[who] and taken[who] < SAMPLE_PER_CLIENT and isinstance(query.input, dict):
                taken[who] += 1
                found.append(query.input)
        if len(found) >= SAMPLE:
            break
    return found[:SAMPLE]


class Raw(NamedTuple):
    """Raw queries of some clients: owner (n,) client index; inputs (n, d); form (n, k) and top (n, 2), see Batch;
    probabilities (n, k), ABSENT where a query does not carry the k that most do; rows: named values, where it is these
    that are asked.
    """

    owner: NDArray[np.int64]
    inputs: NDArray[np.float64]
    form: NDArray[np.float64]
    top: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    rows: Sequence[Row]


def raw_of(
    read: Read, decode: Decode, survey: Survey, wanted: NDArray[np.bool_], width: int, reader: columns.Reader
) -> Raw:
    """The first SAMPLE_PER_CLIENT queries of each `wanted` client whose input has `width` numbers."""
    found: list[Query] = []
    inputs, forms = [np.empty((0, width))], []
    for mine in some_of_each(read, decode, survey, wanted):
        numbers, form, unfit = reader.read(mine, width)
        fit = np.setdiff1d(np.arange(len(mine)), [u.place for u in unfit])
        inputs.append(numbers[fit])
        forms.append(form[fit])
        found += [mine[i] for i in fit]
    owner = np.array([survey.index[query.client or ""] for query in found], np.int64)
    top = columns.top_of(found) if found else np.empty((0, 2))
    form = np.concatenate(forms) if forms else np.empty((0, 0))
    rows = [query.input for query in found if isinstance(query.input, dict)]
    return Raw(owner, np.concatenate(inputs), form, top, _probabilities(found), rows)


def _probabilities(queries: list[Query]) -> NDArray[np.float64]:
    found = [query.probabilities or [] for query in queries]
    k = max(Counter(map(len, found)).items(), key=lambda item: item[1])[0] if found else 0
    return np.array([p if len(p) == k else [ABSENT] * k for p in found], np.float64).reshape(len(found), k)


def thinned(
    inputs: NDArray[np.float64], labels: NDArray[np.int32], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """A uniform draw of SAMPLE rows where there are more."""
    if len(inputs) <= SAMPLE:
        return inputs, labels
    chosen = np.random.default_rng(seed).choice(len(inputs), SAMPLE, replace=False)
    return inputs[chosen], labels[chosen]


class Asked(NamedTuple):
    """All queries of the surveyed model, projected, in log order; `slots` is the client's index.

    misfits: those that could be decoded and did not fit the projection: they are UNREAD. groups (n, kinds) int64: the
    place of a query's group among `names` of its kind, -1 where the query names none.
    """

    batch: Batch
    misfits: int
    groups: NDArray[np.int64]
    names: list[list[str]]


def gather(
    read: Read,
    decode: Decode,
    survey: Survey,
    kinds: Sequence[str],
    projection: Projection,
    secret: np.uint64,
    reader: columns.Reader = columns.AS_NUMBERS,
) -> Asked:
    parts: list[Batch] = []
    groups: list[NDArray[np.int64]] = []
    places: list[dict[str, int]] = [{} for _ in kinds]
    misfits = 0
    for chunk in read():
        queries = _asked(chunk, decode, survey)
        if queries:
            found = reader.read(queries, projection.width)
            misfits += sum(bool(queries[u.place].input) for u in found.unfit)
            parts.append(_batch(queries, found, survey, projection, secret))
            groups.append(_places(queries, kinds, places))
    if not any((part.odd != UNREAD).any() for part in parts):
        raise ProfileError(f"none of the log's inputs has the {projection.width} numbers of the training data")
    batch = Batch(*(np.concatenate([getattr(p, name) for p in parts]) for name in Batch.__slots__))
    return Asked(batch, misfits, np.concatenate(groups), [list(of) for of in places])


def _places(queries: list[Query], kinds: Sequence[str], places: list[dict[str, int]]) -> NDArray[np.int64]:
    """Where each query's groups stand in `places` (kinds,), which grows by what is new."""
    found = np.full((len(queries), len(kinds)), -1, np.int64)
    for i, query in enumerate(queries):
        for k, kind in enumerate(kinds):
            name = (query.groups or {}).get(kind)
            if name is not None:
                found[i, k] = places[k].setdefault(name, len(places[k]))
    return found


def _batch(
    queries: list[Query], found: columns.Read, survey: Survey, projection: Projection, secret: np.uint64
) -> Batch:
    odd = np.zeros(len(queries), np.uint8)
    odd[[u.place for u in found.unfit]] = UNREAD
    projected = projection.apply(found.inputs)
    return Batch(
        slots=np.array([survey.index[q.client or ""] for q in queries], np.int64),
        at=np.array([q.at for q in queries], np.int64),
        x=projected.x,
        residual=projected.residual,
        roughness=projected.roughness,
        labels=columns.labels_of(queries),
        top=columns.top_of(queries),
        ids=columns.id_hashes(queries, secret),
        odd=odd,
        form=found.form,
    )


def _asked(chunk: Chunk, decode: Decode, survey: Survey) -> list[Query]:
    """The queries of the surveyed clients as the pipeline takes them: those that cannot be read too."""
    queries, sources, refused = decode(chunk.payloads)
    queries, sources = columns.with_unread(queries, sources, refused, chunk.bounds_at, survey.model)
    return [
        query
        for query, i in zip(queries, sources, strict=True)
        if query.at <= chunk.bounds_at[i] and _teaches(query, survey)
    ]


def some_of_each(read: Read, decode: Decode, survey: Survey, wanted: NDArray[np.bool_]) -> Iterator[list[Query]]:
    """The first SAMPLE_PER_CLIENT queries of each `wanted` client, chunk by chunk."""
    taken: Counter[int] = Counter()
    for queries in _judged(read, decode, survey):
        mine = []
        for query in queries:
            who = survey.index[query.client or ""]
            if wanted[who] and taken[who] < SAMPLE_PER_CLIENT:
                taken[who] += 1
                mine.append(query)
        yield mine


def _judged(read: Read, decode: Decode, survey: Survey) -> Iterator[list[Query]]:
    for chunk in read():
        queries, _ = _readable(chunk, decode)
        yield [query for query in queries if _teaches(query, survey)]


def _teaches(query: Query, survey: Survey) -> bool:
    """It was asked by a surveyed client of the surveyed model and version, and got an answer."""
    asked = query.model == survey.model and query.client in survey.index
    return asked and query.answered and (query.version is None or survey.version in (None, query.version))


def _readable(chunk: Chunk, decode: Decode) -> tuple[list[Query], int]:
    """The queries that the pipeline would take, and how many records it would set aside: one that claims to come from
    2099 must not make the log look long enough for the promise.
    """
    queries, sources, refused = decode(chunk.payloads)
    sound = [query for query, i in zip(queries, sources, strict=True) if query.at <= chunk.bounds_at[i]]
    return sound, len(refused) + len(queries) - len(sound)
