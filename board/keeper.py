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
from board.merge import Merged, merge
from board.model import Board
from board.parse import decode
from board.restore import restored
from board.storage import digest, write_atomic

#: From text to board, with the board before it, whose unchanged tasks are taken over. Raises BoardUnreadable.
Read = Callable[[str, Board | None], Board]

#: A file that is gone or empty may be an editor halfway through a save: believed after this many seconds.
VANISHED_AFTER = 1.0
#: A file that somebody has open for writing is looked at again after this many seconds.
BUSY_AGAIN = 0.05
#: What a person answered about a held save is tried again after this many seconds, if the file was just changing.
HELD_AGAIN = 1.0
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

    `board` is what is in force. `trouble` says why the file on disk is not (None when it is), and `settled` whether the
    last look found a whole board there. `wrote_at` is when mux last wrote the file, `retry_at` when the file should be
    looked at again even if no event comes. Raises `MuxError` when there is no board to begin with.
    """

    def __init__(self, path: Path, folder: Path, read: Read, now: float) -> None:
        self._file = BoardFile(path)
        self._folder = folder
        self._history = History(folder / "history")
        self._read = read
        self.path = self._file.path
        self.trouble: str | None = None
        self.settled = False
        self.held: Held | None = None
        self.wrote_at = 0.0
        self.retry_at: float | None = None
        self._refused = ""  # digest of content on disk that is not in force: unreadable, or held
        self._vanished_at: float | None = None
        self._pending: Entry | None = None  # a save that is kept, and not merged yet
        entries = self._history.entries()
        self._highest = max((entry.rev or 0 for entry in entries), default=0)
        latest = self._history.latest()
        if latest is None:
            version = self._file.read_soon()
            self._accept(decode(version.text), "person", now)
        else:
            self._in_force(self._parse(decode(self._history.read(latest))))
            self._pending = next((entry for entry in entries[-1:] if entry.by == "save"), None)
        self._on_disk = self._expected_on_disk()

    def look(self, now: float) -> list[Note]:
        """Read the file if it changed, and take the save that is in it. Says what a person should know."""
        self.retry_at = None
        return self._trying(self._look, now)

    def _trying(self, step: Callable[[float], list[Note]], now: float) -> list[Note]:
        """What cannot be kept (disk full) is not taken, and tried again."""
        try:
            return step(now)
        except MuxError as error:
            self.retry_at = now + FAILED_AGAIN
            return self._not_in_force(str(error), self._refused if self.held else "")

    def _look(self, now: float) -> list[Note]:
        notes = self._take_pending(now)
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
            return notes + (self._vanished(str(error), "", now) if self.board.tasks else self._missing(str(error)))
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
        self._accept_ours(changed, now)
        return self._put_on_disk(on_disk, now)

    def restore(self, serial: int, now: float) -> list[Note]:
        """Go back to a version: what a person wrote in it becomes an edit of the board in force.

        Statuses and mux's lines stay as they are, so nothing starts. Raises `MuxError` when the version is not kept.
        """
        if self._refused and self.held is None:
            raise MuxError(f"{self.trouble}; mend the file, or move it away, before you go back to version {serial}")
        old = decode(self._history.read(self._history.version(serial)))
        merged = merge([self.board.text], restored(old, self.board.text), self.board.text)
        on_disk = self._digest if self.held is None else self.held.digest or None
        if merged.text != self.board.text:
            self._accept_ours(merged.text, now)
        said = [Note(decision.text, decision.task) for decision in merged.decisions]
        return [*said, *self._put_on_disk(on_disk, now)]

    def decide_held(self, take: bool, now: float) -> list[Note]:
        """A person decided about the held save. Nothing is `held` any more once it is carried out.

        Take: it becomes the board; a missing file becomes an empty board. Else the board in force is written back, and
        what was held is in the history. While the file is not as it was when they were asked, nothing is done.
        """
        return self._trying(self._take_held if take else self._put_back, now)

    def _take_held(self, now: float) -> list[Note]:
        held = self._still_held(now)
        if held is None:
            return []
        found = held[0].digest
        self._accept(edit.apply(decode(held[1]), (), self._next_rev), "person", now)
        self._all_well(found)
        return [Note("the held save was taken: it is the board now"), *self._put_on_disk(found or None, now)]

    def _put_back(self, now: float) -> list[Note]:
        held = self._still_held(now)
        if held is None:
            return []
        if held[1].strip():
            self._history.append(held[1], self._parse(decode(held[1])).rev, "save", now)
        self._accept_ours(self.board.text, now)
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

    def prune(self, now: float) -> None:
        """Remove versions older than `retain`, never the newest."""
        self._history.prune(now, self.board.settings.retain)

    @property
    def _next_rev(self) -> int:
        """Never one that was given out before, even when a person took a board without one."""
        return max(self.board.rev or 0, self._highest) + 1

    def _take_file(self, data: bytes, found: str, now: float) -> list[Note]:
        """The file holds something else than the board in force: merge it, hold it, or write the board back."""
        try:
            text = decode(data)
            theirs = self._parse(text)
        except BoardUnreadable as error:
            self.held = None
            return self._not_in_force(f"{error}; the board in force stays", found)
        if self.board.tasks and not theirs.tasks:
            return self._vanished(f"{self.path}: no task is left in it", found, now)
        older = self._history.find(found)
        if older is None:
            notes = self._merge(text, now)
        elif found not in self._on_disk:
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
            return self._left_out(data, str(error))
        if self._history.find(digest(data)) is not None:
            return []
        if self.board.tasks and not theirs.tasks:
            return self._left_out(data, "no task is left in it") if text.strip() else []
        on_disk = self._digest
        notes = self._merge(text, now)
        return notes + self._put_on_disk(on_disk, now)

    def _left_out(self, data: bytes, why: str) -> list[Note]:
        path = self._folder / f"left-out-{digest(data)[:12]}.md"
        write_atomic(path, data)
        return [Note(f"a save that came while mux wrote the board is not in it, but kept in {path}: {why}")]

    def _merge(self, theirs: str, now: float) -> list[Note]:
        merged = self._merged(theirs, None)
        if merged.text == theirs:
            self._accept(theirs, "person", now)
        else:
            # The save first: killed in between, the next start finds it and merges it before anything else.
            saved = self._history.append(theirs.encode(), self._parse(theirs).rev, "save", now)
            if merged.text != self.board.text:
                self._pending = saved
                self._accept_ours(merged.text, now)
                self._pending = None
        return [Note(decision.text, decision.task) for decision in merged.decisions]

    def _take_pending(self, now: float) -> list[Note]:
        """A save that was kept just before mux was killed, or the disk was full, is merged now."""
        saved, self._pending = self._pending, None
        texts = self._texts([saved]) if saved else []
        if saved is None or not texts or (self.board.tasks and not self._parse(texts[0]).tasks):
            return []
        merged = self._merged(texts[0], saved)
        if merged.text == self.board.text:
            return []
        on_disk = self._digest
        self._pending = saved
        self._accept_ours(merged.text, now)
        self._pending = None
        return [Note(decision.text, decision.task) for decision in merged.decisions] + self._put_on_disk(on_disk, now)

    def _merged(self, theirs: str, saved: Entry | None) -> Merged:
        """`saved` is the save itself, where the history has it already."""
        rev = self._parse(theirs).rev
        # Before mux's first write no version has a revision, so then its lack says nothing.
        known = rev is not None or self.board.rev is None
        bases = self._texts([each for each in self._history.with_rev(rev) if each != saved]) if known else []
        return merge(bases, theirs, self.board.text, self._versions)

    def _versions(self) -> list[str]:
        return self._texts([entry for entry in self._history.entries() if entry.by != "save"])

    def _texts(self, entries: Sequence[Entry]) -> list[str]:
        return [decode(data) for _, data in self._history.whole(entries)]

    def _accept_ours(self, text: str, now: float) -> None:
        self._accept(edit.apply(text, (), self._next_rev), "mux", now)

    def _accept(self, text: str, by: Author, now: float) -> None:
        """Into the history first, then in force."""
        board = self._parse(text)
        self._history.append(text.encode(), board.rev, by, now)
        self._highest = max(self._highest, board.rev or 0)
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
        self.settled = False
        if self._vanished_at is None:
            self._vanished_at = now
        if now - self._vanished_at < VANISHED_AFTER:
            self.retry_at = self._vanished_at + VANISHED_AFTER
            return []
        self.held = Held(text, found)
        return self._not_in_force(f"{text}; held: nothing starts, ends or is lost because of it", found)

    def _missing(self, text: str) -> list[Note]:
        """The file is gone, and the board in force has no task that could be lost with it."""
        return self._not_in_force(text, "")

    def _not_in_force(self, text: str, found: str) -> list[Note]:
        self._refused = found
        self.settled = False
        if self.trouble == text:
            return []
        self.trouble = text
        return [Note(text)]

    def _all_well(self, found: str) -> None:
        self._on_disk = frozenset({found})
        self._refused = ""
        self.settled = True
        self._vanished_at = None
        self.trouble = None
        self.held = None

    def _expected_on_disk(self) -> frozenset[str]:
        """After a crash between keeping a version and writing it, the one before it is on disk, or the save that was
        merged into it; and that is no new save."""
        before = self._history.before_latest()
        entries = self._history.entries() if before else ()
        return frozenset(entry.digest for entry in entries if before and entry.serial >= before.serial)

    def _in_force(self, board: Board) -> None:
        self.board = board
        self._digest = digest(board.text.encode())

    def _parse(self, text: str) -> Board:
        return self._read(text, getattr(self, "board", None))


def _went_back(older: Entry) -> Note:
    return Note(
        f"the save is version {older.serial} as it was, byte for byte: it holds no edit and changes nothing; "
        f"to go back to that version: mux history restore {older.serial}"
    )
