"""`make demo`: the main job in a scratch repository, from a board in an editor's words to the table at the end.

    python -m bot.demo board.example.md

Each task of the board says in its text how it ends ("Ends as `done`"). Exits 0 only if every task ended so. Needs no
keys, and leaves no process, tmux server, lock or file behind.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from board.parse import parse
from runners.agents import BUILT_IN

#: Seconds for the whole board.
PATIENCE = 120.0
_EXPECTED = re.compile(r"Ends as `(\w+)`")
_MOVING = frozenset({"ready", "claimed", "running", "waiting"})


def main(example: Path) -> int:
    text = example.read_text(encoding="utf-8")
    expected = {task.id: found[1] for task in parse(text, BUILT_IN).tasks if (found := _EXPECTED.search(task.prompt))}
    with tempfile.TemporaryDirectory(prefix="mux-demo-") as name:
        scratch = Path(name).resolve()
        environment = _environment(scratch)
        repository = _scratch_repository(scratch, environment)
        (repository / "board.md").write_text(text, encoding="utf-8")
        print(f"$ mux up --trust    # in a scratch repository, with the tasks of {example.name}\n", flush=True)
        control_plane = subprocess.Popen(_mux("up", "--trust"), cwd=repository, env=environment)
        try:
            states = _until_settled(control_plane, repository, environment)
        finally:
            _run(_mux("down"), repository, environment)
            control_plane.wait(timeout=PATIENCE)
        print("\n$ mux status", flush=True)
        subprocess.run(_mux("status", "--all"), cwd=repository, env=environment, check=True)
    return _verdict(expected, states)


def _environment(scratch: Path) -> dict[str, str]:
    """The scratch folder's own tmux sockets, settings and identity: nothing of the person's is read or changed."""
    (scratch / "tmux").mkdir()
    gone = ("TMUX", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    kept = {key: value for key, value in os.environ.items() if key not in gone}
    return kept | {
        "TMUX_TMPDIR": str(scratch / "tmux"),
        "XDG_STATE_HOME": str(scratch / "state"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{role}_NAME": "mux demo" for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": "demo@localhost" for role in ("AUTHOR", "COMMITTER")},
    }


def _scratch_repository(scratch: Path, environment: Mapping[str, str]) -> Path:
    repository = scratch / "shop"
    repository.mkdir()
    (repository / "README.md").write_text("# shop\n")
    (repository / ".gitignore").write_text("board.md\nboard.md.lock\n.board.md.mux.*\n.mux/\n")
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        ["commit", "--quiet", "--message", "A scratch repository"],
    ):
        _run(["git", *words], repository, environment)
    return repository


def _until_settled(
    control_plane: subprocess.Popen[bytes], repository: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """Status by task, once none is on its way any more."""
    deadline = time.monotonic() + PATIENCE
    while control_plane.poll() is None and time.monotonic() < deadline:
        state: dict[str, Any] = json.loads(_run(_mux("status", "--json"), repository, environment))
        states = {task["id"]: task["status"] for task in state["tasks"]}
        if state["control_plane"]["running"] and states and not _MOVING & set(states.values()):
            return states
        time.sleep(0.2)
    return {}


def _verdict(expected: Mapping[str, str], states: Mapping[str, str]) -> int:
    found = {task: states.get(task, "nothing") for task in expected}
    wrong = [f"{task}: {found[task]}, not {word}" for task, word in expected.items() if found[task] != word]
    print("\nEvery task ended as its text says." if not wrong else "\nNot as it should be: " + "; ".join(wrong))
    return 1 if wrong else 0


def _mux(*words: str) -> list[str]:
    return [sys.executable, "-m", "bot.cli", *words]


def _run(argv: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    return subprocess.run(argv, cwd=folder, env=dict(environment), check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
