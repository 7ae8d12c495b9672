"""What a command did or found, put into the journal as the control plane does it: redacted first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from board.keeper import Note
from bot.place import Place
from runners.journal import Event, Journal, Say, redacted
from runners.requests import Requests


def say_in(place: Place) -> Say:
    """Ask for it before what is to be said happens: it takes a while, and others say what follows from that.

    The saying raises `MuxError` when the journal cannot be written (disk full).
    """
    from bot.redaction import of_place

    redact = of_place(place).safe
    redact("")  # what is known is read now

    def say(
        event: str,
        text: str,
        task: str | None = None,
        attempt: int | None = None,
        *,
        by: str | None = None,
        evidence: Mapping[str, str | int] | None = None,
    ) -> None:
        said = Event(time.time(), event, text, task, attempt, by, evidence)
        Journal(place.folder).add(redacted(said, redact))

    return say


def events_of(place: Place, task: str | None) -> list[Event]:
    """What the journal has of one task, oldest first, or of all; of one also what was asked about several."""
    found = Journal(place.folder).events()
    if task is None:
        return list(found)
    ids = [asked.request.id for asked in Requests(place.folder).all() if task in dict(asked.request.members)]
    return [
        event
        for event in found
        if event.task == task or (event.task is None and any(each in event.text for each in ids))
    ]


def journalled(place: Place, event: str, notes: Sequence[Note]) -> None:
    """What an edit of the board brought."""
    if notes:
        say = say_in(place)
        for note in notes:
            say(event, note.text, note.task)
