"""Orders: `add`, `start`, `stop`. Each is a person's edit of the board, made by a command; a worker may only add.

Nothing is told to the control plane: it sees the new version like any other. So orders work without one, too, and take
effect when it comes up.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from board import by_command, edit
from board.clock import format_duration
from board.errors import MuxError
from board.keeper import Keeper
from board.model import Board, Status, Task
from board.storage import read_json
from bot import boards
from bot.journalling import journalled
from bot.place import Place, find, ready, short, unknown_task
from bot.requests import refuse_workers
from runners import daemon
from runners.boards import read_board
from runners.model import Attempt, Liveness
from runners.records import Records
from runners.resuming import resumes
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
    board: Board

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


def fresh_keeper(place: Place) -> Keeper:
    """One that knows the board as it is now, in a process that lives long."""
    ready(place)
    return Keeper(place.path, place.folder, read_board, time.time())


@functools.cache
def _keeper(path: Path, folder: Path) -> Keeper:
    return Keeper(path, folder, read_board, time.time())


def start(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    refuse_workers(place, os.environ)
    print(started(place, arguments.task))
    return 0


def stop(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    refuse_workers(place, os.environ)
    print(stopped(place, arguments.task))
    return 0


def add(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    prompt = sys.stdin.read() if arguments.prompt == "-" else arguments.prompt or ""
    print("\n".join(added_to(place, arguments, prompt)))
    return 0


def started(place: Place, task: str) -> str:
    """Order it to run; returns what came of it. Raises MuxError."""
    return order(place, task, lambda aim: make_ready(place, aim))


def stopped(place: Place, task: str) -> str:
    """Order its worker to end; returns what came of it. Raises MuxError."""
    return order(place, task, functools.partial(make_stopped, place))


def added_to(place: Place, wanted: argparse.Namespace, prompt: str) -> list[str]:
    """A new section of the board, from the words of `mux add`; returns what to tell. Raises MuxError."""
    from bot.addition import addition

    added: list[tuple[str, tuple[str, ...]]] = []

    def change(text: str) -> str:
        result = addition(boards.read(text.encode(), place), wanted, prompt, _earlier_tasks(place))
        added[:] = [(result.task, result.notes)]
        return result.text

    edit_board(place, change)
    task, notes = added[0]
    how = f"as ready{effect_of(place)}" if wanted.ready else f"as a draft; to run it: mux start {task}"
    return [f"{task}: added to {short(place.path)} {how}", *(f"{short(place.path)}:{note}" for note in notes)]


def order(place: Place, task: str, decide: Callable[[Aim], tuple[Status | None, str]]) -> str:
    """`decide` gives the word to write (None: it stands already) and what to say."""
    said: list[str] = []

    def change(text: str) -> str:
        aim = aim_at(place, boards.read(text.encode(), place), task)
        word, reply = decide(aim)
        said[:] = [reply]
        return text if word is None else edit.set_status(text, task, word)

    edit_board(place, change)
    return f"{task}: {said[0]}{effect_of(place)}"


def aim_at(place: Place, board: Board, task: str) -> Aim:
    attempt = Records(place.folder).attempts().get(task)
    found = board.by_id.get(task)
    if found is None and is_live(attempt):
        raise MuxError(f"{task}: its section is gone from the board; to end its worker: mux attach {task}")
    if found is None:
        raise unknown_task(task, board.by_id)
    return Aim(found, attempt, standing(found, attempt), board)


def make_ready(place: Place, aim: Aim) -> tuple[Status | None, str]:
    """The word that orders it to run (None: it stands already), and what to say. Raises MuxError."""
    task, attempt = aim.task, aim.attempt
    if aim.works and attempt is not None:
        since = format_duration(time.time() - (attempt.started or attempt.created))
        hint = f"to start it anew: mux restart {task.id}"
        raise MuxError(f"{task.id} is {aim.now_at.status} already (attempt {attempt.number}, for {since}); {hint}")
    if problem := next((each for each in task.problems if each.severity == "error"), None):
        raise MuxError(f"{short(place.path)}:{problem.line}: {problem.text}; mend that, then start {task.id}")
    if task.status is not Status.READY:
        asks = attempt is not None and task.settings.destructive
        return Status.READY, "ready; it is destructive and ran before, so you are asked first" if asks else _how(aim)
    if aim.now_at.order:
        return None, "ready already"
    raise _behind(aim)


def asks(attempt: Attempt) -> bool:
    """Its recovery is a person's to decide."""
    return attempt.outcome is not None and attempt.outcome.next is not None and attempt.outcome.next.do == "ask"


def _how(aim: Aim) -> str:
    """What `ready` will make of it."""
    from runners.agents import load

    if aim.attempt is None:
        return "ready"
    profile = load(aim.board.settings.agents).get(aim.attempt.agent)
    if not resumes(aim.task, aim.attempt, profile, time.time()) or not aim.attempt.home.path.exists():
        return "ready"
    return f"ready: it resumes its conversation; to start it anew instead: mux restart {aim.task.id} --how in-place"


def make_stopped(place: Place, aim: Aim) -> tuple[Status | None, str]:
    """As `make_ready`, for its end."""
    if aim.works:
        already = aim.task.status is Status.STOPPED
        return None if already else Status.STOPPED, "its worker is to end; its work is kept"
    stray = _stray(place, aim.task.id)
    but = f"; {stray}" if stray else ""
    if aim.now_at.status is Status.READY:
        return Status.STOPPED, f"stopped before it started{but}"
    if aim.now_at.status in (Status.CLAIMED, Status.WAITING, Status.BLOCKED) and not is_live(aim.attempt):
        return Status.STOPPED, f"stopped: it does not go on by itself; its work is kept{but}"
    if stray:
        raise MuxError(f"{aim.task.id}: {stray}")
    if is_live(aim.attempt):
        raise MuxError(f"{aim.task.id}: its worker has ended already; how it ended is written down in a moment")
    raise MuxError(f"{aim.task.id} is not running: it is {aim.now_at.status}")


def _stray(place: Place, task: str) -> str | None:
    """A tmux that does not answer holds up no order: nothing is removed by one."""
    from runners.local import local_host

    with suppress(MuxError):
        return local_host(place.path, place.folder, os.environ).stray(task)
    return None


def _behind(aim: Aim) -> MuxError:
    number = aim.attempt.number if aim.attempt else 0
    return MuxError(f"{aim.task.id}: its attempt {number} is not on the board yet; try again when mux wrote it down")


def _earlier_tasks(place: Place) -> frozenset[str]:
    """Ids that have run records: a new task of that name would take over what they say."""
    try:
        return frozenset(entry.name for entry in (place.folder / "runs").iterdir())
    except FileNotFoundError:
        return frozenset()


def effect_of(place: Place) -> str:
    if daemon.running(place.folder) is None:
        return " (mux is down; it takes effect with the next: mux up)"
    trouble = (read_json(place.folder / "state.json") or {}).get("trouble")
    return f" (but the file is not in force: {trouble})" if trouble else ""
