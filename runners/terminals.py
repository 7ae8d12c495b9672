"""What became of what was typed into a worker's terminal: whether a program read it, seen from outside."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from dataclasses import dataclass
from pathlib import Path

#: What a terminal takes in one line while it reads by lines; the rest would be lost without a word.
LONGEST_LINE = 4_000  # bytes


@dataclass(frozen=True, slots=True)
class Terminal:
    """`unread`: bytes that no program has read yet; by lines only whole lines count, since nobody can read others."""

    unread: int
    by_lines: bool  # the terminal hands out whole lines, as a shell's `read` takes them


def look(terminal: Path) -> Terminal | None:
    """None when it cannot be told: the terminal is gone, or not ours to look at."""
    try:
        opened = os.open(terminal, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        (unread,) = struct.unpack("i", fcntl.ioctl(opened, termios.FIONREAD, bytes(4)))
        return Terminal(unread, bool(termios.tcgetattr(opened)[3] & termios.ICANON))
    except (OSError, termios.error):
        return None
    finally:
        os.close(opened)
