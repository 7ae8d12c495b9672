"""What a chat has to know of its earlier runs: up to when changed rules were told, and in which channel it was.

Kept in `.mux/told.json`. A damaged one is as none: nothing older is told then.
"""

from __future__ import annotations

from pathlib import Path

from board.errors import MuxError
from board.storage import read_json, write_json


class Told:
    """`rules_at`: when the rules changed last that were told; None: nothing is known. `since`: when it came there.

    What is noted is on disk; raises MuxError (disk full).
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "told.json"
        self.channel: str | None = None
        self.since = 0.0
        self.rules_at: float | None = None
        try:
            kept = read_json(self._path) or {}
        except MuxError:
            return
        if isinstance(channel := kept.get("channel"), str):
            self.channel = channel
        if isinstance(since := kept.get("since"), float):
            self.since = since
        if isinstance(rules_at := kept.get("rules_at"), float):
            self.rules_at = rules_at

    def policy(self, at: float) -> None:
        self.rules_at = at
        self._write()

    def moved(self, channel: str, now: float) -> None:
        self.channel, self.since = channel, now
        self._write()

    def _write(self) -> None:
        write_json(self._path, {"channel": self.channel, "since": self.since, "rules_at": self.rules_at})
