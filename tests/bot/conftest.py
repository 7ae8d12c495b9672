from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from board.model import Status
from board.storage import write_json
from bot.cli import main
from bot.place import Place, place_of
from runners import claims, sh
from runners.model import Outcome
from runners.records import Records

BOARD = """---
board: shop
max_workers: 2
---

# Shop

Prose of mine.

## one: First thing

```yaml
status: draft  # mine
```

```sh
true
```

## two: Second thing

```yaml
status: ready
after: [one]
run: make two
```
"""


@dataclass(frozen=True)
class Reply:
    code: int
    out: str
    err: str


Mux = Callable[..., Reply]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands run in a folder of their own, with state, width and colours that no terminal around changes."""
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    for name in ("COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def mux(capfd: pytest.CaptureFixture[str]) -> Mux:
    def run(*words: str) -> Reply:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return Reply(code, out, err)

    return run


@pytest.fixture
def place(own_folder: Path) -> Place:
    (own_folder / "board.md").write_text(BOARD)
    return place_of(own_folder / "board.md")


@pytest.fixture
def repository(own_folder: Path) -> Path:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "ana", f"GIT_{role}_EMAIL": "ana@localhost"}
    (own_folder / "README.md").write_text("shop\n")
    for words in (["init", "-q", "-b", "main"], ["add", "README.md"], ["commit", "-q", "-m", "first"]):
        sh.run(["git", *words], cwd=own_folder, env=environment)
    return own_folder


def record(place: Place, task: str, number: int = 1, **intent: object) -> Path:
    """An attempt's intent, and its run folder."""
    records = Records(place.folder)
    records.plan(task, number, {"created": 1000.0, "agent": "shell", "cwd": str(place.path.parent), **intent})
    return records.run_folder(task, number)


def ended(place: Place, task: str, status: Status | None, number: int = 1, why: str = "exit 1") -> Path:
    run = record(place, task, number)
    code = 0 if status is Status.DONE else 1
    write_json(run / "exit.json", {"at": 1010.0, "code": code, "signal": None, "phase": "run"})
    Records(place.folder).conclude(task, number, Outcome(status, "exit", why, 1010.0))
    return run


@contextmanager
def working(place: Place, task: str, number: int = 1, **intent: object) -> Iterator[Path]:
    """A worker that lives as far as anybody can tell: its claim is held."""
    run = record(place, task, number, **intent)
    claims.grant(place.folder, task, number, 1000.0)
    descriptor = os.open(claims.claim_path(place.folder, task), os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        wrapper = {"session": 1, "wrapper_start": "1@another-boot", "boot_id": "another-boot"}
        write_json(run / "start.json", {"at": 1001.0, "pid": os.getpid(), "ports": [20000, 20009], **wrapper})
        yield run
    finally:
        os.close(descriptor)
