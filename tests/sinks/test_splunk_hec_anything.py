"""Whatever the collector answers, in whatever order: no alert is lost, and none overtakes another."""

from __future__ import annotations

import os
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import SinkBusy, SinkRefused
from detector.secret import Secret
from sinks.splunk_hec import SplunkHecSettings
from tests.servers.hec import SILENCE, SWALLOWED, HecServer, Reply, coded
from tests.servers.hec.answers import TEXTS
from tests.sinks.alerts import alert
from tests.sinks.conftest import TOKEN, TOKEN_IN

AT_FAULT = (6, 12, 13)
codes = st.sampled_from([code for code in TEXTS if code not in (0, *AT_FAULT)]).map(coded)
faults = st.builds(lambda code, event: coded(code, event=event), st.sampled_from(AT_FAULT), st.integers(0, 7))
proxies = st.sampled_from([Reply(200, b"<html>"), Reply(302, b""), Reply(413, b""), Reply(429, b""), Reply(502, b"")])
replies = st.one_of(st.none(), st.none(), codes, faults, proxies, st.sampled_from([SILENCE, SWALLOWED]))


@settings(max_examples=60, deadline=None)
@given(script=st.lists(replies, max_size=12), count=st.integers(1, 8), max_bytes=st.sampled_from([10, 2_500, 800_000]))
def test_nothing_is_lost_and_order_is_kept(script: list[Reply | None], count: int, max_bytes: int) -> None:
    alerts = {alert(number).id: alert(number) for number in range(count)}
    left, refused = list(alerts), set()
    with HecServer(TOKEN) as hec, mock.patch.dict(os.environ, {TOKEN_IN: TOKEN}):
        hec.script.extend(script)
        sink = SplunkHecSettings(url=hec.url, token=Secret(env=TOKEN_IN), max_bytes=max_bytes).open()
        for _ in range(len(script) + 1):
            try:
                delivery = sink.deliver([alerts[id_] for id_ in left])
            except (SinkBusy, SinkRefused):
                continue
            refused |= {refusal.alert_id for refusal in delivery.refused}
            assert list(delivery.retry) == [id_ for id_ in left if id_ in delivery.retry]
            left = list(delivery.retry)
            if not left:
                break
        sink.close()
    assert left == []
    taken = list(dict.fromkeys(hec.ids()))
    assert set(taken) | refused == set(alerts)
    assert taken == [id_ for id_ in alerts if id_ in taken]
