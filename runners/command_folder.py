"""`.mux/bin/mux`: the `mux` command as workers find it, also where it is installed in an environment of its own."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from board.storage import one_line_errors, private_folder, write_atomic

_MODE = 0o700


def command_folder(folder: Path) -> Path:
    """The folder with a `mux` in it that runs this very installation, for the end of a worker's PATH. Safe to repeat.

    `folder` is `.mux`. Raises `MuxError`.
    """
    here = private_folder(folder / "bin")
    path = here / "mux"
    # Isolated (-I): a worker's folder or PYTHONPATH may hold a package `bot` of its own. Our packages lie beside each
    # other, in a clone as well as installed.
    packages = Path(__file__).resolve().parent.parent
    start = f"import sys; sys.path.append({str(packages)!r}); from bot.cli import main; sys.exit(main())"
    script = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -c {shlex.quote(start)} "$@"\n'.encode(
        errors="surrogateescape"
    )
    with one_line_errors("read", path):
        there = path.read_bytes() if path.is_file() and path.stat().st_mode & 0o777 == _MODE else None
    if there != script:
        write_atomic(path, script, _MODE)
    return here
