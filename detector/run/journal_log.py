"""How the program's own log looks: one fixed sentence plus fields, JSON for machines and columns for a terminal."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]


def configure(level: Level = "info", json: bool | None = None, *, stream: TextIO | None = None) -> None:
    """Sets up structlog and, behind it, the logging of libraries. `json` None: JSON unless stderr is a terminal.

    Tracebacks come without the values of local variables, which hold prompts and vectors.
    """
    out = stream or sys.stderr
    as_json = not out.isatty() if json is None else json
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # couriers bind early, and tests configure anew
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_ending(as_json, out.isatty())],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # libraries speak up when something is wrong
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


OURS = ("detector", "sinks", "features")


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error that nobody expected is a line like any other, not a loose traceback between JSON lines."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger(__name__).error("The program ends on an error", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
    name = args.thread.name if args.thread else ""
    structlog.get_logger(__name__).error("A thread ended on an error", thread=name, exc_info=exc_info)


def _ending(as_json: bool, colors: bool) -> list[Processor]:
    if as_json:
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [
            structlog.processors.ExceptionRenderer(tracebacks),
            _message_first,
            structlog.processors.JSONRenderer(),
        ]
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]


def _message_first(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """`message`, as ECS and most log shippers expect it, and before the fields."""
    return {"at": event.pop("at", None), "level": event.pop("level", None), "message": event.pop("event", ""), **event}
