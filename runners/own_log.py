"""`.mux/mux.log`: what a detached control plane prints, tracebacks, what others are not told. Private, never sent."""

from __future__ import annotations

import os
import time
import traceback
from contextlib import suppress
from pathlib import Path

from board.clock import format_time
from board.errors import MuxError


def write_traceback(folder: Path) -> Path:
    """Write down the error at hand; returns where. A full disk is no reason to fail at this, too."""
    return _write(folder, traceback.format_exc())


def write_words(folder: Path, about: str, error: MuxError) -> None:
    """An error's own words, where others are told less. `about`: a task, or empty."""
    if error.told != str(error):
        _write(folder, f"{format_time(time.time())} {about or 'the board'}: {error}\n")


def told(error: MuxError) -> str:
    """What others are told of an error, and where its own words are. `write_words` puts them there."""
    return error.told if error.told == str(error) else f"{error.told} (more: .mux/mux.log)"


def _write(folder: Path, text: str) -> Path:
    log = folder / "mux.log"
    with suppress(OSError), open(log, "a", opener=_private, encoding="utf-8", errors="replace") as file:
        file.write(text)
    return log


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
