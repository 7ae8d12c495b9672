"""A person's desk: a git repository with a board in it, the real `mux` command, and an end to all that was started."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runners import processes
from runners.tmux import Tmux
from tests.support import PATIENCE, clean_environment, wait_for

if TYPE_CHECKING:
    from tests.e2e.fake_slack import FakeSlack

FRONT = "---\nboard: shop\n{keys}---\n\n# Shop\n\nProse of mine.\n"


def section(task: str, script: str = "true", status: str = "ready", **keys: Any) -> str:
    """A shell task as a person writes it."""
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())
    return f"\n## {task}: Task {task}\n\n```yaml\nstatus: {status}\n{lines}```\n\nDo it.\n\n```sh\n{script}\n```\n"


@dataclass
class Desk:
    repository: Path
    environment: dict[str, str]
    planes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def board(self) -> Path:
        return self.repository / "board.md"

    @property
    def folder(self) -> Path:
        return self.repository / ".mux"

    def write(self, *sections: str, keys: str = "") -> None:
        """A whole new board, saved as an editor does that writes a file anew. Nothing restarts unless `keys` say so."""
        keys = keys if "restart:" in keys else f"{keys}restart: never\n"
        self.save(FRONT.format(keys=keys) + "".join(sections))

    def save(self, text: str) -> None:
        temporary = self.board.with_name(".editor.tmp")
        temporary.write_bytes(text.encode())
        temporary.replace(self.board)

    def edit(self, change: Callable[[str], str]) -> None:
        """Open the board, change it, save it: all at once, as a quick person does."""
        self.save(change(self.board.read_bytes().decode()))

    def order(self, task: str, word: str = "ready") -> None:
        self.edit(
            lambda text: re.sub(rf"(## {task}: .*?\nstatus: )\S+", rf"\g<1>{word}", text, count=1, flags=re.DOTALL)
        )

    def append(self, text: str) -> None:
        self.edit(lambda old: old + text)

    def mux(self, *words: str, code: int | None = 0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "bot.cli", *words],
            cwd=self.repository,
            env=self.environment,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=PATIENCE,
        )
        assert "Traceback" not in done.stderr, done.stderr
        if code is not None:
            assert done.returncode == code, f"mux {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def up(self, *words: str) -> subprocess.Popen[str]:
        """The control plane in the foreground, once it runs the board."""
        plane = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", "up", "--trust", *words],
            cwd=self.repository,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.planes.append(plane)
        wait_for(lambda: plane.poll() is not None or self._runs(plane), "the control plane runs the board")
        assert plane.poll() is None, plane.stdout.read() if plane.stdout else ""
        return plane

    def _runs(self, plane: subprocess.Popen[str]) -> bool:
        state = self.folder / "state.json"
        lock = self.folder / "daemon.lock"
        try:
            mine = json.loads(lock.read_text())
            return mine["pid"] == plane.pid and json.loads(state.read_text())["at"] >= mine["since"]
        except (FileNotFoundError, ValueError):
            return False

    def kill(self, plane: subprocess.Popen[str]) -> None:
        plane.kill()
        plane.wait()

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.mux("status", "--json").stdout)
        return answer

    def state(self) -> dict[str, Any]:
        """What the control plane last wrote: cheaper than a `mux status` in a polled condition."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        except FileNotFoundError:
            return {"tasks": [], "problems": [], "orphans": [], "trouble": None}
        return found

    def task(self, name: str) -> dict[str, Any]:
        return next((task for task in self.state()["tasks"] if task["id"] == name), {"status": None, "why": ""})

    def until(self, name: str, *statuses: str) -> dict[str, Any]:
        """The task, once the control plane says one of the statuses."""

        def there() -> dict[str, Any] | None:
            task = self.task(name)
            return task if task["status"] in statuses else None

        found: dict[str, Any] = wait_for(there, lambda: f"{name} is {statuses}: {self.task(name)}")
        return found

    def on_board(self, name: str) -> str:
        """The status word that stands in the file."""
        found = re.search(rf"## {name}: .*?\nstatus: (\S+)", self.board.read_bytes().decode(), re.DOTALL)
        return found[1] if found else ""

    def until_on_board(self, name: str, *statuses: str) -> None:
        wait_for(
            lambda: self.on_board(name) in statuses,
            lambda: f"{name} is {statuses} in the file, not {self.on_board(name)}",
        )

    def home(self, task: str) -> Path:
        return self.repository.parent / f"{self.repository.name}.worktrees" / "shop" / task

    def runs(self, task: str) -> int:
        """How often the task's script really ran: each line that it added to its file of starts."""
        path = self.repository.parent / f"{task}.starts"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def until_runs(self, task: str, times: int = 1) -> None:
        """Its script really began so often: a worker counts as running a moment before that."""
        wait_for(lambda: self.runs(task) >= times, lambda: f"{task} runs {times} times: {self.task(task)}")
        assert self.runs(task) == times

    def counted(self, task: str, script: str = "true") -> str:
        """A script that leaves a trace of every start outside its home."""
        return f'echo started >> "{self.repository.parent}/{task}.starts"\n{script}'

    def start_record(self, task: str, number: int = 1) -> dict[str, Any]:
        path = self.folder / "runs" / task / str(number) / "start.json"
        wait_for(lambda: path.exists() and json.loads(path.read_text()).get("pid"), f"{task} runs")
        record: dict[str, Any] = json.loads(path.read_text())
        return record

    def journal(self) -> list[dict[str, Any]]:
        """The whole lines: one that is being written has no end yet."""
        path = self.folder / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []

    def git(self, *words: str, cwd: Path | None = None) -> str:
        """Takes no lock that it can do without: a look must not get in the way of a worker's own git."""
        words = ("--no-optional-locks", *words)
        folder = cwd or self.repository
        done = subprocess.run(
            ["git", *words], cwd=folder, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def close(self) -> None:
        for plane in self.planes:
            if plane.poll() is None:
                plane.send_signal(signal.SIGTERM)
                try:
                    plane.wait(timeout=PATIENCE)
                except subprocess.TimeoutExpired:
                    plane.kill()
                    plane.wait()
            if plane.stdout:
                plane.stdout.close()
        records = [json.loads(path.read_text()) for path in self.folder.glob("runs/*/*/start.json")]
        for record in records:
            processes.end_session(record["session"], record["wrapper_start"], grace=0.5)
        Tmux(self.board, self.folder, self.environment).shutdown()


def make_desk(scratch: Path, repository: Path) -> Desk:
    desk = Desk(repository, clean_environment(scratch, os.environ))
    repository.mkdir(parents=True)
    desk.git("init", "--quiet")
    (repository / ".gitignore").write_text("board.md\nboard.md.lock\n.board.md.mux.*\n.editor.tmp\n.mux/\n.env\n")
    (repository / "README").write_text("read me\n")
    desk.git("add", ".")
    desk.git("commit", "--quiet", "--message", "first")
    return desk


@pytest.fixture
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    scratch = tmp_path_factory.mktemp("d")  # short: a socket's path may be 107 bytes long at most
    made = make_desk(scratch, scratch / "shop")
    # Parts of the test that run in this process talk to the same tmux.
    before = os.environ.get("TMUX_TMPDIR")
    os.environ["TMUX_TMPDIR"] = str(scratch)
    try:
        yield made
    finally:
        made.close()
        if before is None:
            del os.environ["TMUX_TMPDIR"]
        else:
            os.environ["TMUX_TMPDIR"] = before


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    """A Slack on a port of its own; the bot in it has the default scopes."""
    from tests.e2e.fake_slack import FakeSlack

    with FakeSlack() as server:
        yield server
