"""What a worker printed, as text: terminal control sequences taken out."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from board.storage import one_line_errors
from runners.wrapper import LAST_BYTES

#: So much of the end is looked at for what an agent says last.
TAIL = 65536  # bytes

_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]).*?(?:\x07|\x1b\\|\x9c|\Z)"  # titles, links, device strings
    r"|\x1b[ -/]*[0-~]"  # character sets, keypad, and the like
    r"|\x1b"
)


def text_of(line: bytes) -> str:
    """A line of terminal output: no control sequences, and of what was printed over itself the last. Pure."""
    text = _SEQUENCES.sub("", line.decode(errors="replace")).rstrip("\r").rpartition("\r")[2]
    while "\x08" in text:
        text = re.sub("[^\x08]\x08|^\x08+", "", text)
    return text


def written_at(folder: Path, attempts: Sequence[tuple[str, int]], name: str) -> dict[str, float]:
    """When a file of each run folder was last written, by task; those that do not have it are left out."""
    found = {}
    runs = f"{folder}/runs"
    for task, number in attempts:
        with suppress(OSError):  # of every worker, twice a second: a `Path` would cost thrice the call
            found[task] = os.stat(f"{runs}/{task}/{number}/{name}").st_mtime  # noqa: PTH116
    return found


def tail(run_folder: Path) -> str:
    """The end of what an attempt printed; empty when it printed nothing. Raises MuxError."""
    path = run_folder / "output.log"
    with one_line_errors("read", path):
        try:
            with path.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
                data = file.read().removesuffix(LAST_BYTES)
        except FileNotFoundError:
            return ""
    return "\n".join(text_of(line) for line in data.split(b"\n"))
