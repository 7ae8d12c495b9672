"""The chat of a control plane: a thread of its own that compares what is with what was said of it.

Level-triggered, as the loop is: requests, alerts and digests are read from what is kept, and put into the outbox, which
says what is new. So a crash, or a Slack that was away for a night, costs nothing but time. Nothing here holds up the
loop, and nothing of it fails the loop.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from board.errors import MuxError
from board.model import Board, SlackSettings
from board.storage import write_json
from bot.access import Identity
from bot.chat_sync import Sync
from bot.mrkdwn import Redact
from bot.names import Names
from bot.outbox import Outbox
from bot.place import Place
from bot.poster import Health, Poster, said
from bot.schedule import Alarm, local_zone
from bot.slack_client import Api, Failed, Tokens, Trouble, api_url
from runners.journal import Event
from runners.own_log import write_traceback

if TYPE_CHECKING:
    from bot.desk import Desk
    from bot.slack_app import SlackApp

LOOK = 5.0  #: seconds after which it looks by itself
BEHIND = 30.0  #: seconds that a post may wait before `mux status` mentions it
KEPT = 30 * 86400.0  #: seconds for which it is known what was posted
DAY = 86400.0
GRACE = 1.0  #: seconds at the end that whoever waits for Slack has
LONGEST_PAUSE = 60.0  #: seconds between two tries to reach Slack at the start
STATE = "chat.json"

Say = Callable[[str], None]


@dataclass(slots=True)
class _Session:
    """Once Slack knew the tokens."""

    url: str
    api: Api
    poster: Poster
    desk: Desk
    app: SlackApp
    posting: threading.Thread


class Chat:
    """`why_off`: why there are no tokens. `tell` and `show` may be called from any thread, and return at once.

    `say` puts a line in the journal and before the person at the terminal; `wake` has the loop look.
    """

    def __init__(
        self,
        place: Place,
        tokens: Tokens | None,
        why_off: str,
        board: Callable[[], Board],
        redact: Redact,
        say: Say,
        wake: Callable[[], None],
    ) -> None:
        self._place = place
        self._tokens = tokens
        self._why_off = why_off
        self._board = board
        self._say = say
        self._wake_loop = wake
        self._names = names = Names(place.folder)
        self._redact: Redact = lambda text: names.named(redact(text))
        self._outbox = Outbox(place.folder)
        self._sync: Sync | None = None
        self._alarm: Alarm | None = None
        self._policy: deque[Event] = deque()
        self._state: Mapping[str, Any] | None = None
        self._first: Mapping[str, Any] | None = None  # the state when there began to be a chat, or the first there was
        self._woken = threading.Event()
        self._closing = False
        self._session: _Session | None = None
        self._api: Api | None = None
        self._fatal = ""  # why there is no use trying before mux is started anew
        self._trouble = ""
        self._failures = 0
        # By the monotonic clock: a clock that is set back holds up nothing.
        self._connect_at = 0.0
        self._prune_at = 0.0
        self._shown: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._run, name="chat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What people asked for is finished; what is still to be said is said by the next run.

        Slack holds this up for no longer than GRACE.
        """
        self._closing = True
        if self._api is not None:
            self._api.close(GRACE)
        self._woken.set()
        self._thread.join()

    def tell(self, event: Event) -> None:
        if event.event == "policy" and self._tokens is not None:
            self._policy.append(event)
        self._woken.set()

    def show(self, state: Mapping[str, Any]) -> None:
        self._state = state
        if self._first is None:
            self._first = state
        self._woken.set()

    def _run(self) -> None:
        while True:
            self._woken.clear()
            if self._closing:  # looked at after that: `stop` wakes what waits below
                break
            pause = LOOK
            try:
                pause = self._pass(time.time())
            except MuxError as error:
                self._once(str(error))
            except Exception:
                self._once(f"a bug in mux, see {write_traceback(self._place.folder)}")
            self._woken.wait(pause)
        self._end_session()
        if self._alarm is not None:
            self._alarm.stop()

    def _pass(self, now: float) -> float:
        """Returns the seconds after which to look again."""
        look_at = now + LOOK
        settings = self._settings()
        off = self._off(settings)
        if self._session is not None and (off or self._session.url != self._url(settings)):
            self._end_session()
        if off:  # nobody is told what came before there is a chat
            self._first = self._state
            self._policy.clear()
        elif settings is not None:
            if self._session is None and time.monotonic() >= self._connect_at:
                self._connect(settings)  # first: people can decide, whatever there is to say cannot be read
            look_at = min(look_at, self._look(settings, now))
            if self._session is not None:
                self._session.poster.nudge()
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + DAY
            if dropped := self._outbox.prune(now - KEPT):
                self._say(f"Slack: {dropped} messages could not be posted for {int(KEPT / DAY)} days, and are given up")
        self._report(settings, off, now)
        return min(max(look_at - now, 0.05), LOOK)

    def _look(self, settings: SlackSettings, now: float) -> float:
        if self._sync is None:
            sync = Sync(self._place, self._board, self._redact, self._names, self._outbox)
            sync.catch_up(now)
            self._sync = sync
        digests = self._board().settings.digests
        if self._alarm is None and digests:
            self._alarm = Alarm(self._woken.set, local_zone())
            self._alarm.start()
        if self._alarm is not None:
            self._alarm.set(digests)
        while self._policy:
            self._sync.policy(self._policy[0], now)
            self._policy.popleft()
        if self._first is not None:
            self._sync.begin(settings, self._first, now)
        return self._sync.look(settings, self._state, now)

    def _settings(self) -> SlackSettings | None:
        return self._board().settings.slack

    def _off(self, settings: SlackSettings | None) -> str:
        """Why there is no chat; empty when there should be one."""
        if settings is None:
            return "the board has no `slack:`"
        if self._tokens is None:
            return self._why_off
        if settings.channel is None:
            return "the board's `slack:` names no channel"
        return self._fatal

    def _url(self, settings: SlackSettings | None) -> str:
        return api_url(settings.api_url if settings else None, os.environ)

    def _connect(self, settings: SlackSettings) -> None:
        """Ask Slack who we are, then listen and post. It may be away: then later."""
        from bot.desk import Desk
        from bot.slack_app import SlackApp

        assert self._tokens is not None
        api = self._api = Api(self._tokens, self._url(settings))
        if self._closing:  # `stop` may have looked before it was there
            return
        try:
            me = _identity(api)
        except Failed as failed:
            if self._closing:
                return
            self._failures += 1
            pause = min(LONGEST_PAUSE, 2.0 ** min(self._failures, 6))
            self._connect_at = time.monotonic() + max(pause, failed.retry_after)
            if failed.trouble is Trouble.FATAL:
                self._give_up(failed.error)
            else:
                self._once(f"Slack cannot be reached ({failed.error}); it is tried again, and everything else goes on")
            return
        if settings.team not in (None, me.team):
            self._give_up(f"the token is of team {me.team}, and the board says {settings.team}")
            return
        self._failures, self._trouble = 0, ""
        poster = Poster(self._outbox, api, self._channel, self._say)
        desk = Desk(self._place, api, me, self._settings, self._redact, self._names, self._changed)

        def heard(app: str) -> None:
            desk.learn_app(app)
            poster.nudge(reachable=True)

        app = SlackApp(api, self._tokens, me, desk.receive, self._say, heard, self._give_up)
        posting = threading.Thread(target=poster.run, name="Slack poster", daemon=True)
        self._session = _Session(self._url(settings), api, poster, desk, app, posting)
        posting.start()
        app.connect()

    def _channel(self) -> str | None:
        settings = self._settings()
        return settings.channel if settings is not None else None

    def _changed(self) -> None:
        self._woken.set()
        self._wake_loop()

    def _give_up(self, error: str) -> None:
        self._fatal = f"{error}; mend that and start mux anew"
        self._say(f"Slack is off: {self._fatal}; everything else goes on")
        self._woken.set()

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.poster.stop()
            session.app.close()
            session.api.close(GRACE)
            session.desk.close()

    def _once(self, text: str) -> None:
        if text != self._trouble:
            self._trouble = text
            self._say(text)

    def _health(self) -> Health:
        if self._session is None:
            return Health()
        if not self._session.posting.is_alive():
            return Health(trouble="the thread that posts has ended, by a bug in mux: start mux anew", fatal=True)
        try:
            return self._session.poster.health()
        except MuxError as error:
            return Health(trouble=str(error))

    def _report(self, settings: SlackSettings | None, off: str, now: float) -> None:
        """For `mux status`, which asks no thread."""
        health = self._health()
        if settings is None and self._tokens is None:
            state: dict[str, Any] = {}
        elif off or health.fatal:
            state = {"state": "off", "why": off or health.trouble or ""}
        elif self._session is None or not self._session.app.connected():
            state = {"state": "connecting", "why": self._trouble or health.trouble or ""}
        elif health.trouble or (health.oldest is not None and now - health.oldest > BEHIND):
            state = {"state": "behind", "why": said(health, now)}
        else:
            state = {"state": "on", "why": ""}
        if state != self._shown:
            with suppress(MuxError):
                write_json(self._place.folder / STATE, {"pid": os.getpid(), **state}, durable=False)
            self._shown = state


def _identity(api: Api) -> Identity:
    """Raises Failed."""
    answer = api("auth.test")
    return Identity(str(answer["team_id"]), str(answer["user_id"]), answer.get("bot_id"))
