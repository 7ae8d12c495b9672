"""The connection to Slack: Bolt in Socket Mode. Listeners hand over what came, and acknowledge; nothing else.

Two connections: while Slack renews one, the other hears. Each comes back by itself; how often it asks for a new
address while Slack is away is decided here.
"""

from __future__ import annotations

import json
import logging
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.request import BoltRequest

from bot import inbound
from bot.access import Identity
from bot.inbound import Inbound
from bot.slack_client import Api, Failed, Tokens, Trouble, failure_of, quiet_logger

CONNECTIONS = 2
PING = 3.0  #: seconds; a connection that is silent for four of them is made anew
LONGEST_PAUSE = 60.0  #: seconds between two tries to connect
ANSWER_MODAL = "request:answer"

#: False: it is not taken, so Slack tells the person that nothing happened.
Receive = Callable[[Inbound], bool]


class SlackApp:
    """`receive` gets what people did, from several threads; what it takes is acknowledged.

    `say` puts a line in the journal; `heard` gets the app's id when a connection is there; `fatal` is called with why
    there is no use going on.
    """

    def __init__(
        self,
        api: Api,
        tokens: Tokens,
        me: Identity,
        receive: Receive,
        say: Callable[[str], None],
        heard: Callable[[str], None],
        fatal: Callable[[str], None],
    ) -> None:
        self._api = api
        self._app_token = tokens.app
        self._receive = receive
        self._say = say
        self._heard = heard
        self._fatal = fatal
        self._closing = False
        self._lock = threading.Lock()
        self._failures = 0
        self._not_before = 0.0
        self._told_of_others = False
        self._hellos = 0
        logger = quiet_logger()
        self._app = App(
            logger=logger, authorize=_authorized(me), client=api.client, ssl_check_enabled=False, name="mux"
        )
        self._app.command("/mux")(self._on(inbound.command))
        self._app.action(re.compile(r"\Arequest:"))(self._on(inbound.click))
        self._app.view(ANSWER_MODAL)(self._on(inbound.modal))
        self.handlers = [self._handler(logger) for _ in range(CONNECTIONS)]

    def connect(self) -> None:
        """Begin: each connection is made by a thread of its own, and made again for as long as this is open."""
        for handler in self.handlers:
            threading.Thread(target=self._keep_connecting, args=(handler,), name="Slack connect", daemon=True).start()

    def connected(self) -> bool:
        return any(handler.client.is_connected() for handler in self.handlers)

    def close(self) -> None:
        """Soon: the client would wait for the socket for seconds."""
        self._closing = True
        for handler in self.handlers:
            client = handler.client
            client.closed = True
            client.auto_reconnect_enabled = client.default_auto_reconnect_enabled = False
            client.current_session_state.terminated = True
            session = client.current_session
            with suppress(OSError, AttributeError):
                if session is not None and session.sock is not None:
                    session.sock.shutdown(socket.SHUT_RDWR)
            threading.Thread(target=_quietly, args=(handler.close,), name="Slack close", daemon=True).start()

    def _handler(self, logger: logging.Logger) -> SocketModeHandler:
        handler = SocketModeHandler(self._app, self._app_token, logger=logger, ping_interval=PING)
        handler.client.issue_new_wss_url = self._address  # type: ignore[method-assign]
        handler.client.on_message_listeners.append(self._on_message)
        return handler

    def _keep_connecting(self, handler: SocketModeHandler) -> None:
        """Until the first time that it works; afterwards the client watches over it."""
        while not self._closing:
            with suppress(Exception):  # said by `_address`, or by nobody: it is tried again
                handler.client.connect()
                if handler.client.is_connected():
                    return
                handler.client.wss_uri = None
            time.sleep(0.2 + random.random() * 0.2)

    def _address(self) -> str:
        """A new address for a connection. Raises at once while it is too early to ask again."""
        with self._lock:
            now = time.monotonic()
            if self._closing or now < self._not_before:
                raise Failed(Trouble.NOT_SENT, "too early")
            try:
                answer = self._api.client.apps_connections_open(app_token=self._app_token)
            except Exception as error:
                failed = failure_of(error)
                self._failures += 1
                pause = min(LONGEST_PAUSE, 2.0 ** min(self._failures - 1, 6)) * (0.5 + random.random() / 2)
                self._not_before = now + max(pause, failed.retry_after)
                if failed.trouble is Trouble.FATAL:
                    self._closing = True
                    self._fatal(failed.error)
                raise failed from None
            self._failures, self._not_before = 0, 0.0
            return str(answer["url"])

    def _on_message(self, raw: str) -> None:
        """Slack greets each new connection, and tells how many there are."""
        if '"hello"' not in raw[:200] and '"num_connections"' not in raw:
            return
        with suppress(ValueError):
            message = json.loads(raw)
            if message.get("type") != "hello":
                return
            self._heard(str((message.get("connection_info") or {}).get("app_id") or ""))
            count = message.get("num_connections")
            if isinstance(count, int) and count > self._ours() and not self._told_of_others:
                self._told_of_others = True
                self._say(
                    f"Slack: {count} connections use this app's token, and mux has {CONNECTIONS}: another process "
                    "gets some of the clicks; end it, or give each board an app of its own"
                )

    def _ours(self) -> int:
        """How many connections may be ours: once there are all, each may be there twice while it is replaced."""
        self._hellos += 1
        return CONNECTIONS if self._hellos <= CONNECTIONS else 2 * CONNECTIONS

    def _on(self, read: Callable[[Mapping[str, Any], bool], Inbound]) -> Callable[..., None]:
        def listen(ack: Callable[[], object], body: Mapping[str, Any], request: BoltRequest) -> None:
            again = any(number != "0" for number in request.headers.get("x-slack-retry-num", ()))
            if self._receive(read(body, again)):
                ack()

        return listen


def _authorized(me: Identity) -> Callable[..., AuthorizeResult]:
    """Who we are is known: no call of Slack stands between what people do and its acknowledgement."""

    def authorize() -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=me.team, bot_user_id=me.user, bot_id=me.bot, bot_token="-")

    return authorize


def _quietly(close: Callable[[], object]) -> None:
    with suppress(Exception):
        close()
