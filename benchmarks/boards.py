"""Large boards, and a keeper of one without a control plane around it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from benchmarks.desk import front
from board import file
from board.keeper import Keeper
from board.storage import private_folder
from runners.boards import read_board

_TASK = """
## task-{number}: Task {number} of a large board

```yaml
status: draft
priority: {priority}  # as people comment
touches: [src/part-{number}/{mark}/]
```

Users who sign in from page {number} land on the wrong one. Reproduce it in a test first.

```sh
make -C part-{number} test
```
"""


def large_board(tasks: int, mark: str = "all") -> str:
    """`mark` makes every section another one, so that nothing remembered of another board helps to read it."""
    sections = (_TASK.format(number=number, priority=number % 10, mark=mark) for number in range(tasks))
    return front() + "".join(sections)


@contextmanager
def keeper_of(tasks: int) -> Iterator[Keeper]:
    """A keeper of a new board of so many tasks, with fsync left out: it measures the disk, not mux.

    What a write displaced is kept beside the board for a while in case its writer is not done. Here changes follow each
    other at once, in life by seconds: without that while, so that it does not pile up.
    """
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "board.md"
        path.write_text(large_board(tasks))
        with patch.object(os, "fsync", lambda descriptor: None), patch.object(file, "GRACE", 0.0):
            yield Keeper(path, private_folder(Path(name) / ".mux"), read_board, 0.0)
