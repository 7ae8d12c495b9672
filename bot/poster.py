"""Brings a chat to what the outbox says should stand in it: one thread, in order, as fast as Slack allows, for ever.

A message may have been posted although the answer was lost (a crash, a broken connection). So each is claimed on disk
first, carries its key as metadata, and is looked for before it is posted once more. Where that cannot be done (the app
has no scope to read the channel) it is posted again under the same `client_msg_id`: rather twice than never.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from board.clock import format_duration
from board.errors import MuxError
from bot import backlog, moving
from bot.outbox import Entry, Outbox
from bot.slack_client import Failed, Trouble
from runners.own_log import write_traceback

POST_EVERY = 1.05  #: seconds between two messages in one channel
EDIT_EVERY = 1.25  #: seconds between two edits: 50 a minute
LONGEST_PAUSE = 300.0  #: seconds between two tries while Slack is away
BROKEN_CHANNEL = 600.0  #: seconds until a channel that takes nothing is tried again
IDLE = 30.0
EVENT_TYPE = "mux"
_SEARCH_BACK = 900.0  #: seconds by which this clock may be ahead of Slack's
_PAGES = 10
#: What Slack says of blocks that it does not like; the text alone is better than nothing.
_BAD_BLOCKS = (
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_blocks_too_long",
    "block_mismatch",
    "invalid_attachments",
)

Call = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Health:
    """`waiting`: posts that should stand and do not yet, the oldest since `oldest`. `trouble`: why, where it is known.

    `fatal`: nothing will go out until mux is started anew.
    """

    waiting: int = 0
    oldest: float | None = None
    trouble: str | None = None
    fatal: bool = False


class Poster:
    """`call` is a `slack_client.Api`; `channel`: where posts go that name none; `say` puts a line in the journal.

    `clock`: the time of day, for what is kept and compared with Slack's. `pace`: a clock that nobody sets, for all
    that is waited for.
    """

    def __init__(
        self,
        outbox: Outbox,
        call: Call,
        channel: Callable[[], str | None],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        pace: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._call = call
        self._channel = channel
        self._say = say
        self._clock = clock
        self._pace = pace
        self._chance = chance
        self._wake = threading.Event()
        self._stopping = False
        # All by the clock that nobody sets.
        self._not_before = 0.0  # for everything
        self._told_until = 0.0  # the same, as far as Slack says so: nobody shortens that
        self._edit_at = 0.0
        self._post_at: dict[str, float] = {}  # by channel
        self._broken: dict[str, str] = {}  # channels that take nothing, with why
        self._failures = 0
        self._trouble: str | None = None
        self._fatal = False
        self._hindrance: str | None = None  # what is wrong on this machine, not in Slack
        self._plain: set[str] = set()  # contents whose blocks Slack does not take
        self._cannot_search = False

    def run(self) -> None:
        """Until `stop`."""
        while True:
            self._wake.clear()
            if self._stopping:  # looked at after that: `stop` wakes what waits below
                return
            try:
                pause = self.step()
                self._hindrance = None
            except MuxError as error:  # a full disk
                pause = self._hindered(str(error))
            except Exception as error:
                what = f"a bug in mux ({type(error).__name__})"
                if what not in (self._hindrance or ""):  # once: it is tried again every few seconds
                    what += f", see {write_traceback(self._outbox.home)}"
                pause = self._hindered(what)
            self._wake.wait(pause)

    def nudge(self, reachable: bool = False) -> None:
        """There is something new; or Slack was heard of, so that it need not be waited for any longer."""
        if reachable and self._failures:
            self._not_before = self._told_until
        self._wake.set()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    def health(self) -> Health:
        waiting = self._outbox.waiting()
        oldest = min((entry.at for entry in waiting), default=None)
        broken = next(iter(self._broken.values()), None)
        return Health(len(waiting), oldest, self._trouble or self._hindrance or broken, self._fatal)

    def step(self) -> float:
        """At most one call. Returns the seconds after which to look again."""
        now = self._pace()
        if self._fatal:
            return IDLE
        if now < self._not_before:
            return self._not_before - now
        entries = self._outbox.entries()
        if self._move(entries):
            return 0.0
        waiting = [entry for entry in entries if entry.waits]
        if self._fold(waiting, self._clock()):
            return 0.0
        soonest = now + IDLE
        seen: set[str] = set()
        for entry in waiting:
            channel = entry.sent.channel or entry.post.channel or self._channel()
            if channel is None or channel in seen:
                continue
            seen.add(channel)
            due = max(self._post_at.get(channel, 0.0), self._edit_at if entry.sent.ts else 0.0)
            if due <= now:
                self._send(entry, channel)
                return 0.0
            soonest = min(soonest, due)
        return soonest - now

    def _move(self, entries: list[Entry]) -> bool:
        """What asks in a channel that is the board's no more asks in the board's; True when there was such a one."""
        channel = self._channel()
        stranded = [entry for entry in entries if moving.is_stranded(entry, channel)]
        for entry in stranded:
            assert channel is not None
            self._outbox.move(entry, moving.left_behind(entry, channel), self._clock())
        return bool(stranded)

    def _fold(self, waiting: list[Entry], now: float) -> bool:
        if self._failures:
            return False  # one goes ahead; if Slack is there again the others are summed up
        old: dict[str | None, list[Entry]] = {}
        for entry in waiting:
            if entry.sent.claim is None and backlog.is_old_news(entry.post, entry.at, now):
                old.setdefault(entry.post.channel, []).append(entry)
        for entries in old.values():
            if len(entries) > backlog.FEW:
                self._outbox.fold(entries, backlog.summary([each.post for each in entries], entries[0].at), now)
                return True
        return False

    def _send(self, entry: Entry, channel: str) -> None:
        try:
            self._edit(entry) if entry.sent.ts else self._post(entry, channel)
        except Failed as failed:
            self._judge(failed, entry, channel)
        else:
            self._broken.pop(channel, None)
            self._well()

    def _edit(self, entry: Entry) -> None:
        self._edit_at = self._pace() + EDIT_EVERY
        self._call("chat.update", channel=entry.sent.channel, ts=entry.sent.ts, parse="none", **self._shown(entry))
        assert entry.sent.ts is not None
        self._outbox.stands(entry, entry.sent.ts, entry.content, self._clock(), entry.sent.root)

    def _post(self, entry: Entry, channel: str) -> None:
        doubtful = entry.sent.claim is not None
        claimed = self._outbox.claim(entry, channel, self._clock())
        if claimed is None or claimed.sent.claim is None:
            return  # it is not wanted any more
        entry, claim = claimed, claimed.sent.claim
        root = self._outbox.root(entry.post.thread, channel) if entry.post.thread else None
        if doubtful and (found := self._find(entry, channel, root)) is not None:
            ts, content = found
            self._outbox.stands(entry, ts, content, self._clock(), root)
            return
        self._post_at[channel] = self._pace() + POST_EVERY
        more: dict[str, Any] = {"unfurl_links": False, "unfurl_media": False, **({"thread_ts": root} if root else {})}
        try:
            answer = self._call("chat.postMessage", channel=channel, client_msg_id=claim, **self._shown(entry), **more)
        except Failed as failed:
            if not doubtful and failed.trouble is not Trouble.AWAY:
                self._outbox.forget(entry)  # certainly nothing was posted
            raise
        # Posted under the same id for a second time, it may be the first that stands there: then it is edited.
        self._outbox.stands(entry, str(answer["ts"]), "" if doubtful else entry.content, self._clock(), root)

    def _shown(self, entry: Entry) -> dict[str, Any]:
        blocks = [] if entry.content in self._plain else list(entry.post.blocks)
        payload = {"key": entry.post.key, "content": entry.content}
        metadata = {"event_type": EVENT_TYPE, "event_payload": payload}
        return {"text": entry.post.text, "blocks": blocks, "metadata": metadata}

    def _find(self, entry: Entry, channel: str, root: str | None) -> tuple[str, str] | None:
        """The message that was claimed and not noted: its ts and its content; None when it is not there."""
        if self._cannot_search:
            return None
        method, where = ("conversations.replies", {"ts": root}) if root else ("conversations.history", {})
        oldest = f"{entry.sent.claimed_at - _SEARCH_BACK:.6f}"
        cursor: dict[str, str] = {}
        for _ in range(_PAGES):
            try:
                page = self._call(
                    method, channel=channel, oldest=oldest, include_all_metadata=True, limit=200, **where, **cursor
                )
            except Failed as failed:
                if failed.trouble is not Trouble.FATAL:
                    raise
                self._cannot_search = True
                self._say(
                    f"Slack: the app may not read the channel ({failed.error}): a message whose answer was lost may be "
                    "posted twice; give it the scope channels:history"
                )
                return None
            for message in page.get("messages", ()):
                metadata = message.get("metadata") or {}
                payload = metadata.get("event_payload") or {}
                if metadata.get("event_type") == EVENT_TYPE and payload.get("key") == entry.post.key:
                    return str(message["ts"]), str(payload.get("content") or "")
            following = (page.get("response_metadata") or {}).get("next_cursor")
            if not following:
                break
            cursor = {"cursor": following}
        return None

    def _judge(self, failed: Failed, entry: Entry, channel: str) -> None:
        now = self._pace()
        match failed.trouble:
            case Trouble.LIMITED:
                self._not_before = self._told_until = now + failed.retry_after + self._chance()
            case Trouble.AWAY | Trouble.NOT_SENT:
                self._failures += 1
                pause = min(LONGEST_PAUSE, 2.0 ** min(self._failures, 10)) * (0.5 + self._chance() / 2)
                self._not_before = now + pause
                self._once(f"Slack cannot be reached ({failed.error}); what is to be said waits")
            case Trouble.FATAL:
                self._fatal = True
                self._once(f"Slack: {failed.error}; nothing is posted until that is mended and mux started anew")
            case Trouble.CHANNEL if self._was_left(entry, channel):
                self._leave(entry)
            case Trouble.CHANNEL:
                self._post_at[channel] = now + BROKEN_CHANNEL
                if channel not in self._broken:
                    self._broken[channel] = f"channel {channel}: {failed.error}"
                    self._say(f"Slack: {self._broken[channel]}; what is to be said there waits, see docs/slack.md")
            case Trouble.GONE:
                self._gone(entry, channel, self._clock())
            case Trouble.REFUSED:
                self._refused(failed, entry, self._clock())

    def _was_left(self, entry: Entry, channel: str) -> bool:
        """Whether it is not for the channel that the board or the post names now."""
        wanted = entry.post.channel or self._channel()
        return entry.post.key.startswith(moving.LEFT) or wanted not in (None, channel)

    def _leave(self, entry: Entry) -> None:
        """Nobody can be told there: what still asks, or may never have been said, is for the board's channel."""
        only_there = entry.post.key.startswith(moving.LEFT)
        if not only_there and (entry.sent.ts is None or moving.asks(entry.post)):
            self._outbox.forget(entry)
        else:
            self._outbox.refuse(entry, self._clock())

    def _gone(self, entry: Entry, channel: str, now: float) -> None:
        """Somebody deleted it. What still asks something is asked anew; the rest is let be."""
        if entry.sent.ts is None and entry.post.thread:
            self._outbox.end_thread(entry.post.thread, channel)
        elif moving.asks(entry.post):
            self._outbox.forget(entry)
        else:
            self._outbox.refuse(entry, now)

    def _refused(self, failed: Failed, entry: Entry, now: float) -> None:
        if failed.error in _BAD_BLOCKS and entry.post.blocks and entry.content not in self._plain:
            self._plain.add(entry.content)
            self._say(f"Slack: {entry.post.key}: {failed.error}; it is sent as plain text")
            return
        current = self._outbox.get(entry.post.key) or entry
        if current.content == entry.content:
            self._outbox.refuse(current, now)
        self._say(f"Slack: {entry.post.key} is not taken: {failed.error}")

    def _hindered(self, why: str) -> float:
        """Said once; what is to be said waits. Returns the seconds until it is tried again."""
        if self._hindrance is None or not self._hindrance.startswith(why):
            self._hindrance = why
            self._say(f"Slack: nothing can be posted: {why}; it is tried again")
        return IDLE

    def _once(self, text: str) -> None:
        if self._stopping:
            return
        if self._trouble is None or self._fatal:
            self._say(text)
        self._trouble = text

    def _well(self) -> None:
        self._failures = 0
        if self._trouble is not None:
            self._trouble = None
            count = len(self._outbox.waiting())
            self._say(f"Slack is there again{f'; {count} messages go out' if count else ''}")


def said(health: Health, now: float) -> str:
    """What `mux status` says of it: empty when all is well."""
    if not health.waiting:
        return health.trouble or ""
    since = f", the oldest for {format_duration(now - health.oldest)}" if health.oldest is not None else ""
    waits = f"{health.waiting} message{'s' if health.waiting != 1 else ''} wait{since}"
    return f"{waits}: {health.trouble}" if health.trouble else waits
