"""Where the dashboard gets what it shows: two threads that look, seldom and cheaply, and tell what changed.

Nothing is asked of tmux or git for workers that nobody looks at. One thread stats the state of the control plane; the
other keeps what is open of the chosen task: its screen is captured only after its worker printed something, at most
once a second; what it changed is asked when it is opened, then every 30 s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from board.errors import MuxError
from board.storage import stamp_at
from bot.diff import changes_of, for_terminal
from bot.place import Place
from bot.status import facts_of, look, needing_you, one_task
from bot.watch_views import BOARD, Tab, board_lines, journal_lines, screen_lines
from runners import daemon
from runners.host import Host
from runners.journal import Journal

LOOK = 0.5  # seconds between looks at whether something changed
#: Seconds until what is shown is made anew although nothing changed, because it says how long ago things were.
AGES = 5.0
_CAPTURE = 1.0  # seconds between two captures of a screen
_DIFF = 30.0
_EVENTS = 200
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Seen:
    """The board's state as `mux status --json` has it. `trouble`: it could not be read now, and this is the last."""

    state: Mapping[str, Any]
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Aim:
    """What is open: which task, which part of it, and the state that it was chosen from."""

    task: str
    tab: Tab
    state: Mapping[str, Any] = field(hash=False)

    def same_as(self, other: Aim | None) -> bool:
        return other is not None and (self.task, self.tab) == (other.task, other.tab)


@dataclass(frozen=True, slots=True)
class Pane:
    task: str
    tab: Tab
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Window:
    """Which window an attempt has, as it was at a time."""

    key: tuple[str, int, str]
    id: str | None
    at: float


class Lookout:
    """Calls `look` in a thread of its own, every half second and whenever it is woken, until it is stopped."""

    def __init__(self, look: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        self._look, self._failed = look, failed
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="mux-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        """Returns when it looks no more, or after 2 s: a stuck tmux keeps nobody here."""
        self._stopped = True
        self._wake.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        try:
            while not self._stopped:
                self._look()
                self._wake.wait(LOOK)
                self._wake.clear()
        except Exception as error:  # a bug: the one who shows things ends, and says so
            if not self._stopped:
                self._failed(error)


class StateLook:
    """Tells the state when it changed, and every few seconds."""

    def __init__(self, place: Place, tell: Callable[[Seen], None], first: Seen) -> None:
        self._place, self._tell = place, tell
        self._seen = first
        self._stamp: object = None
        self._read = self._told = 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        plane = daemon.running(self._place.folder)
        stamp = (plane, *(stamp_at(path) for path in self._watched(down=plane is None)))
        # Without a control plane nobody writes down that a worker ended.
        if stamp != self._stamp or (plane is None and now - self._read >= AGES):
            self._stamp, self._read = stamp, now
            try:
                self._seen = Seen(look(self._place, time.time()))
            except MuxError as error:
                self._seen = Seen(self._seen.state, str(error))
        elif now - self._told < AGES:
            return
        self._told = now
        self._tell(self._seen)

    def _watched(self, down: bool) -> list[Path]:
        folder = self._place.folder
        return [self._place.path, folder / "requests", folder / "runs"] if down else [folder / "state.json"]


class PaneLook:
    """Tells what is open of the chosen task, when that changed. `aim` and `changed` may be called from any thread."""

    def __init__(self, place: Place, host: Host, tell: Callable[[Pane], None]) -> None:
        self._place, self._host, self._tell = place, host, tell
        self._aim: Aim | None = None
        self._last: Aim | None = None  # what the rest is about
        self._stamp: object = _NOTHING
        self._at = 0.0
        self._window: _Window | None = None
        self._shown: Pane | None = None
        self._ways = {Tab.ABOUT: self._about, Tab.SCREEN: self._screen, Tab.DIFF: self._diff, Tab.JOURNAL: self._events}

    def aim(self, aim: Aim | None) -> None:
        self._aim = aim

    def changed(self) -> None:
        """What was seen before does not count: the task was attached to, or ordered."""
        self._last = None

    def __call__(self) -> None:
        aim = self._aim
        if aim is None:
            return
        if not aim.same_as(self._last):
            self._stamp, self._at, self._shown = _NOTHING, 0.0, None
            self._window = None
        self._last = aim
        try:
            lines = self._ways[aim.tab](aim)
        except MuxError as error:
            lines = [str(error)]
        pane = None if lines is None else Pane(aim.task, aim.tab, tuple(lines))
        if pane is not None and pane != self._shown:
            self._shown = pane
            self._tell(pane)

    def _about(self, aim: Aim) -> list[str] | None:
        """Anew with each state; the state is told again every few seconds, so ages go on."""
        if self._is_known(aim.state, AGES):
            return None
        now = time.time()
        if aim.task == BOARD:
            return board_lines(aim.state, now)
        entry = one_task(aim.state, aim.task)
        title, *facts = facts_of(entry, self._place, now)
        return [title, *needing_you(entry, now), *facts]

    def _screen(self, aim: Aim) -> list[str] | None:
        if aim.task == BOARD:
            return ["the board has no screen"]
        entry = one_task(aim.state, aim.task)
        window = self._window_of(aim.task, entry)
        printed = self._host.printed([(aim.task, entry["attempt"])])
        stamp = (window, printed.get(aim.task), entry["status"])
        if stamp == self._stamp or time.monotonic() - self._at < _CAPTURE:
            return None
        self._stamp, self._at = stamp, time.monotonic()
        if window is not None and (screen := self._host.look([window]).screens.get(window)) is not None:
            return screen_lines(screen)
        if not entry["attempt"]:
            return [f"{aim.task} has not run yet"]
        return [f"its window is closed; what it printed: mux logs {aim.task}"]

    def _window_of(self, task: str, entry: Mapping[str, Any]) -> str | None:
        """Asked once an attempt and status; one that was not found is looked for again, but seldom."""
        key, now = (task, entry["attempt"], entry["status"]), time.monotonic()
        known = self._window
        if known is None or known.key != key or (known.id is None and now - known.at >= AGES):
            windows = self._host.windows() or ()
            ids = [window.id for window in windows if (window.task, window.attempt) == (task, entry["attempt"])]
            known = self._window = _Window(key, ids[0] if ids else None, now)
        return known.id

    def _diff(self, aim: Aim) -> list[str] | None:
        if self._is_known(None, _DIFF):
            return None
        if aim.task == BOARD:
            return ["what changed on the board: mux history"]
        changes = changes_of(self._place, aim.task, True)
        if not changes.diff and not changes.untracked:
            return [f"{aim.task}: nothing changed"]
        return [*for_terminal(changes, False), "", f"all of it: mux diff {aim.task}"]

    def _events(self, aim: Aim) -> list[str] | None:
        journal = Journal(self._place.folder)
        if self._is_known(stamp_at(journal.path), None):
            return None
        return journal_lines(journal.newest(_EVENTS, None if aim.task == BOARD else aim.task), aim.task)

    def _is_known(self, stamp: object, seconds: float | None) -> bool:
        """Whether nothing changed since the last look, which is younger than so many seconds."""
        now = time.monotonic()
        if stamp == self._stamp and (seconds is None or now - self._at < seconds):
            return True
        self._stamp, self._at = stamp, now
        return False
