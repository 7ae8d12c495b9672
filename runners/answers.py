"""What people decide about a save that is held."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from board.keeper import Keeper, Note
from runners.requests import Requests

Say = Callable[[str, str], None]


class Answers:
    """Asks about a held save, and carries out what was answered, once.

    `say` gets an event's word and its text; `say_notes` what a save brought.
    """

    def __init__(
        self, keeper: Keeper, requests: Requests, say: Say, say_notes: Callable[[Sequence[Note]], None]
    ) -> None:
        self._keeper = keeper
        self._requests = requests
        self._say = say
        self._say_notes = say_notes
        self._asked = True  # a request of an earlier run may still be open

    def carry_out(self, now: float) -> None:
        """For every pass. Raises `MuxError` when a request cannot be kept."""
        held = self._keeper.held
        if held is None and not (self._asked and self._keeper.settled):
            return  # while nobody can say what is in the file, an open question stays open
        mine = None
        if held is not None:
            mine = self._requests.ask("held", held.text, held.digest or "missing", ("take", "keep"), now)
            if not self._asked:
                self._say("request", f"{held.text}; decide with: mux answer {mine.id} take|keep")
        for request in self._requests.open():
            if request.action == "held" and (mine is None or request.id != mine.id):
                self._requests.close(request, "it ended by itself: the file changed again", now)
        self._asked = held is not None
        answer = self._requests.answer_to(mine) if mine is not None else None
        if mine is None or answer is None:
            return
        self._say_notes(self._keeper.decide_held(answer.choice == "take", now))
        if self._keeper.held is None:
            self._requests.close(mine, f"{answer.choice}, by {answer.by}", now)
