"""A person's desk in a scratch folder: a git repository of any size, a board in it, the real control plane, an end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import BenchmarkFailed
from benchmarks.repository import make_repository
from runners import processes
from runners.tmux import Tmux

#: Seconds until something that must happen has happened, on a slow and busy machine.
PATIENCE = 180.0
_POLL = 0.002
_STATUS = re.compile(r"^## ([a-z0-9-]+): .*?\nstatus: (\S+)", re.DOTALL | re.MULTILINE)


@dataclass
class Desk:
    scratch: Path
    environment: dict[str, str]
    plane: subprocess.Popen[bytes] | None = None

    @property
    def repository(self) -> Path:
        return self.scratch / "shop"

    @property
    def board(self) -> Path:
        return self.repository / "board.md"

    @property
    def folder(self) -> Path:
        return self.repository / ".mux"

    def home(self, task: str) -> Path:
        return self.scratch / "shop.worktrees" / "shop" / task

    def save(self, text: str) -> float:
        """As an editor that writes the file anew. Returns when it took the file's place, in seconds of the epoch."""
        temporary = self.board.with_name(".editor.tmp")
        temporary.write_text(text)
        at = time.time()
        temporary.replace(self.board)
        return at

    def append(self, *sections: str) -> float:
        return self.save(self.board.read_text() + "".join(sections))

    def up(self) -> subprocess.Popen[bytes]:
        """The control plane, once it has looked at the board."""
        with (self.scratch / "mux.log").open("ab") as log:
            self.plane = subprocess.Popen(
                [sys.executable, "-m", "bot.cli", "up", "--trust"],
                cwd=self.repository,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for((self.folder / "state.json").exists, "the control plane runs the board")
        return self.plane

    def statuses(self) -> dict[str, str]:
        """By task, as they stand in the file."""
        return dict(_STATUS.findall(self.board.read_text()))

    def until(self, tasks: Iterable[str], word: str) -> float:
        """Wait until the file says `word` of all these tasks. Returns when that was seen."""
        wanted = set(tasks)

        def reached() -> bool:
            found = {task: status for task, status in self.statuses().items() if task in wanted}
            for task, status in found.items():
                if status in ("failed", "blocked"):
                    raise BenchmarkFailed(f"{task} is {status}: {self.journal()[-1]['text']}")
            return len(found) == len(wanted) and set(found.values()) == {word}

        wait_for(reached, f"{len(wanted)} tasks {word}")
        return time.time()

    def starts(self) -> list[dict[str, Any]]:
        """The start records of all attempts."""
        return [json.loads(path.read_text()) for path in self.folder.glob("runs/*/*/start.json")]

    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "journal.jsonl").read_text().splitlines()]

    def close(self) -> None:
        if self.plane is not None:
            self.plane.send_signal(signal.SIGTERM)
            self.plane.wait()
        for path in self.folder.glob("runs/*/*/start.json"):
            if not path.with_name("exit.json").exists():
                record = json.loads(path.read_text())
                processes.end_session(record["session"], record["wrapper_start"], grace=0.5)
        Tmux(self.board, self.folder, self.environment).shutdown()


@contextmanager
def open_desk(files: int, **keys: object) -> Iterator[Desk]:
    """A repository of so many files and an empty board with these keys. All that was started ends with the block.

    Its files stay until the end of the run: ext4 gives the numbers of deleted files to new ones only minutes later, and
    skips them one by one until then. Files made after many were deleted take several times as long to make.
    """
    scratch = Path(tempfile.mkdtemp(prefix="desk-")).resolve()
    desk = Desk(scratch, _environment(scratch))
    make_repository(desk.repository, files, desk.environment)
    desk.save(front(**keys))
    try:
        yield desk
    except BenchmarkFailed as failure:
        said = (scratch / "mux.log").read_text().splitlines()
        raise BenchmarkFailed("\n  ".join([str(failure), "mux said last:", *said[-5:]])) from None
    finally:
        desk.close()


def front(**keys: object) -> str:
    """How a board begins."""
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())
    return f"---\nboard: shop\n{lines}---\n\n# Shop\n"


def section(task: str, script: str = "true", status: str = "ready", prompt: str = "Do it.") -> str:
    """A shell task."""
    return f"\n## {task}: Task {task}\n\n```yaml\nstatus: {status}\n```\n\n{prompt}\n\n```sh\n{script}\n```\n"


def wait_for(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The first true answer. Raises BenchmarkFailed."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"not in {seconds:g} s: {what}")
        time.sleep(_POLL)
    return answer


def _environment(scratch: Path) -> dict[str, str]:
    """Default settings of git, tmux and Python, sockets and state in the scratch folder: nothing of the person's."""
    (scratch / "tmux").mkdir()
    # PYTHONDONTWRITEBYTECODE, for one, would have every command compile all it imports.
    others = ("GIT_", "MUX_", "PYTHON", "SLACK_", "TMUX")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(others)}
    return kept | {
        "TMUX_TMPDIR": str(scratch / "tmux"),
        "XDG_STATE_HOME": str(scratch / "state"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{f"GIT_{role}_NAME": "mux bench" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "bench@localhost" for role in ("AUTHOR", "COMMITTER")},
    }
