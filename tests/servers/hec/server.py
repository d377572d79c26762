"""A strict HTTP Event Collector on loopback: real HTTP, kept connections, steered by the test, answering as Splunk."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections import defaultdict, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

from tests.servers.hec.answers import Fault, Reply, coded
from tests.servers.hec.protocol import CHANNEL, Event, channel_of, events_of, token_of, unpacked

ROOT = "/services/collector"
EVENT_PATHS = (ROOT, f"{ROOT}/event", f"{ROOT}/event/1.0")
RAW_PATHS = (f"{ROOT}/raw", f"{ROOT}/raw/1.0")


class Request(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes
    connection: tuple[str, int]


class HecServer:
    """Use as a context manager.

    script: replies to the next requests that carry events, before anything is looked at; None stands for "as usual",
    SWALLOWED for a request that is taken and not answered. Without it the server answers by its own state: `disabled`,
    `indexes` (those the token may write to), `health` (a code), `largest` (bytes of a request), `acknowledges`.
    keeps_before_fault: whether events before a bad one are kept; Splunk's documents do not say.
    events: what was taken, in order. indexing: whether what is taken counts as indexed at once; else call `index`.
    """

    def __init__(self, token: str, *, tls: tuple[Path, Path] | None = None) -> None:
        self.token = token
        self.disabled = False
        self.acknowledges = False
        self.indexing = True
        self.indexes: set[str] | None = None
        self.health = 17
        self.largest = 1_000_000
        self.keeps_before_fault = False
        self.script: deque[Reply | None] = deque()
        self.events: list[Event] = []
        self.requests: list[Request] = []
        self._acks: defaultdict[str, dict[int, bool]] = defaultdict(dict)
        self._next_ack: defaultdict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._tls = tls
        self._http = self._bound(0)
        self.port: int = self._http.server_port
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._serve()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Nobody listens any more, and kept connections end; `start` listens at the same port again."""
        self._http.shutdown()
        self._http.server_close()

    def start(self) -> None:
        self._http = self._bound(self.port)
        self._serve()

    def index(self) -> None:
        """What was taken so far is indexed."""
        with self._lock:
            for acks in self._acks.values():
                acks.update(dict.fromkeys(acks, True))

    def ids(self) -> list[str]:
        """Of the alerts that were taken."""
        return [event["event"]["id"] for event in self.events]

    def answer(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            try:
                return self._answer(request)
            except Fault as fault:
                return fault.reply

    def _answer(self, request: Request) -> Reply:
        route = (request.method, request.path)
        if route in (("GET", f"{ROOT}/health"), ("GET", f"{ROOT}/health/1.0")):
            return coded(self.health)
        if request.method != "POST" or request.path not in (*EVENT_PATHS, *RAW_PATHS, f"{ROOT}/ack"):
            return Reply(404, b'{"text":"The requested URL was not found on this server.","code":404}')
        if request.path == f"{ROOT}/ack":
            return self._ack(request)
        scripted = self.script.popleft() if self.script else None
        if scripted is not None and not (scripted.close and scripted.body == b"taken"):
            return scripted
        taken = self._take(request)
        return scripted or taken

    def _take(self, request: Request) -> Reply:
        self._authorize(request)
        raw = request.path in RAW_PATHS
        channel = None
        if self.acknowledges or raw:
            channel = channel_of(request.headers.get(CHANNEL.lower()), request.query)
        if len(request.body) > self.largest:
            return Reply(413, b"<html>Request Entity Too Large</html>")
        body = unpacked(request.body, request.headers.get("content-encoding"))
        if raw:
            self.events += [{"event": line} for line in body.decode().splitlines()]
        else:
            self._take_events(body)
        if not self.acknowledges:
            return coded(0)
        assert channel is not None
        number = self._next_ack[channel]
        self._next_ack[channel] += 1
        self._acks[channel][number] = self.indexing
        return coded(0, ackId=number)

    def _take_events(self, body: bytes) -> None:
        try:
            self.events += events_of(body, indexes=self.indexes)
        except Fault as fault:
            at_fault = json.loads(fault.reply.body).get("invalid-event-number")
            if self.keeps_before_fault and at_fault is not None:
                self.events += _before(body, at_fault)
            raise

    def _ack(self, request: Request) -> Reply:
        self._authorize(request)
        if not self.acknowledges:
            raise Fault(14)
        acks = self._acks[channel_of(request.headers.get(CHANNEL.lower()), request.query)]
        try:
            wanted = json.loads(unpacked(request.body, request.headers.get("content-encoding")))["acks"]
        except (ValueError, KeyError, TypeError):
            raise Fault(6) from None
        if not all(type(one) is int for one in wanted):
            raise Fault(6)
        told = {str(one): acks.get(one, False) for one in wanted}
        for one in wanted:
            if acks.get(one):
                del acks[one]  # told once
        return Reply(200, json.dumps({"acks": told}).encode())

    def _authorize(self, request: Request) -> None:
        if token_of(request.headers.get("authorization"), request.query) != self.token:
            raise Fault(4)
        if self.disabled:
            raise Fault(1)

    def _bound(self, port: int) -> ThreadingHTTPServer:
        http = _Http(("127.0.0.1", port), _handler(self))
        if self._tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._tls)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        return http

    def _serve(self) -> None:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        for connection in self._open:
            with contextlib.suppress(OSError):  # it has ended already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _handler(server: HecServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length")
            if length is None:
                self._reply(Reply(411, b""))
                return
            self._reply(server.answer(self._request(self.rfile.read(int(length)))))

        def do_GET(self) -> None:
            self._reply(server.answer(self._request(b"")))

        def _request(self, body: bytes) -> Request:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(parts.query))
            return Request(self.command, parts.path, query, headers, body, self.client_address)

        def _reply(self, reply: Reply) -> None:
            if reply.close:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json; charset=UTF-8", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
            pass

    return Handler


def _before(body: bytes, number: int) -> list[Event]:
    """The first `number` events of a body whose next one is bad."""
    kept: list[Event] = []
    rest = body.decode().lstrip()
    for _ in range(number):
        event, end = json.JSONDecoder().raw_decode(rest)
        kept.append(event)
        rest = rest[end:].lstrip()
    return kept
