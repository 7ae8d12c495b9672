"""The board in force: the newest version in the history that was not merely merged, whoever kept it there.

The control plane and the commands each hold one of these on the same history, and change it only under the board's
lock. So an order given by a command is kept under a revision of its own before the file says it, and no editor that
saves over the file in the next instant can lose it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from board import edit
from board.history import Author, Entry, History
from board.merge import Decision, Merged, merge
from board.model import Board, Status
from board.parse import decode
from board.storage import digest

#: From text to board, with the board before it, whose unchanged tasks are taken over. Raises BoardUnreadable.
Read = Callable[[str, Board | None], Board]


class InForce:
    """`text` and its `digest`; `board` is that text, parsed when it is first asked for.

    `passing` are digests that the file may hold without anybody having saved: what was on disk before a version that a
    crash or a full disk kept from being written. Raises `MuxError`.
    """

    def __init__(self, history: History, read: Read) -> None:
        self.text = ""
        self.digest = ""
        self.passing: frozenset[str] = frozenset()
        self._history = history
        self._read = read
        self._serial = 0
        self._rev: int | None = None
        self._board: Board | None = None
        self._parsed: Board | None = None  # the board parsed last: its unchanged tasks are taken over
        self._pending: Entry | None = None  # a save that is kept, and not merged yet
        self._highest = 0

    @property
    def board(self) -> Board:
        if self._board is None:
            self._board = self._parsed = self.parse(self.text)
        return self._board

    @property
    def pending(self) -> bool:
        """A save is kept and not merged yet."""
        return self._pending is not None

    def parse(self, text: str) -> Board:
        return self._read(text, self._parsed)

    def reopen(self) -> bool:
        """What a new start finds; False when nothing was ever kept. A save newer than the board is to be merged."""
        latest = self._history.latest()
        if latest is None:
            return False
        entries = self._history.tail() if self._highest else self._history.entries()
        self._set(decode(self._history.read(latest)), latest)
        self._serial = entries[-1].serial
        self._highest = max(self._highest, *(entry.rev or 0 for entry in entries))
        self._pending = entries[-1] if entries[-1].by == "save" else None
        tail = self._history.tail()
        self.passing |= {entry.digest for entry in tail if len(tail) > 1}
        return True

    def adopt(self) -> bool:
        """Take over a version that another process has kept since. True if there was one. Under the board's lock."""
        before = self.digest
        return self.behind() and self.reopen() and self.digest != before

    def behind(self) -> bool:
        """Whether the history has something newer than what is known here."""
        newest = self._history.newest()
        return newest is not None and newest.serial > self._serial

    def accept(self, text: str, rev: int | None, by: Author, now: float) -> None:
        """Into the history first, then in force."""
        self._set(text, self._history.append(text.encode(), rev, by, now))
        self._highest = max(self._highest, rev or 0)

    def accept_next(self, text: str, by: Author, now: float) -> None:
        """With a revision that was never given out before, even when a person took a board without one."""
        rev = max(self._rev or 0, self._highest) + 1
        self.accept(edit.apply(text, (), rev), rev, by, now)

    def keep(self, save: str, now: float) -> Entry:
        """A person's save, as a base for later merges; it is not in force itself."""
        entry = self._history.append(save.encode(), self.parse(save).rev, "save", now)
        self._serial = max(self._serial, entry.serial)
        return entry

    def merge(self, theirs: str, now: float) -> Sequence[Decision]:
        """Merge a save that was never kept before."""
        merged = self._merged(theirs, None)
        if merged.text == theirs:
            self.accept(theirs, self.parse(theirs).rev, "person", now)
            return merged.decisions
        # The save first: killed in between, the next start finds it and merges it before anything else.
        saved = self.keep(theirs, now)
        if merged.text != self.text:
            self._pending = saved
            self.accept_next(merged.text, "mux", now)
            self._pending = None
        return merged.decisions

    def take_back(self, theirs: Board, older: Entry, now: float) -> list[str]:
        """An undo: the save is, byte for byte, what stood there before a person's `ready` that no attempt took yet.

        Such a save holds no edit in general, as it may be a stale buffer; but not to start is always safe. Returns the
        tasks that are `draft` again.
        """
        if older.rev != self._rev:  # mux has written since: the buffer is stale
            return []
        drafts = {task.id for task in theirs.tasks if task.status is Status.DRAFT}
        taken_back = [task.id for task in self.board.tasks if task.status is Status.READY and task.id in drafts]
        if taken_back:
            changes = [edit.Change(task, Status.DRAFT) for task in taken_back]
            self.accept_next(edit.apply(self.text, changes), "person", now)
        return taken_back

    def merge_pending(self, now: float) -> Sequence[Decision] | None:
        """Merge a save that was kept just before mux was killed, or the disk was full. None when there is nothing."""
        saved, self._pending = self._pending, None
        texts = self._texts([saved]) if saved else []
        if saved is None or not texts or (self.board.tasks and not self.parse(texts[0]).tasks):
            return None
        merged = self._merged(texts[0], saved)
        if merged.text == self.text:
            return None
        self.passing |= {saved.digest}
        self._pending = saved
        self.accept_next(merged.text, "mux", now)
        self._pending = None
        return merged.decisions

    def _merged(self, theirs: str, saved: Entry | None) -> Merged:
        """`saved` is the save itself, where the history has it already."""
        rev = self.parse(theirs).rev
        # Before mux's first write no version has a revision, so then its lack says nothing.
        known = rev is not None or self._rev is None
        bases = self._texts([each for each in self._history.with_rev(rev) if each != saved]) if known else []
        return merge(bases, theirs, self.text, self._versions)

    def _versions(self) -> list[str]:
        return self._texts([entry for entry in self._history.entries() if entry.by != "save"])

    def _texts(self, entries: Sequence[Entry]) -> list[str]:
        return [decode(data) for _, data in self._history.whole(entries)]

    def _set(self, text: str, entry: Entry) -> None:
        self.text = text
        self.digest = digest(text.encode())
        self._serial = max(self._serial, entry.serial)
        self._rev = entry.rev
        self._board = None
