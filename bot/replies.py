"""Replies on their way: one thread that tells people what came of what they did, so that nothing else waits for it.

A reply that Slack does not take now is tried again later, and holds up no other. What cannot be told is not worth more
than a few tries, and when too many wait the oldest is dropped: what was done is in the journal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bot.inbound import Inbound
from bot.posts import Reply
from bot.slack_client import Failed, Trouble

MOST = 200  #: replies that wait
GRACE = 2.0  #: seconds that what waits at the end may take
_TRIES = 3
_LONGEST_PAUSE = 10.0
_PASSING = (Trouble.LIMITED, Trouble.AWAY, Trouble.NOT_SENT)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """`due`: by the monotonic clock."""

    act: Inbound
    reply: Reply
    due: float
    tries: int = 0


class Replies:
    """`send` makes one call, or raises Failed. `bug` writes down another error; who comes next is told all the same."""

    def __init__(self, send: Callable[[Inbound, Reply], None], bug: Callable[[], object]) -> None:
        self._send = send
        self._bug = bug
        self._waiting: list[_Waiting] = []
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="chat reply", daemon=True)
        self._thread.start()

    def put(self, act: Inbound, reply: Reply) -> None:
        """Safe from any thread; returns at once."""
        self._add(_Waiting(act, reply, time.monotonic()))

    def close(self) -> None:
        """What waits is tried once more, without a pause, for as long as GRACE."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(GRACE)

    def _add(self, waiting: _Waiting) -> None:
        with self._changed:
            self._waiting.append(waiting)
            del self._waiting[:-MOST]
            self._changed.notify()

    def _run(self) -> None:
        while (next_one := self._next()) is not None:
            try:
                self._send(next_one.act, next_one.reply)
            except Failed as failed:
                again = _again(next_one, failed)
                if again.tries < _TRIES and not (self._closing and failed.trouble in _PASSING):
                    self._add(again)
            except Exception:
                self._bug()

    def _next(self) -> _Waiting | None:
        """The first that is due; None at the end."""
        with self._changed:
            while self._waiting or not self._closing:
                first = min(self._waiting, key=lambda each: each.due, default=None)
                pause = first.due - time.monotonic() if first is not None else None
                if first is not None and pause is not None and (pause <= 0 or self._closing):
                    self._waiting.remove(first)
                    return first
                self._changed.wait(pause)
        return None


def _again(failed_one: _Waiting, failed: Failed) -> _Waiting:
    """Later, or now in another way."""
    again = replace(failed_one, tries=failed_one.tries + 1)
    if failed.trouble in _PASSING:
        pause = min(failed.retry_after or 2.0**failed_one.tries, _LONGEST_PAUSE)
        return replace(again, due=time.monotonic() + pause)
    if again.act.respond:
        return replace(again, act=replace(again.act, respond=""))  # that way is closed after half an hour
    return replace(again, reply=replace(again.reply, blocks=()))
