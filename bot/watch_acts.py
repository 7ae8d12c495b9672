"""What the dashboard's keys do, each by the function of the command of that name, asked about before it is done."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from textual.app import App

from board.errors import MuxError
from bot import decisions, orders
from bot.place import Place
from bot.requests import question, told
from bot.restart import restarted
from bot.send import send
from bot.status import one_task
from bot.table import clean
from bot.watch_dialogs import Choose, Confirm, Line
from bot.watch_views import BOARD, ORDERS, Order, about_task, denial, is_destructive, orders_for, shows_menu
from runners.asked import DENY, Asked
from runners.host import Host
from runners.requests import Requests

#: Given the chosen task and the state, does something; returns what to tell, "" for nothing.
Act = Callable[[str, Mapping[str, Any]], Awaitable[str]]

_OWN_WORDS = "…"


class Acts:
    """Every method may raise MuxError, with nothing done. `by`: who decides, as it goes into the journal."""

    def __init__(self, app: App[None], place: Place, host: Host, by: str) -> None:
        self._app, self._place, self._host, self._by = app, place, host, by

    async def approve(self, task: str, state: Mapping[str, Any]) -> str:
        """Choose a way where there are several, see what it takes away, and confirm it."""
        asked = await self._request(task)
        if asked is None:
            return ""
        request = asked.request
        ways = decisions.ways(request) + ([(_OWN_WORDS, "answer in your own words")] if request.free else [])
        lines = _shown(asked)
        choice: str | None = ways[0][0]
        if len(ways) > 1:
            choice = await self._app.push_screen_wait(Choose(lines, ways))
        if choice == _OWN_WORDS and request.free:
            text = await self._app.push_screen_wait(Line(lines))
            return "" if text is None else await self._decide(decisions.answer, asked, text)
        if choice is None or not await self._sure([*lines, "", clean(f"{choice}: {dict(ways)[choice]}")]):
            return ""
        return await self._decide(decisions.approve, asked, choice)

    async def deny(self, task: str, state: Mapping[str, Any]) -> str:
        asked = await self._request(task)
        if asked is None:
            return ""
        if not asked.request.deniable:
            return "nothing to deny: one of its ways has to be chosen; press a"
        if not await self._sure([*_shown(asked), "", f"{DENY}: {denial(asked)}"]):
            return ""
        return await self._decide(decisions.approve, asked, DENY)

    async def send(self, task: str, state: Mapping[str, Any]) -> str:
        """Type into its window: a text, or the number of a choice where it shows a menu."""
        if task == BOARD:
            return "the board has no worker to type to"
        menu = shows_menu(one_task(state, task))
        what = "its screen shows a menu: the number of your choice" if menu else "what to type into its window"
        text = await self._app.push_screen_wait(Line([f"{task}: {what}"]))
        if text is None:
            return ""
        said, choice = ("", text) if menu else (text, None)
        return await asyncio.to_thread(send, self._place, task, said, choice, self._by)

    async def order(self, task: str, state: Mapping[str, Any]) -> str:
        """Start, restart or stop it."""
        if task == BOARD:
            return "the board is no task: nothing to start or stop"
        entry = one_task(state, task)
        ways = [(str(order), ORDERS[order]) for order in orders_for(entry)]
        if not ways:
            return f"{task}: its section is gone from the board; to end its worker, press t, or answer what is asked"
        lines = [clean(f"{task}: {entry['title']}"), f"it is {entry['status']}"]
        choice = await self._app.push_screen_wait(Choose(lines, ways))
        if choice is None:
            return ""
        order = Order(choice)
        if is_destructive(order, entry) and not await self._sure([*lines, "", f"{order}: {ORDERS[order]}"]):
            return ""
        return await asyncio.to_thread(self._ordered, order, task)

    async def attach(self, task: str, state: Mapping[str, Any]) -> str:
        """The terminal is tmux's until the person detaches."""
        argv = await asyncio.to_thread(self._host.attach, None if task == BOARD else task)
        with self._app.suspend():
            ended = subprocess.run(argv, check=False)
        self._app.refresh(layout=True)
        return "" if ended.returncode == 0 else f"{task}: tmux could not attach to its window"

    def _ordered(self, order: Order, task: str) -> str:
        if order is Order.START:
            return orders.started(self._place, task)
        if order is Order.STOP:
            return orders.stopped(self._place, task)
        return "; ".join(restarted(self._place, task, None, self._by))

    async def _request(self, task: str) -> Asked | None:
        """The request that waits for a person; where there are several, the one that is chosen. Raises MuxError."""
        every = await asyncio.to_thread(Requests(self._place.folder).all)
        found = about_task(every, task)
        if not found:
            raise MuxError("nothing is asked about the board" if task == BOARD else f"nothing is asked about {task}")
        if len(found) == 1:
            return found[0]
        names = [(asked.request.id, clean(asked.request.why)) for asked in found]
        chosen = await self._app.push_screen_wait(Choose([f"{len(found)} questions wait for you"], names))
        return next((asked for asked in found if asked.request.id == chosen), None)

    async def _sure(self, lines: Sequence[str]) -> bool:
        return await self._app.push_screen_wait(Confirm(lines)) or False

    async def _decide(self, decide: Callable[..., Any], asked: Asked, choice: str) -> str:
        """Bound to the request that was shown: who comes second hears who was first."""
        made = await asyncio.to_thread(decide, self._place, asked.request.id, choice, self._by, time.time())
        return await asyncio.to_thread(told, self._place, *made)


def _shown(asked: Asked) -> list[str]:
    return [clean(line) for line in question(asked, time.time())]
