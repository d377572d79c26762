"""Hands alerts to Splunk in order, part by part, and finds the one event that a whole request was refused for.

Splunk has no idempotence: an alert whose request was not answered is sent again, and may be there twice under one `id`.
A request that is refused for one event is sent again without it. Whether Splunk keeps the events before a bad one is
not documented, so these may be doubled too; they are never lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from detector.alert import Alert
from detector.errors import SinkBusy, SinkError
from sinks.contract import Delivery, Refusal
from sinks.splunk_hec_acks import Acknowledgements
from sinks.splunk_hec_answers import Answer, error_of
from sinks.splunk_hec_collector import Collector
from sinks.splunk_hec_events import Event, body, event, parts

if TYPE_CHECKING:
    from sinks.splunk_hec import SplunkHecSettings


class SplunkHecSink:
    """acks: given where the token has indexer acknowledgement; then an alert is taken only once it is indexed."""

    def __init__(self, settings: SplunkHecSettings, collector: Collector, acks: Acknowledgements | None = None) -> None:
        self._metadata = settings.metadata
        self._max_bytes = settings.max_bytes
        self._collector = collector
        self._acks = acks

    def check(self) -> str:
        answer = self._collector.health()
        if not answer.healthy:
            raise error_of(answer)
        if self._acks is not None:
            self._acks.probe()
            return "Splunk's HTTP Event Collector is healthy, and acknowledges"
        return "Splunk's HTTP Event Collector is healthy"

    def deliver(self, alerts: Sequence[Alert]) -> Delivery:
        indexed = self._acks.late() if self._acks is not None else frozenset()
        wanted = {alert.id: alert for alert in alerts if alert.id not in indexed}
        events = [event(alert, self._metadata) for alert in wanted.values()]
        delivery = self._send(events, begun=bool(indexed))
        if self._acks is None:
            return delivery
        missing = self._acks.wait()
        return msgspec.structs.replace(
            delivery, retry=tuple(id_ for id_ in wanted if id_ in missing or id_ in delivery.retry)
        )

    def close(self) -> None:
        self._collector.close()

    def _send(self, events: Sequence[Event], *, begun: bool) -> Delivery:
        """Stops at the first part that is not answered for: what follows must not overtake it.

        begun: something of the call has arrived already, so that raising, which says that all comes again, is wrong.
        """
        todo = deque(parts(events, self._max_bytes))
        refused: list[Refusal] = []
        while todo:
            part = todo.popleft()
            try:
                fault = self._post(part)
            except SinkError as error:
                if not begun:
                    raise
                left = tuple(one.alert_id for rest in (part, *todo) for one in rest)
                pause = error.retry_after_s if isinstance(error, SinkBusy) else None
                return Delivery(left, tuple(refused), pause)
            if fault is not None:
                rest, refusals = isolate(part, fault)
                todo.extendleft(reversed(rest))
                refused += refusals
            begun = begun or fault is None or bool(refused)
        return Delivery(refused=tuple(refused))

    def _post(self, part: Sequence[Event]) -> Answer | None:
        """None when it was taken; the answer where one event, or the size of the request, is at fault."""
        answer = self._collector.post(body(part))
        if answer.blames_an_event or answer.too_large:
            return answer
        if not answer.taken:
            raise error_of(answer)
        if self._acks is not None:
            self._acks.expect(answer.ack_id, [one.alert_id for one in part])
        return None


def isolate(part: Sequence[Event], fault: Answer) -> tuple[list[list[Event]], list[Refusal]]:
    """What is left to send, in order, and who is refused; halves where nobody is named.

    A part of one is its own culprit. `invalid-event-number` counts from 0.
    """
    named = fault.at_fault if fault.blames_an_event else None
    if len(part) == 1:
        named = 0
    if named is not None and 0 <= named < len(part):
        others = [*part[:named], *part[named + 1 :]]
        return ([others] if others else []), [Refusal(part[named].alert_id, _reason(fault))]
    half = len(part) // 2
    return [list(part[:half]), list(part[half:])], []


def _reason(fault: Answer) -> str:
    if fault.too_large:
        return "larger than Splunk, or a proxy before it, takes in one request (413)"
    return f"Splunk answers {fault.status}, code {fault.code} ({fault.text or 'no reason given'})"
