"""Keeps the board in force: takes people's saves, writes mux's own lines, and never loses either.

The board in force is the newest version in the history; the file on disk is where it and people's saves meet. A version
is in the history before anything acts on it, so a control plane that is killed at any instruction finds here what it
had accepted, and treats whatever else is in the file as one more save.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from board import edit
from board.errors import BoardBusy, BoardChanged, BoardMissing, BoardUnreadable, MuxError
from board.file import BoardFile
from board.history import Author, Entry, History
from board.merge import merge
from board.model import Board
from board.parse import decode
from board.storage import digest

#: From text to board, with the board before it, whose unchanged tasks are taken over. Raises BoardUnreadable.
Read = Callable[[str, Board | None], Board]

#: A file that is gone or empty may be an editor halfway through a save: believed after this many seconds.
VANISHED_AFTER = 1.0
#: A file that somebody has open for writing is looked at again after this many seconds.
BUSY_AGAIN = 0.05
#: A write that failed (disk full, folder not writable) is tried again after this many seconds.
FAILED_AGAIN = 5.0


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should know about a save: one line for the journal and for `mux status`."""

    text: str
    task: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A save that could wipe the board: nothing follows from it until a person says *take* or *keep*."""

    text: str
    digest: str  # of the file's content; empty when there is no file to read


class Keeper:
    """The board in force at `path`, with its history under `folder` (`.mux`).

    `board` is what is in force. `trouble` says why the file on disk is not (None when it is). `wrote_at` is when mux
    last wrote the file, `retry_at` when the file should be looked at again even if no event comes.
    Raises `MuxError` when there is no board to begin with.
    """

    def __init__(self, path: Path, folder: Path, read: Read, now: float) -> None:
        self._file = BoardFile(path)
        self._history = History(folder / "history")
        self._read = read
        self.path = self._file.path
        self.trouble: str | None = None
        self.held: Held | None = None
        self.wrote_at = 0.0
        self.retry_at: float | None = None
        self._refused = ""  # digest of content on disk that is not in force: unreadable, or held
        self._vanished_at: float | None = None
        latest = self._history.latest()
        if latest is None:
            version = self._file.read_soon()
            self._accept(decode(version.text), "person", now)
        else:
            self._in_force(self._parse(decode(self._history.read(latest))))
        self._on_disk = self._expected_on_disk()

    def look(self, now: float) -> list[Note]:
        """Read the file if it changed, and take the save that is in it. Says what a person should know."""
        self.retry_at = None
        notes: list[Note] = []
        for displaced in self._file.displaced():
            notes += self._take_displaced(displaced.text, now)
            self._file.forget(displaced)
        try:
            version = self._file.read()
        except BoardBusy:
            self.retry_at = now + BUSY_AGAIN
            return notes
        except BoardUnreadable as error:
            return notes + self._not_in_force(str(error), "")
        except BoardMissing as error:
            return notes + self._vanished(str(error), "", now)
        if version.digest == self._digest:
            self._all_well(version.digest)
        elif version.digest != self._refused:
            notes += self._take_file(version.text, version.digest, now)
        return notes

    def write(self, changes: Sequence[edit.Change], now: float) -> list[Note]:
        """Bring mux's own lines up to date and bump `mux.rev`. What a person saves meanwhile is taken at the next look.

        Raises `MuxError` when the new version could not be kept; the board in force is then as it was.
        """
        changed = edit.apply(self.board.text, changes)
        if changed == self.board.text:  # a yaml block that cannot be read is left alone, and so is the revision
            return []
        on_disk = self._digest
        self._accept(edit.apply(changed, (), self._next_rev), "mux", now)
        return self._put_on_disk(on_disk, now)

    def take_held(self, now: float) -> list[Note]:
        """A person said that the held save is meant: it becomes the board. A missing file becomes an empty board."""
        if self.held is None:
            return []
        try:
            data = self._file.read().text
        except BoardMissing:
            data = b""
        except BoardBusy:
            self.retry_at = now + BUSY_AGAIN
            return []
        if self.held.digest and digest(data) != self.held.digest:
            return []  # it was saved again: the next look decides
        self._accept(decode(data), "person", now)
        self._all_well(digest(data))
        return [Note("the held save was taken: it is the board now")]

    def put_back(self, now: float) -> list[Note]:
        """A person said that the board in force should stand: it is written back."""
        if self.held is None:
            return []
        notes = self._put_on_disk(self.held.digest or None, now)
        return [*notes, Note("the board was put back as it was")]

    def prune(self, now: float) -> None:
        """Remove versions older than `retain`, never the newest."""
        self._history.prune(now, self.board.settings.retain)

    @property
    def _next_rev(self) -> int:
        return (self.board.rev or 0) + 1

    def _take_file(self, data: bytes, found: str, now: float) -> list[Note]:
        """The file holds something else than the board in force: merge it, hold it, or write the board back."""
        try:
            text = decode(data)
            theirs = self._parse(text)
        except BoardUnreadable as error:
            return self._not_in_force(f"{error}; revision {self.board.rev or 0} stays in force", found)
        if self.board.tasks and not theirs.tasks:
            return self._vanished(f"{self.path}: no task is left in it", found, now)
        older = self._history.find(found)
        if older is None:
            notes = self._merge(text, now)
        elif found != self._on_disk:
            notes = [_went_back(older)]
        else:
            notes = []  # a write of ours that failed; tried again now
        self._all_well(found)
        return notes + self._put_on_disk(found, now)

    def _take_displaced(self, data: bytes, now: float) -> list[Note]:
        """A save that landed while mux wrote: merged like any other, unless there is nothing in it to merge."""
        try:
            text = decode(data)
            theirs = self._parse(text)
        except BoardUnreadable as error:
            return [Note(f"a save that came while the board was written cannot be read and was left out: {error}")]
        if self._history.find(digest(data)) is not None or (self.board.tasks and not theirs.tasks):
            return []
        on_disk = self._digest
        notes = self._merge(text, now)
        return notes + self._put_on_disk(on_disk, now)

    def _merge(self, theirs: str, now: float) -> list[Note]:
        rev = self._parse(theirs).rev
        # Before mux's first write no version has a revision, so then its lack says nothing.
        known = rev is not None or self.board.rev is None
        bases = self._texts(self._history.with_rev(rev)) if known else []
        merged = merge(bases, theirs, self.board.text, lambda: self._texts(self._history.entries()))
        if merged.text == theirs:
            self._accept(theirs, "person", now)
        else:
            if merged.text != self.board.text:
                self._accept(edit.apply(merged.text, (), self._next_rev), "mux", now)
            # After the version it went into: a crash in between merges the save once more, which changes nothing.
            self._history.append(theirs.encode(), rev, "save", now)
        return [Note(decision.text, decision.task) for decision in merged.decisions]

    def _texts(self, entries: Sequence[Entry]) -> list[str]:
        return [decode(data) for _, data in self._history.whole(entries)]

    def _accept(self, text: str, by: Author, now: float) -> None:
        """Into the history first, then in force."""
        board = self._parse(text)
        self._history.append(text.encode(), board.rev, by, now)
        self._in_force(board)

    def _put_on_disk(self, expected: str | None, now: float) -> list[Note]:
        """Write the board in force over the content with digest `expected`, unless it is the same."""
        if expected == self._digest:
            return []
        try:
            written = self._file.write(self.board.text.encode(), expected)
        except (BoardChanged, BoardBusy, BoardMissing):
            self.retry_at = now  # somebody saved meanwhile: read that first
            return []
        except MuxError as error:
            self.retry_at = now + FAILED_AGAIN
            return self._not_in_force(str(error), self._refused)
        self.wrote_at = now
        self._all_well(written.version.digest)
        if written.displaced:
            self.retry_at = now
        return []

    def _vanished(self, text: str, found: str, now: float) -> list[Note]:
        """The file is gone, or a whole board is: an editor halfway through a save, or something to ask about."""
        if self._vanished_at is None:
            self._vanished_at = now
        if now - self._vanished_at < VANISHED_AFTER:
            self.retry_at = self._vanished_at + VANISHED_AFTER
            return []
        self.held = Held(text, found)
        return self._not_in_force(f"{text}; held: nothing starts, ends or is lost because of it", found)

    def _not_in_force(self, text: str, found: str) -> list[Note]:
        self._refused = found
        if self.trouble == text:
            return []
        self.trouble = text
        return [Note(text)]

    def _all_well(self, found: str) -> None:
        self._on_disk = found
        self._refused = ""
        self._vanished_at = None
        self.trouble = None
        self.held = None

    def _expected_on_disk(self) -> str:
        """After a crash between keeping a version and writing it, the one before it is on disk, and that is no save."""
        before = self._history.before_latest()
        return before.digest if before else ""

    def _in_force(self, board: Board) -> None:
        self.board = board
        self._digest = digest(board.text.encode())

    def _parse(self, text: str) -> Board:
        return self._read(text, getattr(self, "board", None))


def _went_back(older: Entry) -> Note:
    return Note(
        f"the save is revision {older.rev or 0} as it was: it holds no edit and changes nothing; "
        f"to go back to it: mux history restore {older.serial}"
    )
