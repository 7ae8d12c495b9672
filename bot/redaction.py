"""The redactor in front of all that a board's mux says: built from what is known now, and anew when that changes.

Redaction.safe      one text for the journal, for a reason on the board, for a worker's own words
outgoing(text, limit, redaction)     the same for a chat, which wants it cut, too
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from board.errors import MuxError
from board.model import Board, BoardSettings
from board.redact import Redactor, Report, safe
from board.storage import Stamp, stamp_of
from bot.place import Place

_MOST_REMEMBERED = 2000  # values that were known earlier


@dataclass(frozen=True, slots=True)
class _Known:
    """What a redactor was built from. Two that are equal give the same redactor."""

    settings: BoardSettings
    tasks: tuple[tuple[str, Mapping[str, str], tuple[str, ...]], ...]  # id, `env:`, `copy:`
    files: tuple[tuple[Path, Stamp | None], ...]  # and folders


class Redaction:
    """`board` gives the board in force. `report` gets what fails; it must not tell it, as it may quote a text.
    `environment`: whose values are known; tokens that were taken out of it among them.

    Looking whether something changed costs some 10 µs, so it is done for every text. Safe in threads.
    """

    def __init__(
        self,
        path: Path,
        board: Callable[[], Board],
        report: Report | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._path = path
        self._board = board
        self._report = report
        self._environment = environment
        self._reported = ""
        self._lock = threading.Lock()
        self._seen: Board | None = None
        self._known: _Known | None = None
        self._redactor: Redactor | None = None
        self._ever: dict[str, None] = {}  # values, the newest last

    def redact(self, text: str) -> str:
        """As `Redactor.redact`. Raises `MuxError` while something that may hold secrets cannot be read."""
        return self.current().redact(text)

    def safe(self, text: str) -> str:
        """The redacted text; a line that says that it is withheld, if that fails."""
        return safe(text, self, self._report_once)

    def current(self) -> Redactor:
        """The redactor for what is known now. Raises `MuxError`."""
        from bot.redact import redactor_of, values_of

        with self._lock:
            board = self._board()
            known = self._known if board is self._seen and self._known and self._is_fresh(self._known) else None
            if known is None:
                known = _known(self._path, board)
            if known != self._known or self._redactor is None:
                self._redactor = None  # if building fails nothing goes out, rather than what an older one lets through
                values = values_of(self._path, board, self._environment)
                self._redactor = redactor_of(self._path, board, self._and_earlier(values))
            self._seen, self._known = board, known
            return self._redactor

    def _and_earlier(self, values: Mapping[str, str]) -> dict[str, str]:
        """With all that was known in this process: a worker may hold it long after the board or a file was changed."""
        for value in values.values():
            self._ever.pop(value, None)
            self._ever[value] = None
        for oldest in list(self._ever)[:-_MOST_REMEMBERED]:
            del self._ever[oldest]
        now = set(values.values())
        return {**values, **{f"earlier {number}": value for number, value in enumerate(self._ever) if value not in now}}

    def _is_fresh(self, known: _Known) -> bool:
        return all(_stamp(path) == stamp for path, stamp in known.files)

    def _report_once(self, error: Exception) -> None:
        if self._report is not None and repr(error) != self._reported:
            self._reported = repr(error)
            self._report(error)


#: Of this process, by board.
_redactions: dict[Place, Redaction] = {}


def of_place(place: Place) -> Redaction:
    """For a command: the board's as it is read now, for as long as the process lives; in `mux up` its own."""
    from bot import boards

    if place not in _redactions:
        _redactions[place] = Redaction(place.path, functools.cache(lambda: boards.seen(place).board))
    return _redactions[place]


def register(place: Place, redaction: Redaction) -> None:
    """The control plane's own: what is ordered from a chat runs in its process, and goes through the same."""
    _redactions[place] = redaction


def _known(path: Path, board: Board) -> _Known:
    from bot import copied

    tasks = tuple((task.id, task.settings.env, task.settings.copy) for task in board.tasks)
    files = tuple((file, _stamp(file)) for file in copied.in_repository(path, board).watched)
    return _Known(board.settings, tasks, files)


def _stamp(path: Path) -> Stamp | None:
    try:
        return stamp_of(path.stat())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MuxError(f"{path}: cannot be read ({error.strerror}), so its values could not be redacted") from error
