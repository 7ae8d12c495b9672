"""After an outage workers come back one by one: when the last of them was started. Pure."""

from __future__ import annotations


class Pace:
    """A start may take longer than the pause between two: that begins once the start is over.

    Otherwise the one that was held up and the next would come at the same time.
    """

    def __init__(self) -> None:
        self._starting: set[str] = set()
        self._at = 0.0

    def begins(self, task: str, now: float) -> None:
        self._starting.add(task)
        self._at = now

    def over(self, task: str, now: float) -> None:
        """An effect of the task is over; it may have been another one than a paced start."""
        if task in self._starting:
            self._starting.remove(task)
            self._at = now

    def at(self, now: float) -> float:
        """When the last one started: now, while one does."""
        return now if self._starting else self._at
