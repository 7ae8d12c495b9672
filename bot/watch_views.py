"""What the dashboard shows, as lines of text, from the state that `mux status` shows. Pure.

All lines went through `bot.table.clean`: nothing of the board's or a worker's text can act on the terminal. Those of
the table and of a task are painted as in `mux status`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bot.history import event_line
from bot.needs import requests
from bot.status import COLUMNS, NO_TASK, head, in_order, problem_line, row
from bot.table import Cell, clean, cut, paint, render, width_of, wrap
from runners.asked import Asked
from runners.choices import DENIALS
from runners.journal import Event
from runners.questions import subjects
from runners.screens import MENUS

#: The row of what is about no task: no task's id has brackets.
BOARD = "(board)"
_LIVE = frozenset({"running", "claimed", "waiting"})


class Tab(StrEnum):
    """What of a task is shown, in the order of the keys 1 to 4."""

    ABOUT = "about"
    SCREEN = "screen"
    DIFF = "diff"
    JOURNAL = "journal"


class Order(StrEnum):
    START = "start"
    RESTART = "restart"
    STOP = "stop"


#: What each order does.
ORDERS: Mapping[Order, str] = {
    Order.START: "let it run, or run again",
    Order.RESTART: "end its worker and start it anew; you are asked first where something would be lost",
    Order.STOP: "end its worker; its work is kept",
}


@dataclass(frozen=True, slots=True)
class Row:
    id: str  # of the task, or BOARD
    line: str


@dataclass(frozen=True, slots=True)
class Table:
    heading: str
    rows: tuple[Row, ...]
    of: int  # how many rows there are without the filter


def table(state: Mapping[str, Any], now: float, width: int, wanted: str = "") -> Table:
    """The rows that have all the wanted words in them, in the order of `mux status`, fitted to a width."""
    found = [(entry["id"], row(entry, state, now)) for entry in in_order(state)]
    if (board := _board_row(state)) is not None:
        found.insert(0, (BOARD, board))
    words = wanted.lower().split()
    shown = [(name, cells) for name, cells in found if _has(cells, words)]
    heading, *lines = render(COLUMNS, [cells for _, cells in shown], width, colour=True)
    rows = tuple(Row(name, line) for (name, _), line in zip(shown, lines, strict=True))
    return Table(heading, rows, len(found))


def head_lines(state: Mapping[str, Any], now: float, width: int, trouble: str | None = None) -> list[str]:
    """Which board it is, whether mux runs it, and how much needs you. `trouble`: why this is not what is now."""
    board, plane, *others = head(state, now)
    together = f"{clean(board.text)}; {clean(plane.text)}"
    if width_of(together) <= width:
        name, _, rest = together.partition("; ")
        lines = [f"{paint(name, board.colour)}; {paint(rest, plane.colour)}"]
    else:
        lines = [line for cell in (board, plane) for line in _wrapped(cell, width)]
    lines += [line for cell in others for line in _wrapped(cell, width)]
    if trouble is not None:
        lines += _wrapped(Cell(f"shown is the last that was seen: {trouble}", "31"), width)
    return lines


def board_lines(state: Mapping[str, Any], now: float) -> list[str]:
    """What there is to say about the board: its own problems and requests; with no task yet, what to do."""
    asked = [each for each in state.get("requests", ()) if each["task"] is None and not each["tasks"]]
    lines = [clean(cell.text) for cell in requests({"requests": asked}, now, evidence=True)]
    if state["trouble"]:
        lines.append(clean(f"the file is not in force: {state['trouble']}"))
    lines += [problem_line(state, each) for each in state["problems"] if each["task"] is None]
    return lines or [NO_TASK if not state["tasks"] and not state["orphans"] else "nothing to say about the board"]


def journal_lines(events: Sequence[Event], task: str) -> list[str]:
    """The newest first."""
    if not events:
        return [f"nothing new about it; all that was written: mux journal {task}".removesuffix(f" {BOARD}")]
    return [event_line(event) for event in reversed(events)]


def screen_lines(screen: str) -> list[str]:
    """The lines of a captured screen, without the empty ones at its end."""
    lines = [clean(line.expandtabs(8)) for line in screen.rstrip().split("\n")]
    return lines if any(lines) else ["its screen is empty"]


def tab_line(chosen: Tab, task: str, width: int) -> str:
    """`1 about  2 [screen]  3 diff  4 journal  fix-login`"""
    names = "  ".join(
        paint(f"{number} [{tab}]", "1") if tab is chosen else f"{number} {tab}" for number, tab in enumerate(Tab, 1)
    )
    used = sum(len(tab) + 4 for tab in Tab) + 2
    return f"{names}  {paint(cut(clean(task), max(0, width - used - 2)), '1')}"


def foot(filtered: Table | None, wanted: str) -> str:
    """The keys that matter most; with a filter, what it leaves out."""
    keys = "? help  a approve  d deny  t attach  s send  r run/stop  / filter  q quit"
    if not wanted or filtered is None:
        return keys
    return f"filter: {clean(wanted)} ({len(filtered.rows)} of {filtered.of})  / change it  esc show all  ? help  q quit"


def about_task(every: Iterable[Asked], task: str) -> list[Asked]:
    """The requests that wait for a person and are about the task, or, for the board's row, about no task."""
    waiting = [asked for asked in every if asked.waits]
    if task == BOARD:
        return [asked for asked in waiting if asked.request.task is None and not asked.request.members]
    return [asked for asked in waiting if asked.request.task == task or task in dict(subjects(asked))]


def denial(asked: Asked) -> str:
    return DENIALS.get(asked.request.action, "nothing is done")


def shows_menu(entry: Mapping[str, Any]) -> bool:
    """Its worker waits for one of the choices on its screen, and takes no text."""
    health = entry.get("health")
    return entry["condition"] == "waiting" and health is not None and health["reason"] in MENUS


def orders_for(entry: Mapping[str, Any]) -> list[Order]:
    """The orders that a task can take as it is."""
    if entry["status"] == "orphan":
        return []
    if entry["status"] in _LIVE:
        return [Order.RESTART, Order.STOP]
    if entry["status"] == "ready":
        return [Order.STOP]
    return [Order.START, *([Order.RESTART] if entry["attempt"] else [])]


def is_destructive(order: Order, entry: Mapping[str, Any]) -> bool:
    """It ends a worker that may be in the middle of something."""
    return order is not Order.START and entry["status"] in _LIVE


def _board_row(state: Mapping[str, Any]) -> list[Cell] | None:
    """None while nothing of the board itself needs anybody."""
    asked = [each for each in state.get("requests", ()) if each["task"] is None and not each["tasks"]]
    problems = [each for each in state["problems"] if each["task"] is None]
    waiting = next((each for each in asked if each["decided"] is None), None)
    if waiting is not None:
        return _cells("asks", "33", waiting["why"])
    if state["trouble"]:
        return _cells("trouble", "31", f"the file is not in force: {state['trouble']}")
    if problems:
        return _cells("problem", "33", problem_line(state, problems[0]))
    return None


def _cells(status: str, colour: str, why: str) -> list[Cell]:
    return [Cell(BOARD, "1"), Cell(status, colour), Cell(""), Cell(""), Cell(""), Cell(why)]


def _has(cells: Sequence[Cell], words: Sequence[str]) -> bool:
    text = " ".join(cell.text for cell in cells).lower()
    return all(word in text for word in words)


def _wrapped(cell: Cell, width: int) -> list[str]:
    return [paint(line, cell.colour) for line in wrap(clean(cell.text), width)]
