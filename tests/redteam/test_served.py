"""Victims of the user's own: behind an address, by a function, in their own units; and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from detector.errors import SettingsError
from detector.query import F64
from detector.redteam.grounds import grounds
from detector.redteam.served import Units, UsersVictim, asker_of
from detector.redteam.world import simulate
from tests.reading import decode

ROWS = 240


def shares(inputs: F64) -> F64:
    """Three classes by the first number, in units of 0 to 100."""
    near = -np.abs(inputs[:, :1] - np.array([10.0, 50.0, 90.0])) / 10
    p = np.exp(near)
    out: F64 = p / p.sum(axis=1, keepdims=True)
    return out


def names(inputs: F64) -> list[str]:
    return [("low", "middle", "high")[code] for code in shares(inputs).argmax(axis=1)]


def crooked(inputs: F64) -> F64:
    return np.zeros((1, 2, 3))


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        p = shares(np.array([asked["input"]]))[0]
        answers: dict[str, Any] = {
            "/shares": {"probabilities": p.tolist()},
            "/labels": {"label": int(p.argmax())},
            "/nothing": {"score": 1},
            "/words": "hello",
        }
        body = json.dumps(answers.get(self.path)).encode()
        self.send_response(200 if self.path in answers else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    inputs = np.random.default_rng(0).uniform(0, 100, (ROWS, 5))
    path = tmp_path / "data.npz"
    np.savez(path, inputs=inputs, labels=shares(inputs).argmax(axis=1))
    return path


def test_an_address_answers_as_the_model_does(address: str) -> None:
    x = np.array([[12.0, 1.0], [55.0, 2.0]])
    assert np.allclose(asker_of(f"{address}/shares")(x), shares(x))
    assert asker_of(f"{address}/labels")(x) == [0, 1]


@pytest.mark.parametrize(
    ("path", "said"), [("/nothing", "neither a label"), ("/words", "something else"), ("/gone", "status 404")]
)
def test_an_address_that_answers_otherwise_is_refused(address: str, path: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        asker_of(address + path)(np.ones((1, 2)))


def test_an_address_where_nobody_listens_is_refused() -> None:
    with pytest.raises(SettingsError, match="cannot be asked"):
        asker_of("http://127.0.0.1:1/")(np.ones((1, 2)))


@pytest.mark.parametrize("victim", ["digit", "ftp://127.0.0.1/", "python:tests.redteam.test_served"])
def test_what_is_no_victim_is_refused(victim: str) -> None:
    with pytest.raises(SettingsError):
        asker_of(victim)


def test_units_are_those_of_the_data() -> None:
    data = np.array([[0.0, -5.0, 7.0], [10.0, 5.0, 7.0]])
    units = Units.of(data)
    assert np.allclose(units.unit(data), [[0, 0, 0], [1, 1, 0]])
    assert np.allclose(units.own(units.unit(data)), data)
    inside = Units.of(np.array([[0.2, 0.9], [0.3, 0.5]]))
    assert np.allclose(inside.own(np.array([[0.2, 0.9]])), [[0.2, 0.9]])


def test_the_log_is_in_the_models_units(data: Path) -> None:
    ground = grounds("python:tests.redteam.test_served:shares", data, 1)
    traffic = simulate(ground.world, seed=1, honest=3, attackers={"harvest": 1, "uniform": 1}, budget=40)
    queries = [decode(line) for line in ground.as_logged(traffic, "theirs").lines()]
    assert {query.model for query in queries} == {"theirs"}
    assert max(max(query.input) for query in queries) > 90
    for query in queries[:50]:
        assert query.probabilities == pytest.approx(shares(np.array([query.input]))[0], abs=1e-3)


def test_labels_alone_are_logged_alone_and_by_their_names(data: Path) -> None:
    with np.load(data) as arrays:
        inputs = arrays["inputs"]
    np.savez(data, inputs=inputs, labels=np.array(names(inputs)))
    ground = grounds("python:tests.redteam.test_served:names", data, 1)
    traffic = simulate(ground.world, seed=1, honest=3, budget=40)
    queries = [decode(line) for line in ground.as_logged(traffic).lines()]
    assert {query.label for query in queries} <= {"low", "middle", "high"}
    assert all(query.probabilities is None for query in queries)
    assert ground.exam.truth is not None
    assert (ground.exam.answers == ground.exam.truth).mean() > 0.8


def test_without_labels_nothing_is_said_of_the_truth(data: Path) -> None:
    with np.load(data) as arrays:
        np.savez(data, inputs=arrays["inputs"])
    assert grounds("python:tests.redteam.test_served:shares", data, 1).exam.truth is None


def test_a_victim_that_answers_in_another_shape_is_refused(data: Path) -> None:
    with pytest.raises(SettingsError, match="of the shape"):
        grounds("python:tests.redteam.test_served:crooked", data, 1)


def test_a_label_that_no_row_has_is_refused() -> None:
    victim = UsersVictim("v", Units(np.zeros(2), np.ones(2)), lambda x: ["new"] * len(x), ("old",))
    with pytest.raises(SettingsError, match="new"):
        victim.ask(np.ones((1, 2)))


@pytest.mark.parametrize("arrays", [{}, {"inputs": np.ones((5, 2))}, {"inputs": np.full((300, 2), np.nan)}])
def test_unusable_data_are_refused(arrays: dict[str, F64], tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(SettingsError, match="--data"):
        grounds("python:tests.redteam.test_served:shares", tmp_path / "data.npz", 1)


def test_a_bundled_victim_brings_its_images(data: Path) -> None:
    with pytest.raises(SettingsError, match="brings its images"):
        grounds("digits", data, 1)
    with pytest.raises(SettingsError, match="--data"):
        grounds("python:tests.redteam.test_served:shares", None, 1)


def test_shares_of_other_classes_than_the_data_name_are_refused(data: Path) -> None:
    with np.load(data) as arrays:
        np.savez(data, inputs=arrays["inputs"], labels=np.where(arrays["labels"] > 0, "more", "less"))
    with pytest.raises(SettingsError, match="3 classes; --data has 2 labels"):
        grounds("python:tests.redteam.test_served:shares", data, 1)


def test_data_that_lack_a_class_still_tell_the_truth(data: Path) -> None:
    """Labels 0 and 2 of a model of three: they mean the same as its shares do."""
    with np.load(data) as arrays:
        kept = arrays["labels"] != 1
        inputs, labels = np.tile(arrays["inputs"][kept], (2, 1)), np.tile(arrays["labels"][kept], 2)
    np.savez(data, inputs=inputs, labels=labels)
    exam = grounds("python:tests.redteam.test_served:shares", data, 1).exam
    assert exam.truth is not None
    assert (exam.answers == exam.truth).mean() > 0.8


def test_labels_that_are_neither_names_nor_numbers_are_refused(data: Path) -> None:
    with np.load(data) as arrays:
        np.savez(data, inputs=arrays["inputs"], labels=arrays["labels"] - 0.5)
    with pytest.raises(SettingsError, match="neither names nor whole numbers"):
        grounds("python:tests.redteam.test_served:shares", data, 1)
