"""How far long work has come is said in one line on a terminal, and now and then in the log elsewhere."""

from __future__ import annotations

import io

import pytest
from structlog.testing import capture_logs

from detector import progress
from detector.progress import EVERY_LOG_S, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still until a test moves it."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_on_a_terminal_one_line_renews_itself_and_is_gone_at_the_end(clock: list[float]) -> None:
    out = Terminal()
    with Progress("fit", out) as shown:
        shown.stage("reading")
        clock[0] += 65
        shown.add(12_345)
        shown.add(1)  # too soon to be shown
    assert out.getvalue().split("\r\033[K") == ["", "fit: reading (0 s)", "fit: reading 12,345 (65 s)", ""]
    assert "\n" not in out.getvalue()


def test_elsewhere_it_is_a_log_line_now_and_then(clock: list[float]) -> None:
    out = io.StringIO()
    with capture_logs() as logged, Progress("replay", out) as shown:
        shown.stage("reading")
        for _ in range(3):
            clock[0] += EVERY_LOG_S * 0.6
            shown.add(100)
        shown.stage("judging")
    assert out.getvalue() == ""
    assert {line["event"] for line in logged} == {"Work goes on"}
    assert [(line["what"], line["stage"], line["count"]) for line in logged] == [
        ("replay", "reading", 0),
        ("replay", "reading", 200),
        ("replay", "judging", 0),
    ]


def test_the_line_is_gone_before_an_error_is_told(clock: list[float]) -> None:
    out = Terminal()

    def work() -> None:
        with Progress("fit", out) as shown:
            shown.stage("reading")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        work()
    assert out.getvalue().endswith("\r\033[K")
