"""What `mux up` shows: a table drawn in place on a terminal, else one plain line an event."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Any, Self

from board.clock import format_time
from bot import terminal
from bot.history import event_line
from bot.status import NO_TASK, problem_line, whole
from bot.table import cut, unpainted
from runners.journal import Event

_NUMBER = re.compile(r"\d+")
_EVENTS = 6  # the newest, below the table
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # a screen of its own, without a cursor
_HOME, _TO_END_OF_LINE, _TO_END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


class Screen:
    """`tell` takes events from any thread; `show` takes the state after each pass of the loop."""

    def __init__(self, stream: IO[str], since: float) -> None:
        self._stream = stream
        self._since = since
        self._live = terminal.is_terminal(stream)
        self._events: deque[Event] = deque(maxlen=_EVENTS)
        self._told: set[tuple[str | None, str]] = set()  # problems, by task and text
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self._live:
            self._stream.write(_ENTER)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._stream.write(_LEAVE)
            self._stream.flush()

    def tell(self, event: Event) -> None:
        with self._lock:
            self._events.append(event)
            if not self._live:
                print(event_line(event), file=self._stream, flush=True)

    def show(self, state: Mapping[str, Any]) -> None:
        if not self._live:
            self._tell_new(state)
            return
        size = os.get_terminal_size(self._stream.fileno())
        colour = terminal.colourful(stream=self._stream)
        lines = [line if colour else unpainted(line) for line in self._lines(state, size.columns)]
        drawn = "".join(f"{line}{_TO_END_OF_LINE}\r\n" for line in lines[: size.lines - 1])
        with self._lock:
            self._stream.write(f"{_HOME}{drawn}{_TO_END_OF_SCREEN}")
            self._stream.flush()

    def _tell_new(self, state: Mapping[str, Any]) -> None:
        """At first what runs, and each problem once: their lines move with each write of the board."""
        lines = [] if self._told else [f"mux runs {state['path']} (process {os.getpid()}): {_size(state)}"]
        found = {(each["task"], _NUMBER.sub("", each["text"])): each for each in state["problems"]}
        lines += [problem_line(state, each) for key, each in found.items() if key not in self._told]
        self._told = {("", ""), *found}
        with self._lock:
            for line in lines:
                print(line, file=self._stream, flush=True)

    def _lines(self, state: Mapping[str, Any], width: int) -> list[str]:
        now = time.time()
        plane = {"running": True, "pid": os.getpid(), "since": format_time(self._since)}
        table = whole({**state, "control_plane": plane, "at": format_time(now)}, now, width, fitted=True)
        with self._lock:
            events = [cut(event_line(event), width) for event in self._events]
        return [*table, "", *events, "", "Ctrl-C ends mux; workers go on"]


def _size(state: Mapping[str, Any]) -> str:
    count = len(state["tasks"])
    return f"{count} task{'s' if count != 1 else ''}; Ctrl-C ends mux, workers go on" if count else NO_TASK
