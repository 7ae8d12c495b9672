"""What the local Slack remembers: people, channels, messages, views, calls, acks, and what is to go wrong."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.e2e.fake_slack_strict import Json, Mention, Refused, links, mentions

TEAM = "T0MUX"
APP = "A0MUX"
BOT_USER = "U0BOT"
BOT = "B0BOT"
BOT_TOKEN = "xoxb-local-bot"
APP_TOKEN = "xapp-local-app"
SCOPES = frozenset({"commands", "chat:write", "im:write", "users:read"})

TRIGGER_SECONDS = 3.0
TICKET_SECONDS = 30.0
RESPONSE_URL_SECONDS = 30 * 60.0
RESPONSE_URL_USES = 5


@dataclass(frozen=True, slots=True)
class User:
    """`team` other than the workspace's: a stranger from a Slack Connect channel."""

    id: str
    name: str
    team: str = TEAM
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Channel:
    id: str
    name: str
    members: frozenset[str] = frozenset()
    private: bool = False
    archived: bool = False
    person: str = ""  #: of a direct message: the one who talks with the bot


@dataclass(frozen=True, slots=True)
class Message:
    """One version of a message, as it stood when it was asked for. `to`: an ephemeral one, and who sees it."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: tuple[Json, ...] = ()
    thread: str = ""
    to: str = ""
    metadata: Json | None = None
    client_msg_id: str = ""
    earlier: tuple[Message, ...] = ()

    @property
    def edits(self) -> int:
        return len(self.earlier)


@dataclass(frozen=True, slots=True)
class Ping:
    """A text that would have pinged somebody: `!channel`, `!here`, `!everyone`, `@U…`, `!subteam^S…`."""

    channel: str
    ts: str
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """`unfurls`: Slack would fetch it and show a preview, as nobody told it not to."""

    channel: str
    ts: str
    url: str
    unfurls: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A request that arrived. `error` is empty when it was fine; `status` 0 when nothing was answered."""

    method: str
    arguments: Json
    status: int
    error: str
    at: float


@dataclass(frozen=True, slots=True)
class Ack:
    """`latency`: seconds from the delivery to the ack."""

    envelope_id: str
    connection: int
    latency: float
    payload: Any


@dataclass(frozen=True, slots=True)
class View:
    id: str
    view: Json
    user: str
    hash: str
    open: bool = True

    def as_sent(self, values: Json | None = None) -> Json:
        """As Slack sends it in payloads and answers."""
        empty = {"private_metadata": "", "callback_id": "", "external_id": "", "previous_view_id": None, "submit": None}
        own = {"id": self.id, "team_id": TEAM, "app_id": APP, "bot_id": BOT, "app_installed_team_id": TEAM}
        return {
            **empty,
            **self.view,
            **own,
            "hash": self.hash,
            "root_view_id": self.id,
            "state": {"values": values or {}},
        }


@dataclass(slots=True)
class ResponseUrl:
    channel: str
    user: str
    made: float
    ts: str = ""  #: the message that a click came from
    uses: int = 0


@dataclass(slots=True)
class Trigger:
    user: str
    made: float
    used: bool = False


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` calls of a method (`*`: of any).

    `status`: answered with that, unprocessed. `error`: `ok: false` with it. `cut`: the connection ends unanswered,
    unprocessed; `drop`: processed first. `hang`: seconds of silence before anything else.
    """

    method: str
    times: int
    status: int = 0
    retry_after: int | None = None
    error: str = ""
    cut: bool = False
    drop: bool = False
    hang: float = 0.0


@dataclass
class World:
    """Everything; whoever reads or changes it holds `lock`."""

    scopes: frozenset[str] = SCOPES
    rate_limits: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    url: str = ""
    users: dict[str, User] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    messages: dict[str, dict[str, Message]] = field(default_factory=dict)
    ephemerals: list[Message] = field(default_factory=list)
    views: dict[str, View] = field(default_factory=dict)
    homes: dict[str, View] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)
    response_urls: dict[str, ResponseUrl] = field(default_factory=dict)
    tickets: dict[str, float] = field(default_factory=dict)
    pings: list[Ping] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    hanging: list[str] = field(default_factory=list)  #: methods that a fault keeps silent now
    buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    #: What opened which view, and what said what: by trigger id and by response URL.
    opened: dict[str, list[str]] = field(default_factory=dict)
    replies: dict[str, list[Message]] = field(default_factory=dict)
    bot_token: str = BOT_TOKEN
    app_token: str = APP_TOKEN
    socket_mode: bool = True
    skipped: float = 0.0
    clock: Callable[[], float] = time.time
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _last_ts: int = 0  # in microseconds: a float is too coarse to count them

    def now(self) -> float:
        return self.clock() + self.skipped

    def new_id(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers):07d}"

    def new_ts(self) -> str:
        """Unique and growing, as Slack's are."""
        self._last_ts = max(int(self.now() * 1e6), self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def channel(self, name: Any) -> Channel:
        """By its id; a person's id means their direct messages."""
        if name in self.users and name not in self.channels:
            return self.direct(str(name))
        found = self.channels.get(str(name))
        if found is None or (found.private and BOT_USER not in found.members):
            raise Refused("channel_not_found")
        return found

    def postable(self, name: Any) -> Channel:
        channel = self.channel(name)
        if channel.archived:
            raise Refused("is_archived")
        if BOT_USER not in channel.members:
            raise Refused("not_in_channel")
        return channel

    def direct(self, person: str) -> Channel:
        if person not in self.users:
            raise Refused("user_not_found")
        for channel in self.channels.values():
            if channel.person == person:
                return channel
        channel = Channel(self.new_id("D"), "", frozenset({person, BOT_USER}), private=True, person=person)
        self.channels[channel.id] = channel
        return channel

    def put(self, message: Message) -> Message:
        if message.to:
            self.ephemerals = [each for each in self.ephemerals if each.ts != message.ts] + [message]
        else:
            self.messages.setdefault(message.channel, {})[message.ts] = message
        return message

    def edit(self, old: Message, **changes: Any) -> Message:
        return self.put(replace(old, **changes, earlier=(*old.earlier, replace(old, earlier=()))))

    def note(self, message: Message, arguments: Json, parsed: bool) -> None:
        """Remember whom a text would ping, and its links."""
        found: Iterable[Mention] = mentions(message.text, message.blocks, parsed)
        self.pings += [Ping(message.channel, message.ts, each.what, each.text) for each in found]
        quiet = arguments.get("unfurl_links") is False and arguments.get("unfurl_media") is False
        where = (message.channel, message.ts)
        self.links += [Link(*where, url, not quiet) for url in links(message.text, message.blocks)]

    def take_fault(self, method: str) -> Fault | None:
        for fault in self.faults:
            if fault.method in (method, "*") and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def spend(self, key: str, burst: float, per_second: float) -> float:
        """Seconds to wait, 0 when there is room: a bucket of `burst` that fills by itself."""
        left, since = self.buckets.get(key, (burst, self.now()))
        left = min(burst, left + (self.now() - since) * per_second)
        allowed = left >= 1
        self.buckets[key] = (left - 1 if allowed else left, self.now())
        return 0.0 if allowed else (1 - left) / per_second
