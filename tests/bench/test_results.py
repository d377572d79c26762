"""How benchmark figures are written down."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.results import save, table
from detector.redteam.detectors.conformal import interval


def test_a_table_has_a_row_for_each_and_a_rule() -> None:
    assert table(["what", "share"], [("a", 1), ("b", 0.5)]).splitlines() == [
        "| what | share |",
        "| --- | ---: |",
        "| a | 1 |",
        "| b | 0.5 |",
    ]


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(0, 30, 0.0, 0.1157), (30, 30, 0.8843, 1.0), (5, 10, 0.1871, 0.8129)]
)
def test_clopper_pearson_as_tabled(hits: int, of: int, low: float, high: float) -> None:
    assert interval(hits, of) == pytest.approx((low, high), abs=1e-4)


def test_figures_are_kept_with_the_machine_that_found_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save("trial", {"times": np.array([1.5, 2.0]), "n": np.int64(2)}, "# Trial\n\n", tmp_path)
    kept = msgspec.json.decode((tmp_path / "trial.json").read_bytes())
    assert (kept["times"], kept["n"]) == ([1.5, 2.0], 2)
    assert kept["machine"]["numpy"] == np.__version__
    assert (tmp_path / "trial.md").read_text() == "# Trial\n"
    assert capsys.readouterr().out.startswith("# Trial")
