"""The programs mux stands on: `python -m runners.tools` says in one line what is missing or too old."""

from __future__ import annotations

import sys

from board.errors import MuxError
from runners import git, tmux


def check() -> tuple[str, str]:
    """The versions of tmux and git. Raises `MuxError` when one is missing or too old, with what to do."""
    return tmux.version(), git.version()


if __name__ == "__main__":
    try:
        check()
    except MuxError as error:
        sys.exit(str(error))
