"""Takes what people did in a chat, one after the other: known again, allowed, done, answered.

Reading goes on beside orders, so that nobody waits for a slow one. Errors go to whoever caused them, and to nobody
else; a refusal is written into the journal, too.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from board.errors import MuxError
from board.model import SlackSettings
from board.redact_text import truncate
from bot import access, chat_commands, chat_requests, decisions
from bot.access import Identity, Need
from bot.chat_commands import Scene
from bot.inbound import Inbound, Seen, is_late
from bot.journalling import say_in
from bot.mrkdwn import Redact, escape
from bot.names import Names
from bot.people import People
from bot.place import Place
from bot.posts import Reply
from bot.replies import Replies
from bot.slack_client import Api, Failed
from runners.asked import DENY
from runners.own_log import write_traceback
from runners.requests import Requests

READERS = 4
_ANSWER = "answer"
_WORD = 40  # characters of what was tried and refused


class Desk:
    """`settings` as they are now; `changed` is called after something was decided or ordered."""

    def __init__(
        self,
        place: Place,
        api: Api,
        me: Identity,
        settings: Callable[[], SlackSettings | None],
        redact: Redact,
        names: Names,
        changed: Callable[[], None],
    ) -> None:
        self._place = place
        self._api = api
        self._me = me
        self._settings = settings
        self._redact = redact
        self._changed = changed
        self._seen = Seen()
        self._lock = threading.Lock()
        self._orders = ThreadPoolExecutor(1, thread_name_prefix="chat order")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="chat read")
        self._replies = Replies(self._tell, partial(write_traceback, place.folder))
        self._people = People(place.folder, api)
        self._names = names

    def receive(self, act: Inbound) -> bool:
        """Safe from any thread; returns at once. What is refused holds up no order. False: closing, it is not taken."""
        why = self._why_not(act)
        only_reads = why is not None or _need(act) is Need.READ or _opens_modal(act)
        try:
            (self._readers if only_reads else self._orders).submit(self._take, act, why)
        except RuntimeError:  # shut down
            return False
        return True

    def learn_app(self, app: str) -> None:
        """Which app we are: Slack says it on each connection, before it delivers anything."""
        self._me = replace(self._me, app=app)
        with suppress(MuxError, RuntimeError):  # closing, or a board that cannot be read: they are met when they decide
            if (settings := self._settings()) is not None:
                self._readers.submit(self._people.meet, (*settings.approvers, *settings.operators))

    def close(self) -> None:
        """What was taken is finished first."""
        self._orders.shutdown()
        self._readers.shutdown()
        self._replies.close()

    def _take(self, act: Inbound, why_not: str | None) -> None:
        with self._lock:
            if act.id and self._seen.again(act.id, time.monotonic()):
                return
        try:
            reply = self._refused(act, why_not) or self._done(act)
        except MuxError as error:
            reply = chat_commands.sorry(error, self._redact)
        except Exception:
            write_traceback(self._place.folder)
            reply = Reply("This is a bug in mux; it is written down in `.mux/mux.log`, on its machine.")
        if reply is not None:
            self._replies.put(act, reply)

    def _why_not(self, act: Inbound) -> str | None:
        """By what is known here, without asking Slack."""
        try:
            settings = self._settings()
        except MuxError as error:
            return error.told
        if settings is None:
            return "mux has no channel now"
        return access.refusal(act.actor, _need(act), settings, self._me)

    def _refused(self, act: Inbound, why_not: str | None) -> Reply | None:
        """`why_not`: as it was when the act came."""
        need = _need(act)
        why = why_not or self._why_not(act)
        if why is None and need is not Need.READ:
            why = self._people.why_not(act.actor.user)
        if why is not None:
            text = f"{act.surface} {what_was_tried(act, self._redact)}, by slack:{act.actor.user[:24]}: {why}"
            with suppress(MuxError):
                say_in(self._place)("refused", text)
            return Reply(escape(f"Not allowed: {why}."))
        self._names.learn(act.actor.user, act.actor.name)
        if is_late(act, time.time()):
            return Reply("That came too late, after more than 5 minutes: nothing was done. Look, and try again.")
        if act.repeated and act.surface == "command" and need is not Need.READ:
            # Nobody knows whether an earlier run of mux took it.
            return Reply("Slack delivered that a second time: it was not done again. See `/mux status`.")
        return None

    def _done(self, act: Inbound) -> Reply | None:
        settings = self._settings()
        decides = settings is not None and act.actor.user in settings.approvers
        scene = Scene(self._place, f"slack:{act.actor.user}", self._redact, decides)
        if act.surface == "command":
            reply = chat_commands.run(scene, act.text)
            if chat_commands.need_of(act.text) is not Need.READ:
                self._changed()
            return reply
        if _opens_modal(act):
            return self._open_modal(act)
        now = time.time()
        if act.surface == "modal":
            decisions.answer(self._place, act.request, act.text, scene.by, now)
        else:
            self._decide(act, scene.by, now)
        self._changed()
        return None  # the message says it

    def _decide(self, act: Inbound, by: str, now: float) -> None:
        """A click names its choice; the store takes only what it has stored."""
        asked = Requests(self._place.folder).find(act.request)
        if asked.request.id != act.request:
            raise MuxError(f"there is no request {act.request}")
        if act.choice not in (*asked.request.choices, DENY):
            raise MuxError(f"request {act.request} has no such answer")
        decisions.approve(self._place, act.request, act.choice, by, now)

    def _open_modal(self, act: Inbound) -> Reply | None:
        asked = Requests(self._place.folder).find(act.request)
        if not asked.waits or not asked.request.free:
            raise MuxError(f"request {asked.request.id} takes no answer any more")
        ours = {"request": asked.request.id, "channel": act.actor.channel}
        view = {**chat_requests.answer_modal(asked, self._redact), "private_metadata": json.dumps(ours)}
        try:
            self._api("views.open", trigger_id=act.trigger, view=view)
        except Failed as failed:
            return Reply(escape(f"The form could not be opened ({failed.error}): /mux answer {asked.request.id} …"))
        return None

    def _tell(self, act: Inbound, reply: Reply) -> None:
        """To the one who asked. Raises Failed."""
        said: dict[str, Any] = {"text": reply.text, "blocks": list(reply.blocks)}
        said |= {"unfurl_links": False, "unfurl_media": False}
        if act.respond:
            kind = "in_channel" if reply.public else "ephemeral"
            self._api.respond(act.respond, {**said, "response_type": kind, "replace_original": False})
        elif act.actor.channel:
            self._api("chat.postEphemeral", channel=act.actor.channel, user=act.actor.user, **said)


def what_was_tried(act: Inbound, redact: Redact) -> str:
    """The first word of a command, or the choice; for the journal."""
    text = redact(act.text if act.surface == "command" else "").split(maxsplit=1)
    return truncate(text[0] if text else redact(act.choice), _WORD)


def _need(act: Inbound) -> Need:
    return chat_commands.need_of(act.text) if act.surface == "command" else Need.DECIDE


def _opens_modal(act: Inbound) -> bool:
    return act.surface == "button" and act.choice == _ANSWER
