"""What is known of the terminal that a command writes to. `NO_COLOR` and a pipe are respected."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import IO


def width(environment: Mapping[str, str] = os.environ, stream: IO[str] | None = None) -> int | None:
    """Columns of the terminal; None for a pipe or a file, where nothing is cut. `COLUMNS` has the last word."""
    said = environment.get("COLUMNS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    try:
        return os.get_terminal_size((stream or sys.stdout).fileno()).columns or None
    except (OSError, ValueError):
        return None


def colourful(environment: Mapping[str, str] = os.environ, stream: IO[str] | None = None) -> bool:
    if environment.get("NO_COLOR") or environment.get("TERM") in (None, "", "dumb"):
        return False
    return is_terminal(stream or sys.stdout)


def is_terminal(stream: IO[str]) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def has_both() -> bool:
    """A person can type and read here."""
    return is_terminal(sys.stdin) and is_terminal(sys.stdout)
