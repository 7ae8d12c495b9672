"""What works in a home still although no record says so: nothing starts or is removed there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from board.errors import MuxError
from runners import processes
from runners.model import Liveness, Window
from runners.records import Records
from runners.tmux import closing

ENDING = 2.0  # seconds that what is about to end may take
_POLL = 0.01  # seconds


def check(records: Records, task: str) -> None:
    """Raises `MuxError` when something of the task's newest attempt lives on, although that is over.

    What is about to end is waited for: a wrapper lets go of its claim a moment before it ends, and only its end makes
    the system hang up on what its command left.
    """
    attempt = records.attempts().get(task)
    if attempt is None or attempt.liveness is not Liveness.ENDED:
        return
    session = records.session(task, attempt.number)
    if session is None:
        return
    deadline = time.monotonic() + ENDING
    while (left := _left_by(session)) and time.monotonic() < deadline:
        time.sleep(_POLL)
    if left:
        look, pids = ",".join(map(str, left)), " ".join(map(str, left))
        what = f"attempt {attempt.number} left a process that lives, and nothing starts beside it"
        raise MuxError(f"{task}: {what}; look at it with: ps -fp {look}; end it with: kill {pids}")


def _left_by(session: tuple[int, str]) -> list[int]:
    """What lives of the session but its leader, the wrapper: it let go of its claim, and only ends."""
    return [pid for pid in processes.session_members(*session) if pid != session[0]]


def stray(records: Records, windows: Sequence[Window] | None, board: Path, task: str) -> str | None:
    """What lives of the task in a window whose run record is gone, as after `.mux` was removed under it; None: nothing.

    Raises `MuxError` when tmux did not say (None): unknown is not gone.
    """
    if windows is None:
        raise MuxError(f"{task}: tmux does not say whether a worker of it lives; try again in a moment")
    mine = (window for window in windows if window.task == task and not window.dead)
    for each in mine:
        if not (records.run_folder(task, each.attempt) / "attempt.json").exists():
            how = f"end it with: {closing(board, each.id)}"
            return f"its worker (attempt {each.attempt}) lives without a record; {how}"
    return None
