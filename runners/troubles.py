"""What goes wrong is said once and tried again after a pause that doubles. Safe from the loop's threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from board.errors import MuxError
from runners.own_log import told
from runners.plan import LOOK_AGAIN

#: An effect that fails is tried again after a pause that doubles up to this many seconds.
LONGEST_PAUSE = 60.0


class Troubles:
    """By task, or by "" for the loop itself. `say` gets an event's word, its text and the task.

    `log`: gets what of an error is for the person at this machine alone, and what it is about.
    """

    def __init__(
        self,
        say: Callable[[str, str, str | None], None],
        clock: Callable[[], float],
        log: Callable[[str, MuxError], None] = lambda about, error: None,
    ) -> None:
        self._say = say
        self._clock = clock
        self._log = log
        self._pauses: dict[str, float] = {}
        self._said: dict[str, tuple[str, str]] = {}  # what others were told, and the whole of it
        self._again_at: dict[str, float] = {}
        self._lasting: frozenset[str] = frozenset()

    def say_once(self, about: str, event: str, what: MuxError | str, then: str = "") -> None:
        """The same trouble is said once, however often it is met in a row."""
        text = (told(what) if isinstance(what, MuxError) else what) + then
        if self._said.get(about) != (text, str(what)):
            self._said[about] = text, str(what)
            self._say(event, text, about or None)
            if isinstance(what, MuxError):
                self._log(about, what)

    def say_lasting(self, event: str, texts: Iterable[str]) -> None:
        """All that is wrong and nobody's task's, at each look: each is said once, for as long as it lasts."""
        now = frozenset(texts)
        for text in sorted(now - self._lasting):
            self._say(event, text, None)
        self._lasting = now

    def try_again(self, task: str, event: str, what: MuxError | str) -> None:
        pause = self._pauses[task] = min(self._pauses.get(task, LOOK_AGAIN / 2) * 2, LONGEST_PAUSE)
        self._again_at[task] = self._clock() + pause
        self.say_once(task, event, what, "; trying again")

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

    def said_of(self, task: str) -> str:
        """As others are told."""
        return self._said.get(task, ("", ""))[0]

    def of_board(self) -> str | None:
        """In its own words."""
        return self._said[""][1] if "" in self._said else None

    def withheld(self, about: str, error: MuxError) -> str:
        """What to tell of an error that is not tried again; its own words go into the log."""
        self._log(about, error)
        return told(error)
