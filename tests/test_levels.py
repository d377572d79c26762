"""Clients level by level: cutting parts anywhere gives the same rows, looks and points."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import columns
from detector.levels import ClientLevel, Looked, Naming
from detector.logs.native import decode_many
from detector.profile import watching
from detector.profile.artefact import Profile
from detector.query import UNREAD, Batch
from tests import people, strategies


class Seen(NamedTuple):
    """All that a level gave of a batch, with places in the whole of it, and the rows that it left."""

    points: list[tuple[int, bytes]]
    looks: list[tuple[int, int, bytes]]
    levels: bytes
    bins: bytes
    status: bytes
    rows: bytes


def level_of(profile: Profile, clients: list[str]) -> tuple[ClientLevel, np.ndarray]:
    law = profile.laws["client"]
    entities = profile.entities("client")
    word, known = columns.secret_word(profile.secret), profile.known
    level = ClientLevel(profile.kit, entities, profile.learned, known, law, profile.summary.epoch_us, word)
    assert profile.first is not None
    level.watch = watching.restored(profile.first).watch(law.slope)
    return level, entities.slots(clients)


def batch_of(profile: Profile, records: list[bytes], odd: np.ndarray) -> tuple[Batch, Naming]:
    """The batch, its slots not yet filled, and its names."""
    queries = decode_many(records)[0]
    inputs, _ = columns.inputs_of(queries, profile.projection.width)
    x, residual, roughness = profile.projection.apply(inputs)
    batch = Batch(
        slots=np.zeros(len(queries), np.int64),
        at=np.array([query.at for query in queries], np.int64),
        x=x,
        residual=residual,
        roughness=roughness,
        labels=columns.labels_of(queries),
        top=columns.top_of(queries),
        ids=columns.id_hashes(queries, columns.secret_word(profile.secret)),
        odd=odd.astype(np.uint8),
        form=np.zeros((len(queries), 0)),
    )
    return batch, Naming([query.id for query in queries], [query.client or "" for query in queries])


def driven(profile: Profile, batch: Batch, naming: Naming, sizes: list[int]) -> Seen:
    level, slots = level_of(profile, list(naming.clients))
    whole = Batch(**{name: getattr(batch, name).copy() for name in Batch.__slots__} | {"slots": slots})
    points, looks = [], []
    found: dict[str, list[bytes]] = {"levels": [], "bins": [], "status": []}
    start, following = 0, iter(sizes)
    while start < len(whole):
        stop = min(start + next(following, len(whole)), len(whole))
        names = Naming(naming.query_ids[start:stop], naming.clients[start:stop])
        at = start
        for part in level.advance(whole.part(start, stop), names):
            points += [(at + i, msgspec.msgpack.encode(point)) for i, point in part.points]
            looks += [(at + look.place, look.n, look.vector.tobytes()) for look in part.looks]
            for name, columns_ in found.items():
                columns_.append(getattr(part, name).tobytes())
            at += len(part.status)
        start = stop
    joined = {name: b"".join(parts) for name, parts in found.items()}
    return Seen(points, looks, joined["levels"], joined["bins"], joined["status"], level.entities.rows.tobytes())


def mixed(seed: int) -> tuple[list[bytes], np.ndarray]:
    """Honest clients and two copiers, of whom some queries cannot be read, more than one part holds."""
    asked = [*people.honest(seed, 8, days=0.3), *people.noise("thief", n=70), *people.children("copier", n=70)]
    records = people.log_of(people.in_order(asked))
    return records, np.where(np.random.default_rng(seed).random(len(records)) < 0.05, UNREAD, 0)


@settings(max_examples=15)
@given(sizes=st.lists(st.integers(1, 120), max_size=12))
def test_cutting_a_batch_anywhere_gives_the_same_rows_looks_and_points(profile: Profile, sizes: list[int]) -> None:
    batch, naming = batch_of(profile, *mixed(51))
    whole = driven(profile, batch, naming, [])
    assert len(batch) > 256
    assert len({place for place, _, _ in whole.looks}) == len(whole.looks) > 5
    assert whole.points
    assert driven(profile, batch, naming, [*sizes, 50, 256]) == whole


def test_also_query_by_query(profile: Profile) -> None:
    batch, naming = batch_of(profile, *mixed(52))
    assert driven(profile, batch, naming, [1] * len(batch)) == driven(profile, batch, naming, [])


@settings(max_examples=15)
@given(batch=strategies.batches(), sizes=strategies.cuts)
def test_also_where_ids_and_inputs_come_again_and_again(profile: Profile, batch: Batch, sizes: list[int]) -> None:
    naming = Naming([None] * len(batch), [f"c{slot}" for slot in batch.slots])
    assert driven(profile, batch, naming, [*sizes, 3]) == driven(profile, batch, naming, [])


def test_a_look_is_at_the_query_that_makes_the_doubling(profile: Profile) -> None:
    batch, naming = batch_of(profile, *mixed(53))
    asked: list[Looked] = []
    level, slots = level_of(profile, list(naming.clients))
    whole = Batch(**{name: getattr(batch, name).copy() for name in Batch.__slots__} | {"slots": slots})
    for start, part in zip(range(0, len(whole), 256), level.advance(whole, naming), strict=True):
        asked += [look._replace(place=start + look.place) for look in part.looks]
    for look in asked:
        assert look.n in (16, 32, 64, 128, 256)
        assert np.count_nonzero(slots[: look.place + 1] == slots[look.place]) == look.n
    assert {look.n for look in asked} >= {16, 32, 64}
