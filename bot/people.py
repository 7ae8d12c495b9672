"""Which users are people: only people decide, and only Slack knows who is one.

What Slack does not say is not taken for granted: who is not known to be a person is refused, and told what to do. Who
was one once is one for good, by id: kept in `.mux/people.json`, so that a Slack that is ill later locks out nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from board.errors import MuxError
from board.storage import read_json, write_json
from bot.slack_client import Failed, Trouble

#: `slack_client.Api`, or what stands for it.
Call = Callable[..., Mapping[str, Any]]

_BOT = "bots may not use mux: only people decide"
_PASSING = (Trouble.AWAY, Trouble.NOT_SENT, Trouble.LIMITED)


class People:
    """Safe in several threads. Who is asked about for the first time costs a call of Slack."""

    def __init__(self, folder: Path, call: Call) -> None:
        self._path = folder / "people.json"
        self._call = call
        self._lock = threading.Lock()
        self._people: frozenset[str] = frozenset()
        with suppress(MuxError):  # damaged: Slack is asked again
            kept = (read_json(self._path) or {}).get("people")
            if isinstance(kept, list):
                self._people = frozenset(each for each in kept if isinstance(each, str))

    def why_not(self, user: str) -> str | None:
        """Why this user is not taken for a person, in words for them; None for a person."""
        if user in self._people:
            return None
        try:
            found = self._call("users.info", user=user).get("user")
        except Failed as failed:
            return _unknown(failed)
        is_bot = found.get("is_bot") if isinstance(found, Mapping) else None
        if is_bot is not False:
            return _BOT if is_bot else "Slack does not say whether you are a person: decide at the terminal"
        self._learn(user)
        return None

    def meet(self, users: Iterable[str]) -> None:
        """Ask about those who are listed while Slack is well, before one of them has to decide something."""
        for user in users:
            self.why_not(user)

    def _learn(self, user: str) -> None:
        with self._lock:
            self._people |= {user}
            with suppress(MuxError):  # a full disk: Slack is asked again
                write_json(self._path, {"people": sorted(self._people)}, durable=False)


def _unknown(failed: Failed) -> str:
    if failed.trouble in _PASSING:
        return (
            f"Slack cannot be asked now whether you are a person ({failed.error}): nothing was done; "
            "try again in a minute, or decide at the terminal: mux requests"
        )
    if failed.error.startswith("missing_scope"):
        return (
            "the app lacks the scope users:read, so mux cannot tell people from bots: add it and reinstall the app, "
            "and meanwhile decide at the terminal: mux requests"
        )
    return (
        f"Slack does not know you as a person ({failed.error}): nothing was done; decide at the terminal: mux requests"
    )
