"""The one-class channel: what was calibrated is what watches, it comes back bit for bit, and it may be absent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from detector import columns
from detector.errors import ProfileError
from detector.levels import Looked, Watch
from detector.logs.native import decode_many
from detector.pipeline import Pipeline
from detector.profile import artefact, fit, honest, learn, trying, watching
from detector.profile.artefact import Profile
from detector.profile.report import report
from detector.query import Chunk
from features import NUMBERS
from tests import people
from tests.conftest import HORIZON_US, fitted
from tests.driving import drive, pipeline
from tests.profile.test_fit import SMALL_LOG

Word = tuple[str, int, float]


def words(made: Pipeline, records: Sequence[bytes], size: int = 1_000) -> list[Word]:
    """What the one-class model says at each look: client, how many of its queries were weighed, in the score's unit."""
    level = made._client_level
    ask, found = level.watch, []
    assert ask is not None

    def noted(n: int, clock: int, vector: np.ndarray) -> float:
        found.append((n, ask(n, clock, vector)))
        return found[-1][1]

    level.watch = noted
    looks: list[tuple[str, Looked]] = []
    advance = level._part

    def parted(batch, naming):  # type: ignore[no-untyped-def]
        part = advance(batch, naming)
        looks.extend((made.clients.ids[int(batch.slots[look.place])], look) for look in part.looks)
        return part

    level._part = parted  # type: ignore[method-assign]
    drive(made, people.chunks(records, [size]))
    assert [look.n for _, look in looks] == [n for n, _ in found]
    return [(client, n, word) for (client, _), (n, word) in zip(looks, found, strict=True)]


@pytest.fixture(scope="module")
def strangers() -> list[bytes]:
    asked = [*people.honest(41, 25), *people.noise("thief", n=40)]
    return people.log_of(people.in_order(asked))


def test_a_client_is_looked_at_when_16_32_64_of_its_queries_were_weighed(
    profile: Profile, strangers: list[bytes]
) -> None:
    found = words(pipeline(profile), strangers)
    asked = [decode_many([record])[0][0].client for record in strangers]
    for client in set(asked):
        n = asked.count(client)
        assert [look for who, look, _ in found if who == client] == [16 << i for i in range(10) if 16 << i <= n]


def of_calibration(profile: Profile, records: Sequence[bytes], watch: Watch | None) -> dict[str, int]:
    """Each client's supremum, as `fit` takes it of its calibration clients."""

    def read() -> Iterator[Chunk]:
        return people.chunks(records)

    survey = honest.survey(read, decode_many, None)
    word = columns.secret_word(profile.secret)
    batch = honest.gather(read, decode_many, survey, (), profile.projection, word).batch
    salts = np.array([fit._salt(survey.model, client, profile.secret) for client in survey.clients], np.uint64)
    known = profile.known
    measured = learn.signals(profile.kit, batch, salts, profile.learned, known, HORIZON_US, word)
    trial = trying.try_clients(measured.exposed(known), profile.laws["client"], watch)
    clients = [survey.clients[owner] for owner in trial.owners]
    return dict(zip(clients, trial.suprema.tolist(), strict=True))


@pytest.mark.parametrize("which", ["its own", "a loud one", "none"])
def test_what_is_calibrated_is_what_production_reaches(profile: Profile, strangers: list[bytes], which: str) -> None:
    """The highest score of each client within the horizon, with the model that watches."""
    made = pipeline(profile)
    level = made._client_level
    level.watch = {"its own": level.watch, "a loud one": lambda n, clock, vector: float(vector.sum()), "none": None}[
        which
    ]
    drive(made, people.chunks(strangers, [77]))
    rows = made.clients.rows
    reached = {client: int(rows["peak"][slot]) for slot, client in enumerate(made.clients.ids)}
    assert reached == of_calibration(profile, strangers, level.watch)
    raised = rows["peak"][: len(reached)] > rows["top"][: len(reached)]
    assert raised.any() == (which == "a loud one") or which == "its own"


def test_saved_and_loaded_it_says_the_same_bit_for_bit(
    profile: Profile, strangers: list[bytes], tmp_path: Path
) -> None:
    artefact.save(profile, tmp_path)
    again = artefact.load(tmp_path)
    assert again.first == profile.first
    assert words(pipeline(again), strangers) == words(pipeline(profile), strangers)


@pytest.mark.parametrize("size", [1, 7, 300])
def test_however_the_stream_is_cut_it_says_the_same(profile: Profile, strangers: list[bytes], size: int) -> None:
    assert words(pipeline(profile), strangers, size) == words(pipeline(profile), strangers)


def test_its_word_holds_until_the_next_look(profile: Profile) -> None:
    """It raises the score of one whom the kernels find usual, from the look on."""
    records = people.log_of([q._replace(client="ann", group=None) for q in people.honest(41, 3, volume=60)][:40])
    made = pipeline(profile)
    made._client_level.watch = lambda n, clock, vector: 3.0 if n == 16 else 0.0
    points = [p for p in drive(made, people.chunks(records)).points if p.kind == "client"]
    assert min(p.n for p in points if p.score >= 3.0) == 16
    assert min(p.n for p in points if p.n > 16 and p.score < 2.0) == 32
    row = made.clients.rows[0]
    assert (row["watch"], row["peak"]) == (0.0, 96)  # levels of 1/32
    assert row["top"] < 48


def test_who_is_odd_in_all_signals_is_found_by_it(profile: Profile, strangers: list[bytes]) -> None:
    """Of the scores of fresh honest clients few are above 1; noise is."""
    found = words(pipeline(profile), strangers)
    assert max(word for client, _, word in found if client == "thief") > 1.0
    honest = {client: 0.0 for client, _, _ in found if client != "thief"}
    for client, _, word in found:
        if client in honest:
            honest[client] = max(honest[client], word)
    assert np.mean([word >= 1.0 for word in honest.values()]) <= 0.15


# -- without it


def test_too_few_clients_are_no_model_and_said(tmp_path: Path) -> None:
    made = fitted(people.log_of(people.honest(15, 90, volume=12)), horizon_us=None, promise=0.1)
    assert (made.first, made.summary.watch) == (None, None)
    (remark,) = [remark for remark in made.summary.remarks if "one-class" in remark]
    assert remark.startswith("no one-class model watches beside the signals: ")
    assert remark in "\n".join(report(made))
    artefact.save(made, tmp_path)
    assert artefact.load(tmp_path).first is None
    assert pipeline(artefact.load(tmp_path))._client_level.watch is None


def test_it_can_be_switched_off() -> None:
    made = fitted(SMALL_LOG, watch=None)
    assert (made.first, made.summary.watch) == (None, None)
    assert not [remark for remark in made.summary.remarks if "one-class" in remark]
    made_of = pipeline(made)
    drive(made_of, people.chunks(SMALL_LOG[:2_000]))
    assert made_of._client_level.watch is None
    assert not made_of.clients.rows["watch"].any()
    assert (made_of.clients.rows["peak"] == made_of.clients.rows["top"]).all()


def test_one_that_another_river_taught_is_refused_when_it_is_used(profile: Profile, tmp_path: Path) -> None:
    assert profile.first is not None
    assert profile.summary.watch is not None
    taught = msgspec.structs.replace(profile.first.taught, river="0.21.0")
    summary = msgspec.structs.replace(
        profile.summary, watch=msgspec.structs.replace(profile.summary.watch, river="0.21.0")
    )
    old = replace(profile, summary=summary, first=msgspec.structs.replace(profile.first, taught=taught))
    artefact.save(artefact.identify(old), tmp_path)
    loaded = artefact.load(tmp_path)  # to be shown and compared it need not be run
    assert "\n".join(report(loaded))
    with pytest.raises(ProfileError, match=r"taught by River 0\.21\.0, and River .* is installed: install river=="):
        pipeline(loaded)


def test_the_channel_is_on_the_score_of_the_looks_that_set_its_scale(profile: Profile) -> None:
    """Half of the scale set are below 0 at their look, and one in a hundred above 1, less the boundary."""
    assert profile.first is not None
    made = watching.restored(profile.first)
    ask = made.watch(0.0)
    said = [ask(n, 0, np.frombuffer(vector, "<f4")) for n, vector in profile.first.scale]
    assert np.mean(np.array(said) <= 1e-9) == pytest.approx(0.5, abs=0.15)
    assert np.mean(np.array(said) >= 1.0) < 0.04
    sloped = made.watch(0.1)
    vector = np.zeros(len(NUMBERS.signals))
    assert ask(128, 0, vector) - sloped(128, 0, vector) == pytest.approx(0.2)
