"""What the tests of several folders share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

#: Seconds until something that must happen has happened, on a slow and busy machine.
PATIENCE = 90.0


def wait_for(condition: Callable[[], Any], what: str | Callable[[], str] = "", seconds: float = PATIENCE) -> Any:
    """The first true answer; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    looked_at = time.monotonic()
    while not (answer := condition()):
        now = time.monotonic()
        assert now < deadline, f"not in {seconds:g} s: {what() if callable(what) else what}"
        time.sleep(min(max(0.01, 2 * (now - looked_at)), 0.5))  # a dear look is no reason to keep the machine busy
        looked_at = time.monotonic()
    return answer


def clean_environment(scratch: Path, base: Mapping[str, str]) -> dict[str, str]:
    """Git has an identity and no settings but its defaults; state and tmux sockets lie in the scratch folder."""
    ours = ("GIT_", "MUX_", "SLACK_", "TMUX", "COLUMNS", "LINES", "NO_COLOR")
    kept = {name: value for name, value in base.items() if not name.startswith(ours)}
    config = scratch / "gitconfig"
    config.write_text("[user]\n name = Tester\n email = tester@example.org\n[init]\n defaultBranch = main\n")
    return kept | {
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_SYSTEM": os.devnull,
        "XDG_STATE_HOME": str(scratch / "state"),
        "TMUX_TMPDIR": str(scratch),
    }
