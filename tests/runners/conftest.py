"""Real git and real tmux in temporary folders: nothing of the person's settings, servers or processes is touched."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runners import git as git_module
from runners import processes, sh, wrapper
from runners.tmux import Tmux
from tests.support import clean_environment, wait_for


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing of the person's settings; state and tmux sockets lie in a temporary folder."""
    wanted = clean_environment(tmp_path_factory.mktemp("home"), os.environ)
    for name in os.environ.keys() - wanted.keys():
        monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)


def commit(folder: Path, name: str, text: str, message: str = "a change") -> str:
    """Write a file, commit it, and return the commit."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    sh.run(["git", "add", "--all"], cwd=folder)
    sh.run(["git", "commit", "--quiet", "--message", message], cwd=folder)
    return sh.run(["git", "rev-parse", "HEAD"], cwd=folder).out.strip()


def make_repository(folder: Path) -> git_module.Repository:
    folder.mkdir(parents=True)
    sh.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=folder)
    commit(folder, ".gitignore", ".env\nbuild/\n*.log\n")
    commit(folder, "README", "read me\n")
    return git_module.open_repository(folder)


#: What people call folders, and what would run or break in a shell, a tmux format or a strftime.
NASTY = "ä ö'\"$(touch pwned) #{pid} #(id) %H;"


@pytest.fixture
def repository(tmp_path: Path) -> git_module.Repository:
    return make_repository(tmp_path / "scratch repository")


@dataclass
class Host:
    """A `.mux` folder with a tmux server of its own, and a way to start wrappers in it as the control plane does."""

    folder: Path
    tmux: Tmux

    def plan(self, task: str, number: int, argv: list[str], **more: Any) -> Path:
        run = self.folder / "runs" / task / str(number)
        run.mkdir(parents=True)
        attempt = {"task": task, "attempt": number, "argv": argv, "cwd": str(self.folder.parent), "env": {}}
        attempt |= {"stdin": None, "setup": [], "setup_marker": None, "ports": 0}
        (run / "attempt.json").write_text(json.dumps(attempt | more))
        (self.folder / "locks" / f"{task}.lock").write_text(f"attempt: {number}\nwindow: {task}\n")
        return run

    def open(self, run: Path) -> Any:
        task, number = run.parts[-2:]
        return self.tmux.open(task, int(number), wrapper.command(str(run)), f"runs/{task}/{number}/output.log")

    def start(self, task: str, number: int, argv: list[str], **more: Any) -> Path:
        run = self.plan(task, number, argv, **more)
        self.open(run)
        return run


def record(run: Path, name: str, key: str | None = None) -> dict[str, Any]:
    """A wrapper's record, waited for; with `key`, until that is in it."""

    def read() -> dict[str, Any] | None:
        path = run / name
        found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
        return found if found and (key is None or found.get(key) is not None) else None

    answer: dict[str, Any] = wait_for(read)
    return answer


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    # A socket's path may be 107 bytes long at most, so not below tmp_path, which has the test's name in it.
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path_factory.mktemp("t")))
    folder = tmp_path / NASTY / ".mux"
    for name in ("runs", "locks", "inbox"):
        (folder / name).mkdir(parents=True)
    tmux = Tmux(folder.parent / "board.md", folder, os.environ)
    tmux.ensure()
    made = Host(folder, tmux)
    yield made
    sessions = [json.loads(path.read_text()) for path in folder.glob("runs/*/*/start.json")]
    tmux.shutdown()
    for started in sessions:
        processes.end_session(started["session"], started["wrapper_start"], grace=1.0)
