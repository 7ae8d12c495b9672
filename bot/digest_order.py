"""A digest that was ordered by `mux digest --post`: `.mux/digest-ordered`, there until it is in the outbox.

The control plane makes it: it knows what must not leave, which the shell of whoever orders it need not.
"""

from __future__ import annotations

from pathlib import Path

from board.storage import one_line_errors, private_folder, write_atomic

_NAME = "digest-ordered"


def put(folder: Path) -> None:
    """Order it, for now. Raises MuxError (disk full)."""
    write_atomic(private_folder(folder) / _NAME, b"")


def at(folder: Path) -> float | None:
    """When it was ordered; None when none is. Raises MuxError."""
    path = folder / _NAME
    with one_line_errors("look at", path):
        try:
            return path.stat().st_mtime
        except FileNotFoundError:
            return None


def done(folder: Path) -> None:
    """It is in the outbox. Raises MuxError."""
    path = folder / _NAME
    with one_line_errors("remove", path):
        path.unlink(missing_ok=True)
