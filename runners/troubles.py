"""What goes wrong is said once and tried again after a pause that doubles. Safe from the loop's threads."""

from __future__ import annotations

from collections.abc import Callable

from runners.plan import LOOK_AGAIN

#: An effect that fails is tried again after a pause that doubles up to this many seconds.
LONGEST_PAUSE = 60.0


class Troubles:
    """By task, or by "" for the loop itself. `say` gets an event's word, its text and the task."""

    def __init__(self, say: Callable[[str, str, str | None], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._pauses: dict[str, float] = {}
        self._said: dict[str, str] = {}
        self._again_at: dict[str, float] = {}

    def say_once(self, about: str, event: str, text: str) -> None:
        """The same trouble is said once, however often it is met in a row."""
        if self._said.get(about) != text:
            self._said[about] = text
            self._say(event, text, about or None)

    def try_again(self, task: str, event: str, text: str) -> None:
        pause = self._pauses[task] = min(self._pauses.get(task, LOOK_AGAIN / 2) * 2, LONGEST_PAUSE)
        self._again_at[task] = self._clock() + pause
        self.say_once(task, event, f"{text}; trying again")

    def over(self, about: str) -> None:
        self._said.pop(about, None)
        self._pauses.pop(about, None)

    def pause_of(self, task: str) -> float:
        """The seconds of the pause before the last try; 0 when all is well."""
        return self._pauses.get(task, 0.0)

    def pending(self, now: float) -> dict[str, float]:
        """Tasks to be tried again later, and when."""
        for task, at in list(self._again_at.items()):
            if at <= now:
                del self._again_at[task]
        return dict(self._again_at)

    def said_of(self, about: str) -> str | None:
        return self._said.get(about)
