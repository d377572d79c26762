"""Without training data clients of the learn set stand in for it: capped, and never measured by what they asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.profile import honest, learn, scaling, trying
from detector.profile.report import report
from tests import people
from tests.conftest import fitted

ASKED = people.honest(22, 120, days=6.0, life=2.0, volume=15)
CLIENTS = list(dict.fromkeys(q.client for q in ASKED))


class Seen:
    """Who stood in for the training data, and who was measured against it to teach, to scale or to calibrate."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.referees: NDArray[np.bool_] = np.empty(0, np.bool_)
        self.inputs: NDArray[np.float64] = np.empty((0, 0))
        self.measured: set[int] = set()
        sample, nulls = honest.sample, learn.learn_nulls
        scale, tried = scaling.learn_scale, trying.try_clients

        def sampled(read: Any, decode: Any, survey: Any, wanted: Any, seed: int, reader: Any) -> Any:
            self.referees = wanted
            self.inputs, labels = sample(read, decode, survey, wanted, seed, reader)
            return self.inputs, labels

        def noted(call: Any) -> Any:
            def noting(measured: learn.Measured, *more: Any) -> Any:
                self.measured |= set(measured.owner.tolist())
                return call(measured, *more)

            return noting

        monkeypatch.setattr(honest, "sample", sampled)
        monkeypatch.setattr(learn, "learn_nulls", noted(nulls))
        monkeypatch.setattr(scaling, "learn_scale", noted(scale))
        monkeypatch.setattr(trying, "try_clients", noted(tried))


def of_clients(inputs: Sequence[Sequence[float]], asked: Sequence[people.Asked]) -> Counter[str]:
    """How many of these inputs each client asked."""
    who = {tuple(one.input.tolist()): one.client for one in asked}
    return Counter(who[tuple(row)] for row in inputs)


def test_no_client_is_measured_by_its_own_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen(monkeypatch)
    made = fitted(people.log_of(ASKED), trained=False, promise=0.1, horizon_us=None)
    referees = set(np.flatnonzero(seen.referees).tolist())
    assert referees
    assert not referees & seen.measured
    assert {CLIENTS.index(name) for name in of_clients(seen.inputs.tolist(), ASKED)} == referees
    assert made.summary.reference == f"honest traffic of {len(referees)} clients"
    assert f"Training distribution: honest traffic of {len(referees)} clients." in "\n".join(report(made))


def test_nobody_gives_more_than_his_share_of_the_references(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen(monkeypatch)
    much = [one for i, name in enumerate(CLIENTS[::8]) for one in people.noise(name, seed=i, n=150)]
    loud = people.in_order([*ASKED, *much])
    fitted(people.log_of(loud), trained=False, promise=0.1, horizon_us=None)
    given = of_clients(seen.inputs.tolist(), loud)
    assert max(given.values()) == honest.SAMPLE_PER_CLIENT


def test_with_training_data_nobody_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen(monkeypatch)
    assert fitted(people.log_of(ASKED), promise=0.1, horizon_us=None).summary.reference == "training"
    assert not seen.referees.size
