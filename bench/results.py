"""Where a benchmark leaves what it found: docs/bench/NAME.json, a page of Markdown and a plot beside it."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

HERE = Path(__file__).resolve().parents[1] / "docs" / "bench"
BUILD = Path(__file__).resolve().parents[1] / "build" / "bench"
INK, QUIET, OURS, THEIRS, LINE = "#222222", "#8a8a8a", "#1f5fa8", "#c8642d", "#b02a37"

_began = time.monotonic()


def say(text: str) -> None:
    """A line of progress."""
    print(f"[{time.monotonic() - _began:6.0f} s] {text}", file=sys.stderr, flush=True)


def save(name: str, found: Mapping[str, Any], page: str, folder: Path = HERE) -> None:
    """Writes NAME.json (with the machine that found it) and NAME.md, and prints the page."""
    folder.mkdir(parents=True, exist_ok=True)
    body = msgspec.json.encode({"machine": machine(), **found}, enc_hook=_plain)
    (folder / f"{name}.json").write_bytes(msgspec.json.format(body, indent=1) + b"\n")
    (folder / f"{name}.md").write_text(page.rstrip() + "\n")
    print(page)


def machine() -> dict[str, str]:
    """What a figure in seconds depends on."""
    packages = ("numpy", "numba", "msgspec", "scikit-learn")
    return {"processor": _processor(), "python": platform.python_version()} | {name: version(name) for name in packages}


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    ruled = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(str(cell) for cell in row)} |" for row in (head, ruled, *rows))


def spread(of: Sequence[float], form: str) -> str:
    """Median, least and most, as one cell.

    >>> spread([2.0, 1.0, 3.0], "{:.0f}")
    '2 [1, 3]'
    """
    middle, least, most = (form.format(value) for value in of)
    return f"{middle} [{least}, {most}]"


def figure(width: float = 8.0, height: float = 4.0, **of: Any) -> tuple[Any, Any]:
    """A figure and its axes, drawn to be read at the width of a page."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": QUIET,
         "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "text.color": INK, "axes.titlesize": 12}
    )  # fmt: skip
    return plt.subplots(figsize=(width, height), layout="constrained", **of)


def save_plot(name: str, drawn: Any, folder: Path = HERE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    drawn.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise NotImplementedError(type(value))
