"""How far long work has come: one line that renews itself on a terminal, log lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

import structlog

EVERY_TERMINAL_S = 0.2
EVERY_LOG_S = 10.0


class Progress:
    """Use as a context; `stage` names what is being done, `add` counts what was done in it."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self._what = what
        self._out = stream or sys.stderr
        self._terminal = self._out.isatty()
        self._stage, self._count = "", 0
        self._began = self._shown = time.monotonic()

    def stage(self, text: str) -> None:
        self._stage, self._count = text, 0
        self._show()

    def add(self, count: int) -> None:
        self._count += count
        every = EVERY_TERMINAL_S if self._terminal else EVERY_LOG_S
        if time.monotonic() - self._shown >= every:
            self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        elapsed = self._shown - self._began
        if self._terminal:
            count = f" {self._count:,}" if self._count else ""
            self._out.write(f"\r\033[K{self._what}: {self._stage}{count} ({elapsed:.0f} s)")
            self._out.flush()
        else:
            log = structlog.get_logger(__name__)
            log.info("Work goes on", what=self._what, stage=self._stage, count=self._count, elapsed_s=round(elapsed, 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            self._out.write("\r\033[K")
            self._out.flush()
