"""Indexer acknowledgement: which alerts Splunk accepted and is not yet known to have indexed, and how long to wait.

Source: Splunk, "About HTTP Event Collector Indexer Acknowledgment". An id is reported true once and then forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from detector.errors import SinkBusy, SinkRefused
from sinks.splunk_hec_answers import Answer, error_of

POLL_S = 1.0  # Splunk asks clients not to poll more often
NO_ACKS = "Splunk took alerts without an ackId: indexer acknowledgement is off for this token"


class Acknowledgements:
    """The ids of one channel. What is not acknowledged within `timeout_s` is to be sent again.

    ask: sends the body of a request to the ack endpoint.
    """

    def __init__(
        self,
        ask: Callable[[bytes], Answer],
        *,
        timeout_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ask = ask
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._sleep = sleep
        self._open: dict[int, tuple[str, ...]] = {}  # ack id -> alerts
        self._in_doubt = False  # the last request was taken without an id

    def probe(self) -> None:
        """Raises SinkRefused when the token has no acknowledgement; asks for an id that nobody waits for."""
        self._poll([0])

    def expect(self, ack_id: int | None, alert_ids: Sequence[str]) -> None:
        if ack_id is None:
            self._in_doubt = True
            raise SinkRefused(NO_ACKS)
        self._open[ack_id] = tuple(alert_ids)

    def late(self) -> frozenset[str]:
        """The alerts of the call before that are indexed by now; of the others nothing is expected any more.

        Asked before anything is sent, so that a collector that has stopped to acknowledge is not sent doubles.
        """
        if self._in_doubt:
            self.probe()
            self._in_doubt = False
        before = frozenset(self._waiting())
        if self._open:
            self._settle()
        indexed = before - frozenset(self._waiting())
        self._open.clear()
        return indexed

    def wait(self) -> frozenset[str]:
        """Returns when all is indexed, or the alerts that are not when the time is over."""
        end = self._monotonic() + self._timeout_s
        while self._open:
            with suppress(SinkBusy):  # it may answer yet, until the time is over
                self._settle()
            if not self._open or self._monotonic() + POLL_S > end:
                break
            self._sleep(POLL_S)
        return frozenset(self._waiting())

    def _waiting(self) -> list[str]:
        return [alert_id for ids in self._open.values() for alert_id in ids]

    def _settle(self) -> None:
        done = self._poll(list(self._open))
        self._open = {ack: ids for ack, ids in self._open.items() if ack not in done}

    def _poll(self, ack_ids: Sequence[int]) -> set[int]:
        answer = self._ask(msgspec.json.encode({"acks": ack_ids}))
        if answer.status != 200 or answer.acks is None:
            raise error_of(answer)
        return {ack for ack in ack_ids if answer.acks.get(str(ack), False)}
