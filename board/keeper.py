"""Keeps the board's file and the board in force together: takes people's saves, writes mux's lines, loses neither.

The board in force is in the history (`board.in_force`); the file on disk is where it and people's saves meet. A version
is in the history before anything acts on it and before it is written, so a process that is killed at any instruction
leaves a history that says what is in force, and whatever else is in the file is one more save.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from board import edit
from board.errors import BoardBusy, BoardChanged, BoardMissing, BoardUnreadable, MuxError
from board.file import BoardFile, Version
from board.history import Author, Entry, History
from board.in_force import InForce, Read
from board.merge import Decision
from board.model import Board, Status
from board.parse import decode
from board.storage import digest, write_atomic

VANISHED_AFTER = 1.0  # seconds until a file that is gone or empty is believed: an editor may be halfway through a save
BUSY_AGAIN = 0.05  # seconds before the next look at a file that somebody has open for writing
BUSY_SAID_AFTER = 15.0  # and then looked at more seldom
HELD_AGAIN = 1.0  # after an answer about a held save, if the file was just changing
FAILED_AGAIN = 5.0  # after a write that failed: disk full, folder not writable


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
    """The board in force at `path`, with its history under `folder` (`.mux`). Several processes may each have one.

    `trouble` says why the file on disk is not in force (None when it is), and `settled` whether the last look found a
    whole board there. `wrote_at` is when mux last wrote the file, `retry_at` when the file should be looked at again
    even if no event comes. Raises `MuxError` when there is no board to begin with.
    """

    def __init__(self, path: Path, folder: Path, read: Read, now: float) -> None:
        self._file = BoardFile(path)
        self._folder = folder
        self._history = History(folder / "history")
        self._in_force = InForce(self._history, read)
        self.path = self._file.path
        self.trouble: str | None = None
        self.settled = False
        self.held: Held | None = None
        self._failing = False  # the last write failed, and that was said
        self.wrote_at = 0.0
        self.retry_at: float | None = None
        self._refused = ""  # digest of content on disk that is not in force: unreadable, or held
        self._vanished_at: float | None = None
        self._busy_since: float | None = None
        self._news: list[Note] = []  # what the first look has to say
        if not self._in_force.reopen():
            with self._file.lock():
                self._begin(now)

    def _begin(self, now: float) -> None:
        """The first version: all that is written in it is fresh."""
        if self._in_force.reopen():
            return
        board = self._in_force.parse(decode(self._file.read_soon().text))
        text = board.text
        self._in_force.accept(text, board.rev, "person", now)
        ordered = [edit.Change(task.id, Status.DRAFT) for task in board.tasks if task.status is Status.READY]
        if board.rev is not None and ordered:  # mux wrote it before, and its history is lost: no status is an order
            self._in_force.accept_next(edit.apply(text, ordered), "mux", now)
            self._in_force.passing |= {digest(text.encode())}
            self._news.append(
                Note("no history is left, so no `ready` here is an order: they are draft; write it again")
            )

    @property
    def board(self) -> Board:
        """What is in force."""
        return self._in_force.board

    @property
    def text(self) -> str:
        """The text of what is in force; unlike `board.text` it costs no parsing."""
        return self._in_force.text

    def look(self, now: float) -> list[Note]:
        """Read the file if it changed, and take the save that is in it. Says what a person should know."""
        self.retry_at = None
        notes, self._news = [*self._news, *self._trying(self._look, now)], []
        self._failing = self._failing and self.trouble is not None
        return notes

    def write(self, changes: Sequence[edit.Change], now: float) -> list[Note]:
        """Bring mux's own lines up to date and bump `mux.rev`. What a person saves meanwhile is taken at the next look.

        Nothing is written when somebody else changed the board in force since it was looked at: the changes were meant
        for another one. Raises `MuxError` when the new version could not be kept; the board in force is as it was then.
        """
        with self._file.lock():
            if self._in_force.adopt():
                self.retry_at = now
                return []
            notes = self._take_pending(now)
            changed = edit.apply(self._in_force.text, changes)
            if changed == self._in_force.text:  # a yaml block that cannot be read is left alone, and so is the revision
                return notes
            return notes + self._accept_and_write(changed, "mux", self._in_force.digest, now)

    def lock(self) -> AbstractContextManager[None]:
        """The board's lock: whoever edits the board holds it from look to replace. Raises `LockHeld`."""
        return self._file.lock()

    def replace(self, text: str, now: float) -> list[Note]:
        """A person's edit of the board in force, by a command; it also takes the place of a save that is held.

        Raises `MuxError` when it could not be kept; the board in force is as it was then.
        """
        on_disk = (self.held.digest or None) if self.held else self._in_force.digest
        if text == self._in_force.text and not self.held:
            return []
        return self._accept_and_write(text, "person", on_disk, now)

    def version(self, serial: int) -> str:
        """The text of a version in the history. Raises `MuxError` when it is not kept."""
        return decode(self._history.read(self._history.version(serial)))

    def decide_held(self, take: bool, now: float) -> list[Note]:
        """A person decided about the held save. Nothing is `held` any more once it is carried out.

        Take: it becomes the board; a missing file becomes an empty board. Else the board in force is written back, and
        what was held is in the history. While the file is not as it was when they were asked, nothing is done.
        """
        with self._file.lock():
            return self._trying(self._take_held if take else self._put_back, now)

    def _trying(self, step: Callable[[float], list[Note]], now: float) -> list[Note]:
        """What cannot be kept (disk full) is not taken, and tried again."""
        try:
            return step(now)
        except MuxError as error:
            with suppress(MuxError):
                self._in_force.reopen()  # the version may be there after all: `fsync` can fail after the rename
            return self._failed(error, self._refused if self.held else "", now)

    def _look(self, now: float) -> list[Note]:
        with suppress(MuxError):  # what cannot be read is looked at again under the lock
            found = self._file.read().digest
            known = found == self._in_force.digest and not self._in_force.behind()
            if known and not self._in_force.pending and not self._file.has_swaps():
                self._all_well(found)
                return []
        with self._file.lock():
            self._in_force.adopt()
            notes = self._take_pending(now)
            for displaced in self._file.displaced():
                notes += self._take_displaced(displaced.text, now)
                self._file.forget(displaced)
            return notes + self._look_at_file(now)

    def _look_at_file(self, now: float) -> list[Note]:
        try:
            version = self._file.read()
        except BoardBusy as error:
            return self._busy(error, now)
        except BoardUnreadable as error:
            return self._not_in_force(f"{error}; the board in force stays", "")
        except BoardMissing as error:
            return self._vanished(str(error), "", now) if self.board.tasks else self._not_in_force(str(error), "")
        if version.digest == self._in_force.digest:
            self._all_well(version.digest)
        elif version.digest != self._refused:
            return self._take_file(version, now)
        return []

    def _busy(self, error: BoardBusy, now: float) -> list[Note]:
        self.settled = False
        self._busy_since = self._busy_since or now
        patient = now - self._busy_since < BUSY_SAID_AFTER
        self.retry_at = now + (BUSY_AGAIN if patient else HELD_AGAIN)
        return [] if patient else self._not_in_force(str(error), self._refused)

    def _take_file(self, version: Version, now: float) -> list[Note]:
        """The file holds something else than the board in force: merge it, hold it, or write the board back."""
        try:
            text = decode(version.text)
            theirs = self._in_force.parse(text)
        except BoardUnreadable as error:
            self.held = None
            return self._not_in_force(f"{error}; the board in force stays", version.digest)
        if self.board.tasks and not theirs.tasks:
            return self._vanished(f"{self.path}: no task is left in it", version.digest, now)
        older = self._history.find(version.digest)
        if older is None:
            notes = notes_of(self._in_force.merge(text, now))
        elif taken_back := self._in_force.take_back(theirs, older, now):
            notes = [Note("its order was taken back: it is draft again", task) for task in taken_back]
        elif version.digest not in self._in_force.passing:
            notes = [_went_back(older)]
        else:
            notes = []  # a write of ours that failed; tried again now
        self._all_well(version.digest)
        return notes + self._put_on_disk(version.digest, now)

    def _take_displaced(self, data: bytes, now: float) -> list[Note]:
        """A save that landed while mux wrote: merged like any other, unless there is nothing in it to merge."""
        try:
            text = decode(data)
            theirs = self._in_force.parse(text)
        except BoardUnreadable as error:
            return self._left_out(data, str(error))
        if self._history.find(digest(data)) is not None:
            return []
        if self.board.tasks and not theirs.tasks:
            return self._left_out(data, "no task is left in it") if text.strip() else []
        on_disk = self._in_force.digest
        notes = notes_of(self._in_force.merge(text, now))
        return notes + self._put_on_disk(on_disk, now)

    def _left_out(self, data: bytes, why: str) -> list[Note]:
        path = self._folder / f"left-out-{digest(data)[:12]}.md"
        write_atomic(path, data)
        return [Note(f"a save that came while mux wrote the board is not in it, but kept in {path}: {why}")]

    def _take_pending(self, now: float) -> list[Note]:
        on_disk = self._in_force.digest
        decisions = self._in_force.merge_pending(now)
        return [] if decisions is None else notes_of(decisions) + self._put_on_disk(on_disk, now)

    def _take_held(self, now: float) -> list[Note]:
        held = self._still_held(now)
        if held is None:
            return []
        found = held[0].digest
        self._in_force.accept_next(decode(held[1]), "person", now)
        self._all_well(found)
        return [Note("the held save was taken: it is the board now"), *self._put_on_disk(found or None, now)]

    def _put_back(self, now: float) -> list[Note]:
        held = self._still_held(now)
        if held is None:
            return []
        if held[1].strip():
            self._in_force.keep(decode(held[1]), now)
        self._in_force.accept_next(self._in_force.text, "mux", now)
        notes = self._put_on_disk(held[0].digest or None, now)
        return notes if self.held else [Note("the board was put back as it was"), *notes]

    def _still_held(self, now: float) -> tuple[Held, bytes] | None:
        """What is held and its content, if the file still has it; else when to look again is set."""
        if self.held is None:
            return None
        try:
            data = self._file.read().text
        except BoardMissing:
            if not self.held.digest and not self.path.exists():
                return self.held, b""
        except BoardBusy:
            pass
        else:
            if digest(data) == self.held.digest:
                return self.held, data
        self.retry_at = now + HELD_AGAIN
        return None

    def _accept_and_write(self, text: str, by: Author, on_disk: str | None, now: float) -> list[Note]:
        try:
            self._in_force.accept_next(text, by, now)
        except MuxError:
            self._in_force.reopen()
            raise
        return self._put_on_disk(on_disk, now)

    def _put_on_disk(self, expected: str | None, now: float) -> list[Note]:
        """Write the board in force over the content with digest `expected`, unless it is the same."""
        if expected == self._in_force.digest:
            return []
        try:
            written = self._file.write(self._in_force.text.encode(), expected)
        except (BoardChanged, BoardBusy, BoardMissing):
            self.retry_at = now  # somebody saved meanwhile: read that first
            return []
        except MuxError as error:
            return self._failed(error, self._refused, now)
        self.wrote_at = now
        self._all_well(written.version.digest)
        if written.displaced:
            self.retry_at = now
        return []

    def _vanished(self, text: str, found: str, now: float) -> list[Note]:
        """The file is gone, or a whole board is: an editor halfway through a save, or something to ask about."""
        self.settled = False
        if self._vanished_at is None:
            self._vanished_at = now
        if now - self._vanished_at < VANISHED_AFTER:
            self.retry_at = self._vanished_at + VANISHED_AFTER
            return []
        self.held = Held(text, found)
        return self._not_in_force(f"{text}; held, and nothing starts or ends; decide with: mux requests", found)

    def _failed(self, error: MuxError, found: str, now: float) -> list[Note]:
        """Said once, though each try may name another file."""
        self.retry_at = now + FAILED_AGAIN
        notes = self._not_in_force(str(error), found)
        failing, self._failing = self._failing, True
        return [] if failing else notes

    def _not_in_force(self, text: str, found: str) -> list[Note]:
        self._refused = found
        self.settled = False
        if self.trouble == text:
            return []
        self.trouble = text
        return [Note(text)]

    def _all_well(self, found: str) -> None:
        self._in_force.passing = frozenset({found})
        self._refused = ""
        self.settled = True
        self._vanished_at = None
        self._busy_since = None
        self.trouble = None
        self.held = None


def notes_of(decisions: Sequence[Decision]) -> list[Note]:
    """What a merge decided, for a person."""
    return [Note(decision.text, decision.task) for decision in decisions]


def _went_back(older: Entry) -> Note:
    return Note(
        f"the save is version {older.serial} as it was, byte for byte: it holds no edit and changes nothing; "
        f"to go back to that version: mux history restore {older.serial}"
    )
