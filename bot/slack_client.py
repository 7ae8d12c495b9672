"""The way to Slack's Web API: tokens, address, one call, and what a failure means.

Nothing of slack-sdk is imported before the bot starts.
"""

from __future__ import annotations

import logging
import re
import stat
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from enum import Enum, auto
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from board.errors import MuxError

if TYPE_CHECKING:
    from slack_sdk import WebClient

T = TypeVar("T")

SLACK = "https://slack.com/api/"
TIMEOUT = 15  #: seconds for one call
_LOOK = 0.1  #: seconds after which who waits for a call looks whether mux ends
TOKENS_FILE, API_URL = "SLACK_TOKENS_FILE", "SLACK_API_URL"
NAMES = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN")
_KINDS = {"SLACK_BOT_TOKEN": "xoxb-", "SLACK_APP_TOKEN": "xapp-"}
_LINE = re.compile(r"\s*(?:export\s+)?(SLACK_[A-Z_]+)\s*=\s*(.*?)\s*\Z")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

#: No use trying again: the bot is turned off until somebody mends it and starts mux anew.
FATAL = frozenset(
    {
        *("invalid_auth", "not_authed", "token_expired", "token_revoked", "account_inactive", "missing_scope"),
        *("not_allowed_token_type", "link_disabled", "no_permission", "org_login_required", "ekm_access_denied"),
    }
)
#: The channel takes nothing until somebody mends that.
_CHANNEL = frozenset(
    {
        *("channel_not_found", "not_in_channel", "is_archived", "restricted_action", "team_access_not_granted"),
        *("restricted_action_read_only_channel", "posting_to_general_channel_denied", "channel_is_limited_access"),
    }
)
_GONE = frozenset({"message_not_found", "thread_not_found"})
_PASSING = frozenset(
    {
        *("internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"),
        *("ratelimited", "rate_limited", "accesslimited", "invalid_json"),
    }
)


class Trouble(Enum):
    LIMITED = auto()  # wait as long as Slack says
    AWAY = auto()  # Slack cannot be reached, or is ill: it may or may not have done what it was asked
    NOT_SENT = auto()  # the same, and certainly nothing was done
    FATAL = auto()
    CHANNEL = auto()
    GONE = auto()  # the message is not there any more
    REFUSED = auto()  # this one will never be taken


class Failed(Exception):
    """A call that failed: `error` is Slack's word, or the kind of the network's. Never with a token in it."""

    def __init__(self, trouble: Trouble, error: str, retry_after: float = 0.0) -> None:
        super().__init__(error)
        self.trouble = trouble
        self.error = error
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Tokens:
    """None is shown when this is printed. `more`: what else of Slack came with them; mux has no use for it."""

    bot: str = field(repr=False)
    app: str = field(repr=False)
    more: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False, hash=False)


class Api:
    """Calls, one at a time or from several threads. Nothing is retried here: a lost answer is not a lost call.

    Each is made in a thread of its own, as nothing ends a call that Slack does not answer; who waits for it waits no
    longer than `close` says.
    """

    def __init__(self, tokens: Tokens, url: str) -> None:
        from slack_sdk import WebClient

        quiet_logger()
        self._ends_at = float("inf")  # by the monotonic clock
        # The default has a handler that calls once more after a broken connection: two messages instead of one.
        self.client: WebClient = WebClient(tokens.bot, base_url=url, timeout=TIMEOUT, retry_handlers=[])

    def __call__(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        """Raises Failed."""
        # What only reads takes a form, and no JSON.
        if method.startswith(("conversations.", "users.")):
            return _data(self._waited_for(lambda: self.client.api_call(method, params=arguments)))
        return _data(self._waited_for(lambda: self.client.api_call(method, json=arguments)))

    def respond(self, url: str, body: dict[str, Any]) -> None:
        """Through a response URL that came over the socket. Raises Failed."""
        from slack_sdk.webhook import WebhookClient

        webhook = WebhookClient(url, timeout=TIMEOUT, retry_handlers=[])
        answer = self._waited_for(lambda: webhook.send_dict(body))
        if answer.status_code == 429:
            raise Failed(Trouble.LIMITED, "ratelimited", _seconds(answer.headers))
        if answer.status_code != 200:
            kind = Trouble.AWAY if answer.status_code >= 500 else Trouble.REFUSED
            raise Failed(kind, f"HTTP {answer.status_code}")

    def close(self, grace: float) -> None:
        """Whoever waits for Slack, now or later, waits for so many seconds from now at most."""
        self._ends_at = min(self._ends_at, time.monotonic() + grace)

    def _waited_for(self, call: Callable[[], T]) -> T:
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(call())
            except Exception as error:
                answer.set_exception(failure_of(error))  # what slack-sdk raises may quote what it sent

        threading.Thread(target=run, name="Slack call", daemon=True).start()
        while not answer.done():
            if time.monotonic() >= self._ends_at:
                raise Failed(Trouble.AWAY, "mux ends")
            wait([answer], timeout=_LOOK)
        return answer.result()


def quiet_logger() -> logging.Logger:
    """What slack-sdk logs may quote what it sent and got. What matters is said by us."""
    logger = logging.getLogger("mux.slack")
    for each in (logger, logging.getLogger("slack_sdk"), logging.getLogger("slack_bolt")):
        each.propagate = False
        each.setLevel(logging.CRITICAL + 1)
        if not each.handlers:
            each.addHandler(logging.NullHandler())
    return logger


def take_tokens(environment: MutableMapping[str, str], home: Path) -> Tokens | None:
    """The tokens of the environment, else of a file; taken out of the environment, so that nobody inherits them.

    None when there are none. Raises MuxError for one without the other, for a token of the wrong kind, and for a file
    that others may read.
    """
    found = {name: environment.get(name, "").strip() for name in NAMES}
    named = environment.get(TOKENS_FILE, "").strip()
    for name in [name for name in environment if name.startswith("SLACK_") and name != API_URL]:
        del environment[name]
    where = "the environment"
    if not any(found.values()):
        path = Path(named).expanduser() if named else home / ".config" / "mux" / "slack.env"
        if not named and not path.exists():
            return None
        found = _from_file(path)
        where = str(path)
    for name, kind in _KINDS.items():
        if not found.get(name):
            raise MuxError(f"Slack: {where} has no {name}; it begins with {kind}")
        if not found[name].startswith(kind):
            raise MuxError(f"Slack: {name} of {where} is no token of that kind: it begins with {kind}")
        if not re.fullmatch(r"[A-Za-z0-9-]+", found[name]):
            raise MuxError(f"Slack: {name} of {where} holds a character that no token has")
    more = {name: value for name, value in found.items() if name not in NAMES}
    return Tokens(found["SLACK_BOT_TOKEN"], found["SLACK_APP_TOKEN"], more)


def api_url(setting: str | None, environment: Mapping[str, str]) -> str:
    """Where the API is. Raises MuxError for an address that tokens may not be sent to."""
    url = setting or environment.get(API_URL, "").strip() or SLACK
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise MuxError(f"Slack: {url} must be https, or http to 127.0.0.1: tokens are sent there")
    return url if url.endswith("/") else f"{url}/"


def failure_of(error: Exception) -> Failed:
    """What an exception of slack-sdk, or of the network below it, means."""
    from slack_sdk.errors import SlackApiError

    if isinstance(error, Failed):
        return error
    if isinstance(error, SlackApiError):
        return _answered(error.response)
    reason = getattr(error, "reason", None)  # urllib wraps what the socket said
    cause = reason if isinstance(reason, Exception) else error
    if isinstance(cause, ConnectionRefusedError) or type(cause).__name__ == "gaierror":
        return Failed(Trouble.NOT_SENT, type(cause).__name__)
    if isinstance(cause, OSError | HTTPException):
        return Failed(Trouble.AWAY, type(cause).__name__)
    return Failed(Trouble.AWAY, f"bug: {type(error).__name__}")


def _answered(response: Any) -> Failed:
    status = getattr(response, "status_code", None) or 0
    headers = getattr(response, "headers", None) or {}
    data = _data(response)
    error = str(data.get("error") or f"HTTP {status}")
    if status == 429 or error in ("ratelimited", "rate_limited"):
        return Failed(Trouble.LIMITED, "ratelimited", _seconds(headers))
    if status >= 500 or error in _PASSING or "ok" not in data:  # a page of a proxy is no answer of Slack
        return Failed(Trouble.AWAY, error if "ok" in data else f"HTTP {data.get('status') or status}")
    if error in FATAL:
        needed = data.get("needed")
        return Failed(Trouble.FATAL, f"{error}: {needed}" if isinstance(needed, str) else error)
    kinds = ((_CHANNEL, Trouble.CHANNEL), (_GONE, Trouble.GONE))
    return Failed(next((kind for words, kind in kinds if error in words), Trouble.REFUSED), error)


def _seconds(headers: Mapping[str, Any]) -> float:
    found = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    word = str(found[0] if isinstance(found, list) and found else found)
    return float(word) if word.isdecimal() else 30.0


def _data(response: Any) -> Mapping[str, Any]:
    data = getattr(response, "data", response)
    return data if isinstance(data, Mapping) else {}


def _from_file(path: Path) -> dict[str, str]:
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise MuxError(f"{path}: others may read it, and it holds tokens; run: chmod 600 {path}")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise MuxError(f"{path}: cannot be read ({error.strerror}); it should hold {' and '.join(NAMES)}") from None
    matches = (_LINE.match(line) for line in lines)
    return {match[1]: match[2].strip("\"'") for match in matches if match}
