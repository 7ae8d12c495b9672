"""What should be said in a chat now, put into the outbox: requests, alerts, digests. What stands already costs nothing.

Level-triggered: all of it follows from what is kept, so that neither a crash nor a night without Slack loses anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from board.clock import format_time
from board.errors import MuxError
from board.model import Board, DigestSettings, SlackSettings
from board.storage import read_json, write_json
from bot import alerts, digest_order, digests, moving
from bot.blocks import words
from bot.chat_requests import request_post
from bot.chat_words import WHY
from bot.mrkdwn import Redact, escape, shown
from bot.names import Names
from bot.outbox import Outbox
from bot.place import Place
from bot.posts import Post
from bot.schedule import LOOK_AGAIN, Digester, local_zone
from bot.slots import Slot
from bot.told import Told
from runners.asked import Asked
from runners.journal import Event, Journal
from runners.requests import Requests

NEVER = float("inf")
_RULES = "policy:"  # before the keys of what is said of changed rules
_TOGETHER = 60.0  # seconds within which what one save changed is seen here


class Sync:
    """For one thread."""

    def __init__(self, place: Place, board: Callable[[], Board], redact: Redact, names: Names, outbox: Outbox) -> None:
        self._board = board
        self._redact = redact
        self._names = names
        self._outbox = outbox
        self._requests = Requests(place.folder)
        self._asked: dict[str, tuple[Any, ...]] = {}  # what the post of a request was made of
        self._memory_path = place.folder / "alerts.json"
        self._memory = self._remembered()
        self._state: Mapping[str, Any] | None = None
        self._alerts_at = NEVER
        self._place = place
        self._local = local_zone()
        stands = partial(_stands, outbox)
        self._digester = Digester(place.folder, outbox.put, stands, self._digest, self._local)
        self._told = Told(place.folder)
        self._left: tuple[str | None, float] = (None, 0.0)  # the channel before this one, and when it was left
        self._digests: tuple[DigestSettings, ...] = ()
        self._digests_at = 0.0
        self._looked_at = 0.0

    def begin(self, settings: SlackSettings, first: Mapping[str, Any], now: float) -> None:
        """The first time ever: what is in this state is known, and not said; what came after it is. Raises MuxError."""
        if self._memory is None:
            self._alert(settings, first, now)

    def look(self, settings: SlackSettings, state: Mapping[str, Any] | None, now: float) -> float:
        """`state`: what the loop showed last. Returns when to look again at the latest. Raises MuxError."""
        if now < self._looked_at:  # the clock was set back: what was due then is looked at now
            self._alerts_at = self._digests_at = now
        self._looked_at = now
        self._channel(settings.channel, now)
        for asked in self._requests.all():
            self._request(asked, now)
        if state is not None and (state != self._state or now >= self._alerts_at):
            self._alert(settings, state, now)
            self._state = state
        if state is not None:
            self._ordered_digest(now)
        wanted = self._board().settings.digests
        if state is not None and (now >= self._digests_at or wanted != self._digests):
            following = self._digester.look(wanted, now)
            self._digester.confirm()
            self._digests = wanted
            self._digests_at = min(now + LOOK_AGAIN, NEVER if following is None else following)
        return min(self._alerts_at, self._digests_at if wanted else NEVER)

    def policy(self, event: Event, now: float) -> None:
        """The rules by which mux decides were changed: everybody who trusts them is told. Raises MuxError."""
        whose = f"{event.task}: " if event.task else ""
        line = shown(f"The rules changed on the board. {whose}{event.text}", WHY, self._redact)
        post = Post(f"{_RULES}{event.at:.6f}", escape(line), (words(line),))
        self._outbox.put(post, now)
        old, left_at = self._left
        if old is not None and now - left_at < _TOGETHER:
            self._outbox.put(moving.left_too(post, old), now)
        self._told.policy(event.at)

    def catch_up(self, now: float) -> None:
        """First of all: what an earlier run could not tell any more of the rules. Raises MuxError."""
        if (before := self._told.rules_at) is None:
            self._told.policy(now)
            return
        for event in list(Journal(self._place.folder).events(after=before)):
            if event.event == "policy":
                self.policy(event, now)

    def _channel(self, channel: str | None, now: float) -> None:
        """Who is in a channel that the board names no more is told where to look.

        And what of the rules changed with it, or was not said there yet: who relied on them may be there. The loop says
        what changed at any moment before or after the board is seen here.
        """
        old = self._told.channel
        if channel is None or channel == old:
            return
        if old is not None:
            for entry in self._outbox.entries():
                since = 0.0 if entry.sent.ts is None else now - entry.at
                if entry.post.key.startswith(_RULES) and entry.sent.channel != old and since < _TOGETHER:
                    self._outbox.put(moving.left_too(entry.post, old), now)
            self._outbox.put(moving.farewell(old, channel, self._told.since), now)
        self._told.moved(channel, now)
        self._left = (old, now)

    def _request(self, asked: Asked, now: float) -> None:
        request, key = asked.request, f"request:{asked.request.id}"
        task = self._board().by_id.get(request.task or "")
        names = self._names.all()
        expired = request.is_late(now)
        title = task.title if task else ""
        destructive = bool(task and task.settings.destructive)
        made_of = (asked, title, destructive, expired, names.get((asked.by or "")[6:]))
        if self._asked.get(request.id) == made_of:
            return
        if asked.open or not self._is_over(key):
            post = request_post(asked, title, now, self._redact, destructive=destructive, names=names)
            self._outbox.put(post, now, last=not asked.open)
        self._asked[request.id] = made_of

    def _is_over(self, key: str) -> bool:
        """Of a closed request: its last word is said, or it came and went while nobody could be told."""
        known = self._outbox.get(key)
        return known is None or known.last or self._outbox.withdraw(key)

    def _alert(self, settings: SlackSettings, state: Mapping[str, Any], now: float) -> None:
        step = alerts.step(self._memory, state, now, settings.quiet, self._redact, self._local)
        for post in step.posts:
            self._outbox.put(post, now)
        if step.memory != self._memory:
            write_json(self._memory_path, alerts.to_json(step.memory))
            self._memory = step.memory
        self._alerts_at = step.wake_at if step.wake_at is not None else NEVER

    def _ordered_digest(self, now: float) -> None:
        if (at := digest_order.at(self._place.folder)) is None:
            return
        if now - at < digests.DAY:  # of a chat that came on much later nobody waits for it any more
            content = self._content(at - digests.DAY, now)
            self._outbox.put(digests.post(content, f"digest:{format_time(at)}"), now)
        digest_order.done(self._place.folder)

    def _digest(self, slot: Slot, since: float | None, notes: Sequence[str]) -> Post:
        return digests.post(self._content(since, time.time(), notes), f"digest:{slot.key}", slot.digest.channel)

    def _content(self, since: float | None, now: float, notes: Sequence[str] = ()) -> digests.Digest:
        after = since - digests.LOOK_BACK if since is not None else None
        events = list(Journal(self._place.folder).events(after=after))
        return digests.digest(self._state or {}, events, since, now, self._redact, notes)

    def _remembered(self) -> alerts.Memory | None:
        try:
            found = read_json(self._memory_path)
            return alerts.from_json(found) if found is not None else None
        except (MuxError, KeyError, TypeError, ValueError):
            return None  # damaged: what is there now is known, and not said again


def _stands(outbox: Outbox, key: str) -> bool:
    entry = outbox.get(key)
    return entry is not None and entry.sent.ts is not None
