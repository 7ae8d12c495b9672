"""The same by hand: `git worktree add` and `tmux new-window`, with default settings, as fast as a machine types."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from benchmarks.desk import Desk

_TMUX = ("tmux", "-Lhand", "-f/dev/null")


@contextmanager
def tmux_by_hand(desk: Desk) -> Iterator[None]:
    """A person's own tmux server, running before anything is measured."""
    pid = int(_typed(desk, *_TMUX, "new-session", "-d", "-s", "hand", "-P", "-F", "#{pid}"))
    server = psutil.Process(pid)
    try:
        yield
    finally:
        _typed(desk, *_TMUX, "kill-server")
        server.wait(timeout=30.0)


def start_by_hand(desk: Desk, task: str, script: str) -> None:
    home = desk.scratch / "hand" / task
    _typed(desk, "git", "worktree", "add", "-b", f"hand/{task}", str(home), "main")
    _typed(desk, *_TMUX, "new-window", "-d", "-t", "hand:", "-c", str(home), "sh", "-c", script)


def _typed(desk: Desk, *words: str) -> str:
    done = subprocess.run(words, cwd=desk.repository, env=desk.environment, check=True, capture_output=True, text=True)
    return done.stdout
