"""A git repository of any number of small text files."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

_IGNORED = "board.md\nboard.md.lock\n.board.md.mux.*\n.editor.tmp\n.mux/\n"
_A_FOLDER = 100  # files


def make_repository(folder: Path, files: int, environment: Mapping[str, str]) -> None:
    """One commit on `main` with `files` files of 1 KB, checked out."""

    def git(*words: str, data: bytes | None = None) -> None:
        subprocess.run(["git", *words], cwd=folder, env=environment, input=data, check=True, capture_output=True)

    folder.mkdir()
    git("init", "--quiet", "--initial-branch=main")
    git("fast-import", "--quiet", data=b"".join(_commit(files)))
    git("-c", "checkout.workers=0", "reset", "--quiet", "--hard", "main")


def _commit(files: int) -> Iterator[bytes]:
    """In the language of `git fast-import`."""
    yield b"commit refs/heads/main\ncommitter mux bench <bench@localhost> 0 +0000\ndata 5\nfirst\n"
    yield _file(".gitignore", _IGNORED.encode())
    for index in range(files - 1):
        line = f"file {index} of a repository to measure with, line by line\n"
        yield _file(f"src/{index // _A_FOLDER:04d}/{index % _A_FOLDER:02d}.txt", (line * 20).encode()[:1024])


def _file(path: str, data: bytes) -> bytes:
    return b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
