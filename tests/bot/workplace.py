"""A task that ran: a board in a real repository, with a home, a branch and a run record, and no tmux."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from board.model import Status
from board.storage import write_json
from bot.place import Place, place_of
from runners import git, homes, sh
from runners.model import Home, Outcome
from runners.records import Records

BOARD = """---
board: shop
---

## fix: Fix it

```yaml
status: done
run: make fix
```

## next: The next one

```yaml
status: ready
run: make next
```
"""


def call(folder: Path, *words: str) -> str:
    return sh.run(["git", *words], cwd=folder).out.strip()


def commit(folder: Path, name: str, text: str = "text\n") -> str:
    (folder / name).write_text(text)
    call(folder, "add", "--all")
    call(folder, "commit", "--quiet", "--message", f"write {name}")
    return call(folder, "rev-parse", "HEAD")


@dataclass(frozen=True)
class Work:
    place: Place
    root: Path
    home: Path
    branch: str = "mux/shop/fix"

    @property
    def head(self) -> str | None:
        return git.resolve(self.root, f"refs/heads/{self.branch}")

    @property
    def whole(self) -> tuple[str | None, tuple[str, ...], str]:
        """What must stay as it is when a command refuses: branch, files of the home, the person's branch."""
        files = tuple(sorted(f"{path.name} {path.read_text()}" for path in self.home.iterdir() if path.is_file()))
        return self.head, files, call(self.root, "rev-parse", "main")

    def board(self, old: str, new: str) -> None:
        text = self.place.path.read_text()
        assert old in text
        self.place.path.write_text(text.replace(old, new, 1))

    def add_remote(self, name: str = "origin") -> Path:
        path = self.root.with_name(f"{name}.git")
        call(self.root, "init", "--quiet", "--bare", "--initial-branch=main", str(path))
        call(self.root, "remote", "add", name, str(path))
        call(self.root, "push", "--quiet", "--set-upstream", name, "main")
        return path


def ran(place: Place, task: str, home: Home, status: Status = Status.DONE, at: float = 1010.0, number: int = 1) -> None:
    """A concluded attempt of a task that worked in that home."""
    intent = {"created": at - 10, "agent": "shell", "cwd": str(home.path), "branch": home.branch}
    records = Records(place.folder)
    records.plan(task, number, intent | {"start_commit": home.start_commit, "done_when": ["committed", "clean"]})
    write_json(records.run_folder(task, number) / "exit.json", {"at": at, "code": 0, "signal": None, "phase": "run"})
    head = git.resolve(home.path, "HEAD") if home.path.is_dir() else None
    records.conclude(task, number, Outcome(status, "done", "exit 0", at, head))


def make_home(root: Path, task: str) -> Home:
    path = root.with_name(f"{root.name}.worktrees") / "shop" / task
    start = call(root, "rev-parse", "main")
    return homes.prepare(git.open_repository(root), path, f"mux/shop/{task}", start, ()).home


@pytest.fixture
def root(own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a board that git ignores; git knows who commits, and no settings but its own."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "MUX_"))]:
        monkeypatch.delenv(name)
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n name = Ana\n email = ana@example.org\n[init]\n defaultBranch = main\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    call(own_folder, "init", "--quiet")
    (own_folder / ".gitignore").write_text("/board.md\n/board.md.lock\n/.mux/\n*.log\n")
    commit(own_folder, "README")
    (own_folder / "board.md").write_text(BOARD)
    return own_folder


@pytest.fixture
def work(root: Path) -> Work:
    """`fix` is done: one commit, `fix.txt`, on its branch, in a clean home."""
    place = place_of(root / "board.md")
    home = make_home(root, "fix")
    commit(home.path, "fix.txt")
    ran(place, "fix", home)
    return Work(place, root, home.path)
