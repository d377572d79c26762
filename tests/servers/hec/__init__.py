"""A strict stand-in for Splunk's HTTP Event Collector; test_hec_honest drives it with clients that are not ours."""

from __future__ import annotations

from tests.servers.hec.answers import Reply, coded
from tests.servers.hec.server import HecServer, Request

__all__ = ["SILENCE", "SWALLOWED", "HecServer", "Reply", "Request", "coded"]

SILENCE = Reply(0, b"", close=True)  # the connection ends before anything was taken
SWALLOWED = Reply(0, b"taken", close=True)  # taken, and the connection ends before the answer
