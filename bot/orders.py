"""Orders: `add`, `start`, `stop`, `restart`. Each is a person's edit of the board, made by a command.

Nothing is told to the control plane: it sees the new version like any other. So orders work without one, too, and take
effect when it comes up.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from board import by_command, edit
from board.clock import format_duration
from board.errors import MuxError
from board.keeper import Keeper, Note
from board.model import Board, Status, Task
from board.storage import read_json
from bot import boards
from bot.place import Place, find, ready, short, unknown_task
from runners import daemon, gate
from runners.boards import read_board
from runners.journal import Event, Journal
from runners.model import Attempt, Liveness
from runners.records import Records
from runners.standing import Standing, is_live, standing

#: Who waits for the board's lock asks for it every 10 ms: a program that gives one order after the other must not take
#: it again before they can.
FAIR = 0.012


@dataclass(frozen=True, slots=True)
class Aim:
    """The task that an order is about, as it is on the board and as it stands."""

    task: Task
    attempt: Attempt | None
    now_at: Standing

    @property
    def works(self) -> bool:
        """A worker of it lives, or is about to."""
        return is_live(self.attempt) and self.attempt is not None and self.attempt.liveness is not Liveness.ENDED


def edit_board(place: Place, change: Callable[[str], str]) -> None:
    """Edit the board as its keeper does: `change` gets its text and returns the new one, or raises to change nothing.

    The edit is in the history before it is in the file, so no editor can save over it. `change` may be called again,
    with a newer text. Raises MuxError.
    """
    time.sleep(FAIR)
    journalled(place, "board", by_command.edit(keeper_of(place), change))


def keeper_of(place: Place) -> Keeper:
    """Raises MuxError when there is no board to begin with."""
    ready(place)
    return _keeper(place.path, place.folder)


@functools.cache
def _keeper(path: Path, folder: Path) -> Keeper:
    return Keeper(path, folder, read_board, time.time())


def journalled(place: Place, event: str, notes: Sequence[Note]) -> None:
    """What a command did or found belongs in the journal, as if the control plane had."""
    for note in notes:
        Journal(place.folder).add(Event(time.time(), event, note.text, note.task))


def start(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    return _order(place, arguments.task, lambda aim: _ready(place, aim))


def stop(arguments: argparse.Namespace) -> int:
    return _order(find(arguments.board), arguments.task, _stopped)


def restart(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    refusal = _dirty_home(place, arguments.task)
    if refusal is not None:
        raise MuxError(refusal)
    return _order(place, arguments.task, lambda aim: _anew(aim) if aim.works else _ready(place, aim))


def add(arguments: argparse.Namespace) -> int:
    from bot.addition import addition

    place = find(arguments.board)
    prompt = sys.stdin.read() if arguments.prompt == "-" else arguments.prompt or ""
    added: list[tuple[str, tuple[str, ...]]] = []

    def change(text: str) -> str:
        result = addition(boards.read(text.encode(), place), arguments, prompt, _earlier_tasks(place))
        added[:] = [(result.task, result.notes)]
        return result.text

    edit_board(place, change)
    task, notes = added[0]
    how = f"as ready{_effect(place)}" if arguments.ready else f"as a draft; to run it: mux start {task}"
    print(f"{task}: added to {short(place.path)} {how}")
    for note in notes:
        print(f"{short(place.path)}:{note}")
    return 0


def _order(place: Place, task: str, decide: Callable[[Aim], tuple[Status | None, str]]) -> int:
    """`decide` gives the word to write (None: it stands already) and what to say."""
    said: list[str] = []

    def change(text: str) -> str:
        aim = _aim(place, boards.read(text.encode(), place), task)
        word, reply = decide(aim)
        said[:] = [reply]
        return text if word is None else edit.set_status(text, task, word)

    edit_board(place, change)
    print(f"{task}: {said[0]}{_effect(place)}")
    return 0


def _aim(place: Place, board: Board, task: str) -> Aim:
    attempt = Records(place.folder).attempts().get(task)
    found = board.by_id.get(task)
    if found is None and is_live(attempt):
        raise MuxError(f"{task}: its section is gone from the board; to end its worker: mux attach {task}")
    if found is None:
        raise unknown_task(task, board.by_id)
    return Aim(found, attempt, standing(found, attempt))


def _ready(place: Place, aim: Aim) -> tuple[Status | None, str]:
    task, attempt = aim.task, aim.attempt
    if aim.works and attempt is not None:
        since = format_duration(time.time() - (attempt.started or attempt.created))
        hint = f"to start it anew: mux restart {task.id}"
        raise MuxError(f"{task.id} is {aim.now_at.status} already (attempt {attempt.number}, for {since}); {hint}")
    if attempt is not None and task.settings.destructive:
        raise MuxError(f"{task.id} is destructive and ran before; this version does not run it again")
    if problem := next((each for each in task.problems if each.severity == "error"), None):
        raise MuxError(f"{short(place.path)}:{problem.line}: {problem.text}; mend that, then start {task.id}")
    if task.status is not Status.READY:
        return Status.READY, "ready"
    if aim.now_at.order:
        return None, "ready already"
    raise _behind(aim)


def _stopped(aim: Aim) -> tuple[Status | None, str]:
    if aim.works:
        already = aim.task.status is Status.STOPPED
        return None if already else Status.STOPPED, "its worker is to end; its work is kept"
    if aim.now_at.status is Status.READY:
        return Status.STOPPED, "stopped before it started"
    if is_live(aim.attempt):
        raise MuxError(f"{aim.task.id}: its worker has ended already; how it ended is written down in a moment")
    raise MuxError(f"{aim.task.id} is not running: it is {aim.now_at.status}")


def _anew(aim: Aim) -> tuple[Status | None, str]:
    """`ready` on a running task is the order to restart it, if the board said that it runs."""
    assert aim.attempt is not None
    if aim.task.status is not Status.READY:
        return Status.READY, "its worker is ended and started anew"
    if aim.task.attempt == aim.attempt.number:
        return None, "a restart is ordered already"
    raise _behind(aim)


def _behind(aim: Aim) -> MuxError:
    number = aim.attempt.number if aim.attempt else 0
    return MuxError(f"{aim.task.id}: its attempt {number} is not on the board yet; try again when mux wrote it down")


def _dirty_home(place: Place, task: str) -> str | None:
    """Why a live worker must not be restarted now. Looked at outside the board's lock: git may take its time."""
    from runners.local import local_host

    board = boards.load(place)
    aim = _aim(place, board, task)
    if not aim.works or aim.attempt is None:
        return None
    facts = local_host(place.path, place.folder, os.environ).tree(aim.attempt.home)
    if facts is None or facts.clean:
        return None
    return f"{task}: not restarted, {gate.describe_dirt(facts)}; commit that, or end it with: mux stop {task}"


def _earlier_tasks(place: Place) -> frozenset[str]:
    """Ids that have run records: a new task of that name would take over what they say."""
    try:
        return frozenset(entry.name for entry in (place.folder / "runs").iterdir())
    except FileNotFoundError:
        return frozenset()


def _effect(place: Place) -> str:
    if daemon.running(place.folder) is None:
        return " (mux is down; it takes effect with the next: mux up)"
    trouble = (read_json(place.folder / "state.json") or {}).get("trouble")
    return f" (but the file is not in force: {trouble})" if trouble else ""
