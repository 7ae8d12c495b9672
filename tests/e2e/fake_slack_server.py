"""HTTP and WebSocket of the local Slack, on one loopback port."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from tests.e2e.fake_slack_api import RateLimited, call, respond
from tests.e2e.fake_slack_strict import Json, Refused
from tests.e2e.fake_slack_world import APP, TICKET_SECONDS, Ack, Call, World

MOST_CONNECTIONS = 10
#: Form fields that hold JSON, and those that hold yes or no.
JSON_FIELDS = {"blocks", "view", "metadata", "attachments"}
FLAGS = {"unfurl_links", "unfurl_media", "include_all_metadata", "inclusive", "link_names", "reply_broadcast"}
YES_NO = {"1": True, "true": True, "True": True, "0": False, "false": False, "False": False}


class Connection:
    """One WebSocket. `retiring`: told to go, gets no new envelopes. `frozen`: hears and says nothing more."""

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.retiring = False
        self.frozen = False
        self.pings = 0
        self._socket = sock
        self._protocol = ServerProtocol()
        self._lock = threading.Lock()

    def shake_hands(self, request: bytes) -> bool:
        with self._lock:
            self._protocol.receive_data(request)
            for event in self._protocol.events_received():
                if isinstance(event, Request):
                    self._protocol.send_response(self._protocol.accept(event))
            self._flush()
            return self._protocol.handshake_exc is None

    def send(self, frame: Json) -> None:
        """Into the void when the other side just went away."""
        if not self.frozen:
            with self._lock, contextlib.suppress(OSError, InvalidState):
                self._protocol.send_text(json.dumps(frame).encode())
                self._flush()

    def frames(self) -> Iterator[Json]:
        """What the client says, until one side ends it. Pings are answered on the way."""
        while data := self._socket.recv(65536):
            if self.frozen:
                continue
            with self._lock:
                self._protocol.receive_data(data)
                events = self._protocol.events_received()
                self._flush()
                ended = self._protocol.close_expected()
            for event in events:
                if isinstance(event, Frame):
                    self.pings += event.opcode is Opcode.PING
                    if event.opcode is Opcode.TEXT:
                        yield json.loads(bytes(event.data))
            if ended:
                return

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError, InvalidState):
            self._protocol.send_close(1000)
            self._flush()

    def cut(self) -> None:
        """End it as a cut cable does: no closing frame."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._socket.sendall(data)


class Hub:
    """All WebSockets; an envelope goes to one of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.connections: list[Connection] = []
        self._waiting: dict[str, tuple[float, Callable[[Ack], None]]] = {}
        self._numbers = itertools.count(1)
        self._turn = itertools.count()

    def deliver(self, envelope: Json, acked: Callable[[Ack], None]) -> int:
        """The number of the connection that it went to; 0 when there is none."""
        with self.world.lock:
            ready = [each for each in self.connections if not each.retiring]
            if not ready:
                return 0
            chosen = ready[next(self._turn) % len(ready)]
            self._waiting[envelope["envelope_id"]] = (time.monotonic(), acked)
        chosen.send(envelope)
        return chosen.number

    def serve(self, sock: socket.socket, request: bytes) -> None:
        with self.world.lock:
            connection = Connection(next(self._numbers), sock)
        if not connection.shake_hands(request):
            return
        with self.world.lock:  # nothing is delivered to it before its hello
            self.connections.append(connection)
            count = len(self.connections)
            if count > MOST_CONNECTIONS:
                connection.retiring = True
                connection.send(disconnect_frame("too_many_websockets"))
                connection.close()
            else:
                connection.send(hello_frame(count))
        try:
            for frame in connection.frames():
                self._heard(connection, frame)
        finally:
            with self.world.lock:
                self.connections.remove(connection)

    def _heard(self, connection: Connection, frame: Json) -> None:
        at = time.monotonic()
        with self.world.lock:
            sent, acked = self._waiting.get(str(frame.get("envelope_id")), (at, None))
            ack = Ack(str(frame.get("envelope_id")), connection.number, at - sent, frame.get("payload"))
            self.world.acks.append(ack)
            if acked:
                acked(ack)


def hello_frame(count: int) -> Json:
    debug = {"host": "applink-local", "build_number": 1, "approximate_connection_time": 18060}
    return {"type": "hello", "num_connections": count, "connection_info": {"app_id": APP}, "debug_info": debug}


def disconnect_frame(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-local"}}


class Server(ThreadingHTTPServer):
    daemon_threads = False  # stopping waits for every thread
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, port: int, world: World, hub: Hub, control: Callable[[str, Json], tuple[str, str]]) -> None:
        self.world = world
        self.hub = hub
        self.control = control
        self.bugs: list[str] = []
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.world.lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self.world.lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.bugs.append(traceback.format_exc())

    def stop(self) -> None:
        """Nothing listens and no thread runs after it; who is connected is cut off."""
        self.stopping.set()
        self.shutdown()
        with self.world.lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 30

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):  # the other side went away
            super().handle()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Quiet: what was called is in `World.calls`."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith("/link"):
            self._link(parse_qs(parts.query).get("ticket", [""])[0])
        elif parts.path.startswith("/control/"):
            self._control(parts.path, dict(parse_qsl(parts.query)))
        else:
            self._answer(404, {"ok": False, "error": "not_found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path = urlsplit(self.path).path
        if path.startswith("/control/"):
            self._control(path, json.loads(body or "{}"))
        elif path.startswith("/api/"):
            self._call(path.removeprefix("/api/"), body)
        elif path.startswith("/respond/"):
            self._call("response_url", body, key=path.removeprefix("/respond/"))
        else:
            self._answer(404, {"ok": False, "error": "not_found"})

    def _link(self, ticket: str) -> None:
        world = self.server.world
        with world.lock:
            made = world.tickets.pop(ticket, None)
        if made is None or world.now() - made > TICKET_SECONDS or not world.socket_mode:
            self._answer(403, {"ok": False, "error": "invalid_ticket"})
            return
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        self.connection.settimeout(None)
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.server.hub.serve(self.connection, f"{self.requestline}\r\n{headers}\r\n".encode())

    def _call(self, method: str, body: str, key: str = "") -> None:
        world = self.server.world
        at = world.now()
        token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        try:
            arguments = self._arguments(body)
        except ValueError:
            self._answer(200, {"ok": False, "error": "invalid_json"})
            return
        token = token or str(arguments.pop("token", ""))
        arguments.pop("token", None)
        with world.lock:
            fault = world.take_fault(method)
        if fault and fault.hang:
            with world.lock:
                world.hanging.append(method)
            self.server.stopping.wait(fault.hang)
            with world.lock:
                world.hanging.remove(method)
        headers = {"X-OAuth-Scopes": ",".join(sorted(world.scopes))} if token == world.bot_token else {}
        status = 200
        if fault and fault.cut:
            status, answer = 0, {"ok": False, "error": "(cut)"}
        elif fault and fault.error:
            answer = {"ok": False, "error": fault.error}
        elif fault and fault.status:
            status = fault.status
            answer = {"ok": False, "error": "ratelimited" if status == 429 else "internal_error"}
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        else:
            try:
                with world.lock:
                    answer = self._process(method, token, arguments, key)
            except Refused as refusal:
                answer = {"ok": False, "error": refusal.error, **refusal.more}
                status = 404 if key else 200
            except RateLimited as limited:
                status, answer = 429, {"ok": False, "error": "ratelimited"}
                headers = {"Retry-After": str(math.ceil(limited.seconds))}
        dropped = status == 0 or bool(fault and fault.drop)
        with world.lock:
            error = "" if answer["ok"] else str(answer["error"])
            world.calls.append(Call(method, arguments, 0 if dropped else status, error, at))
        if dropped:
            self.close_connection = True
        elif key and answer["ok"]:
            self._answer_text(200, "ok", "text/html")
        else:
            self._answer(status, answer, headers)

    def _process(self, method: str, token: str, arguments: Json, key: str) -> Json:
        if key:
            respond(self.server.world, key, arguments)
            return {"ok": True}
        return call(self.server.world, method, token, arguments)

    def _arguments(self, body: str) -> Json:
        """A JSON body or a form, in which structures are JSON and flags are 0 and 1."""
        if "json" in self.headers.get("Content-Type", ""):
            arguments: Json = json.loads(body or "{}")
            if not isinstance(arguments, dict):
                raise ValueError("not an object")
        else:
            arguments = dict(parse_qsl(body, keep_blank_values=True))
        for name in JSON_FIELDS & arguments.keys():
            if isinstance(arguments[name], str):
                with contextlib.suppress(ValueError):  # what is no JSON is refused by who reads it
                    arguments[name] = json.loads(arguments[name])
        for name in FLAGS & arguments.keys():
            arguments[name] = YES_NO.get(str(arguments[name]), arguments[name])
        return arguments

    def _control(self, path: str, arguments: Json) -> None:
        try:
            text, kind = self.server.control(path.removeprefix("/control/"), arguments)
            self._answer_text(200, text, kind)
        except (LookupError, TypeError, ValueError, AssertionError) as error:
            self._answer(400, {"ok": False, "error": f"{type(error).__name__}: {error}"})

    def _answer(self, status: int, answer: Json, headers: dict[str, str] | None = None) -> None:
        scopes = {"X-OAuth-Scopes": ",".join(sorted(self.server.world.scopes))}
        self._answer_text(status, json.dumps(answer), "application/json; charset=utf-8", scopes | (headers or {}))

    def _answer_text(self, status: int, text: str, kind: str, headers: dict[str, str] | None = None) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
