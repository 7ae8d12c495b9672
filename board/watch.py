"""Wakes the loop when the board is saved or something lands in the inbox, and says when a burst of saves is over.

The folders are watched, never the file: most editors save by rename, after which a watch on the file sees nothing.
A wake-up is a hint and no more: the loop looks for itself, and also looks now and then without one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from board.errors import MuxError
from board.exchange import is_remote
from board.storage import one_line_errors

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent, FileSystemEventHandler
    from watchdog.observers.api import BaseObserver

Wake = Callable[[Literal["board", "inbox"]], None]

POLL_EVERY = 0.5  # seconds, where the file system sends no events
SELF_TEST = 1.0  # seconds that the event of a probe file may take

_CHANGES = frozenset({"created", "modified", "moved", "deleted", "closed"})  # not opened, closed_no_write: our reads
_ARRIVALS = frozenset({"created", "moved", "closed"})


@dataclass(frozen=True, slots=True)
class Settler:
    """When to read a file that is being saved: `quiet` after the last event, at most `limit` after the first.

    All are seconds, of any one clock.
    """

    quiet: float = 0.05
    limit: float = 0.5
    first: float | None = None
    last: float | None = None

    def noted(self, now: float) -> Settler:
        """With an event at `now`."""
        return Settler(self.quiet, self.limit, now if self.first is None else self.first, now)

    def cleared(self) -> Settler:
        """After the file was read: nothing is due."""
        return Settler(self.quiet, self.limit)

    @property
    def due(self) -> float | None:
        """When to read; None when nothing happened."""
        if self.first is None or self.last is None:
            return None
        return min(self.last + self.quiet, self.first + self.limit)


class Watcher:
    """Calls `wake("board")` for changes to `board` and `wake("inbox")` for arrivals in the folder `inbox`.

    `board` is the file itself, not a link to it (`BoardFile.path`); both folders must be there. `wake` is called in
    threads of the watcher, so it only puts something on a queue. Polls where the file system sends no events: on
    network and shared folders, where a test file is not noticed, and where the system is out of watches.
    """

    def __init__(self, board: Path, inbox: Path, wake: Wake) -> None:
        self.polling = False
        self._board = board.parent.resolve() / board.name
        self._inbox = inbox.resolve()
        self._wake = wake
        self._observer: BaseObserver | None = None
        self._held: list[int] = []  # open folders: while held, no new folder gets the inode of a removed one
        self._probes: dict[str, threading.Event] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when events arrive (or polling is on). Raises `MuxError` when a folder is not there."""
        self._hold_folders()
        if any(map(is_remote, self._watched())) or not (self._observe(polling=False) and self._notices_probes()):
            self._end_observer()
            self._observe(polling=True)

    def stop(self) -> None:
        """Returns when no thread of the watcher is left; stopping twice is no error."""
        self._end_observer()
        while self._held:
            os.close(self._held.pop())

    def refresh(self) -> bool:
        """Watches again, and says True, when a folder was removed and made anew (a watch holds on to the old one).

        For the slow tick. While a folder is missing nothing changes. Raises `MuxError`.
        """
        try:
            now = [folder.stat() for folder in self._watched()]
        except FileNotFoundError:
            return False
        if self._held and all(map(os.path.samestat, now, map(os.fstat, self._held))):
            return False
        self.stop()
        self.start()
        return True

    def _hold_folders(self) -> None:
        for folder in self._watched():
            try:
                with one_line_errors("watch", folder):
                    self._held.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
            except MuxError:
                self.stop()
                raise

    def _end_observer(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            if self._observer.is_alive():
                self._observer.join()
            self._observer = None

    def _watched(self) -> tuple[Path, Path]:
        return self._board.parent, self._inbox

    def _observe(self, polling: bool) -> bool:
        """False when the system refuses: `fs.inotify.max_user_watches` or `max_user_instances` is used up."""
        from watchdog.observers import Observer
        from watchdog.observers.polling import PollingObserver

        self.polling = polling
        handler = _handler(self._noticed)
        try:
            self._observer = PollingObserver(timeout=POLL_EVERY) if polling else Observer()
            for folder in dict.fromkeys(self._watched()):
                self._observer.schedule(handler, str(folder))
            self._observer.start()
        except OSError:
            if polling:
                raise
            return False
        return True

    def _noticed(self, event: FileSystemEvent) -> None:
        for name in {os.fsdecode(event.src_path), os.fsdecode(event.dest_path)} - {""}:
            self._noticed_name(event.event_type, Path(name))

    def _noticed_name(self, kind: str, path: Path) -> None:
        if probe := self._probes.get(str(path)):
            probe.set()
        elif path == self._board and kind in _CHANGES:
            self._wake("board")
        elif path.parent == self._inbox and kind in _ARRIVALS and not path.name.startswith("."):
            self._wake("inbox")

    def _notices_probes(self) -> bool:
        """Whether a file made in each folder is noticed: some mounts take a watch and then never send an event."""
        return all(map(self._notices_probe, dict.fromkeys(self._watched())))

    def _notices_probe(self, folder: Path) -> bool:
        probe = folder / f".{self._board.name}.mux.probe"
        noticed = self._probes[str(probe)] = threading.Event()
        try:
            probe.touch()
            probe.unlink()
        except OSError:  # a folder that cannot be written tells nothing
            return False
        return noticed.wait(SELF_TEST)


def _handler(noticed: Callable[[FileSystemEvent], None]) -> FileSystemEventHandler:
    from watchdog.events import FileSystemEventHandler

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            noticed(event)

    return Handler()
