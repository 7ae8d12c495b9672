"""The machine in general terms, without names of hosts or folders: what a figure means depends on it."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from pathlib import Path

import psutil

from board.exchange import filesystem_type
from runners import git, tmux


def describe() -> str:
    """One line. Raises MuxError when tmux or git is missing."""
    kind = re.search(r"^model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    return ", ".join(
        (
            f"{os.cpu_count()} cores ({kind[1] if kind else platform.machine()})",
            f"{round(psutil.virtual_memory().total / 2**30)} GiB of memory",
            f"scratch folder on {filesystem_type(mounts, Path(tempfile.gettempdir()).resolve())}",
            f"Linux {platform.release().split('-')[0]}",
            f"Python {platform.python_version()}",
            f"tmux {tmux.version()}",
            f"git {git.version()}",
        )
    )
