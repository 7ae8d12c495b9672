"""The night that `make demo-slack` shows: in order, and nothing of it is left."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from tests.support import PATIENCE, wait_for

TOLD = (
    *("HOW TO GO ON", "[ Restart in place ]", "Not allowed", "*Restart in place* by ana"),
    *("fix-login is done", "DIGEST", "Fix the loop"),
)


def test_the_night_goes_as_it_is_told() -> None:
    with tempfile.TemporaryDirectory(prefix="mux-") as name:  # short: sockets lie below it
        done = subprocess.run(
            [sys.executable, "-m", "tests.e2e.demo_slack"],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"TMPDIR": name},
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert list(Path(name).iterdir()) == []
    at = [done.stdout.find(words) for words in TOLD]
    assert -1 not in at and at == sorted(at), done.stdout
    wait_for(lambda: not left(name), lambda: f"nothing of it runs: {left(name)}")


def left(name: str) -> list[str]:
    """What still runs there: what keeps the output of a window ends a moment after its tmux."""
    running = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
    return [each for each in running if name in each]
