from __future__ import annotations

import os
import pty
import tty
from pathlib import Path

from runners.terminals import LONGEST_LINE, Terminal, look
from tests.support import wait_for


def test_what_nobody_read_yet_is_seen_from_outside(tmp_path: Path) -> None:
    keys, terminal = pty.openpty()
    path = Path(os.ttyname(terminal))
    assert look(path) == Terminal(0, by_lines=True)
    os.write(keys, b"half a li")
    os.write(keys, b"ne\n")
    wait_for(lambda: look(path) == Terminal(12, by_lines=True))
    assert os.read(terminal, 100) == b"half a line\n"
    assert look(path) == Terminal(0, by_lines=True)
    tty.setraw(terminal)
    os.write(keys, b"x")
    wait_for(lambda: look(path) == Terminal(1, by_lines=False))
    os.close(terminal)
    os.close(keys)
    assert look(path) is None and look(tmp_path / "none") is None and look(tmp_path) is None


def test_a_line_of_the_longest_length_arrives_whole() -> None:
    keys, terminal = pty.openpty()
    os.write(keys, b"x" * LONGEST_LINE + b"\n")
    assert os.read(terminal, 2 * LONGEST_LINE) == b"x" * LONGEST_LINE + b"\n"
    os.close(terminal)
    os.close(keys)
