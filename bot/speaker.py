"""The worker that types a command: which board, task and attempt it is, and whether its words still count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from board.errors import MuxError, UsageError
from board.model import TASK_ID, ExpiryPolicy
from bot.place import Place, place_of
from runners import claims

_OUTSIDE = (
    "this is a word for a worker, in its own window: it needs MUX_BOARD, MUX_TASK and MUX_ATTEMPT, as mux sets them"
)


@dataclass(frozen=True, slots=True)
class Worker:
    """Who speaks."""

    place: Place
    task: str
    attempt: int

    @property
    def run_folder(self) -> Path:
        return self.place.folder / "runs" / self.task / str(self.attempt)

    def note(self, event: str, text: str, by: str | None = None) -> None:
        """Into the journal. Typed values only: never the worker's own words."""
        from bot.journalling import say_in

        say_in(self.place)(event, text, self.task, self.attempt, by=by)

    def redact(self, text: str) -> str:
        """What it says, as it may be kept for people to read."""
        from bot.redaction import of_place

        return of_place(self.place).safe(text)

    def check_newest(self, word: str) -> None:
        """Raises `MuxError` once another attempt was started, or this one was given up: its words count no more."""
        newest = claims.epoch(self.place.folder, self.task)
        if newest == self.attempt:
            return
        self.note("refused", f"mux {word}: attempt {newest} is the newest one")
        raise MuxError(
            f"{self.task}: attempt {self.attempt} is over, attempt {newest} is the newest: 'mux {word}' refused"
        )

    def expiry(self) -> ExpiryPolicy:
        """The task's, or what is usual while the board cannot be read."""
        from bot import boards

        try:
            task = boards.seen(self.place).board.by_id.get(self.task)
        except MuxError:
            task = None
        return task.settings.expiry if task else ExpiryPolicy()


def speaker(environment: Mapping[str, str], word: str) -> Worker:
    """Whose environment this is. Raises UsageError outside a worker, `MuxError` for one that is not the newest."""
    board, task, attempt = (environment.get(f"MUX_{name}", "") for name in ("BOARD", "TASK", "ATTEMPT"))
    if not (board and TASK_ID.match(task) and attempt.isdecimal()):
        raise UsageError(_OUTSIDE)
    worker = Worker(place_of(Path(board)), task, int(attempt))
    if not worker.run_folder.is_dir():
        raise UsageError(f"{worker.place.path} has no attempt {attempt} of {task}: {_OUTSIDE}")
    worker.check_newest(word)
    return worker
