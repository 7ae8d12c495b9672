"""Requests: questions to a person, under `.mux/requests/`. On disk before anyone is told, decided once.

<id>.json          the question, with its choices
<id>.answer.json   the first answer, made by an atomic create: whoever comes second is told who was first
<id>.closed.json   what became of it; a request without one is open
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from board.clock import format_time
from board.errors import MuxError
from board.storage import create_exclusive, private_folder, read_json, write_json

_ID = re.compile(r"[0-9a-f]{12}\Z")


@dataclass(frozen=True, slots=True)
class Request:
    """`about` binds it to what was shown: with another value it is another question."""

    id: str
    action: str
    why: str
    about: str
    choices: tuple[str, ...]
    at: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class Answer:
    choice: str
    by: str
    at: float


class Requests:
    def __init__(self, folder: Path) -> None:
        self._folder = folder / "requests"

    def ask(self, action: str, why: str, about: str, choices: tuple[str, ...], now: float) -> Request:
        """The open request with that action and subject, made if there is none. Raises `MuxError`."""
        for request in self.open():
            if (request.action, request.about) == (action, about):
                return request
        request = Request(secrets.token_hex(6), action, why, about, choices, now)
        write_json(private_folder(self._folder) / f"{request.id}.json", asdict(request))
        return request

    def open(self) -> list[Request]:
        """Requests that are not closed, oldest first; one that is answered but not carried out yet is among them."""
        try:
            names = {path.name.removesuffix(".json") for path in self._folder.glob("*.json")}
        except FileNotFoundError:
            return []
        found = [self._read(name) for name in names if _ID.match(name) and f"{name}.closed" not in names]
        return sorted((request for request in found if request is not None), key=lambda request: request.at)

    def answer(self, request_id: str, choice: str, by: str, now: float) -> Request:
        """Decide a request. Raises `MuxError` for one that is unknown, closed or decided, or for an unknown choice."""
        request = self._read(request_id) if _ID.match(request_id) else None
        if request is None:
            raise MuxError(f"there is no request {request_id}; the open ones: mux requests")
        if (closed := read_json(self._folder / f"{request_id}.closed.json")) is not None:
            raise MuxError(f"request {request_id} is closed: {closed['outcome']}")
        if choice not in request.choices:
            raise MuxError(f"request {request_id} takes {' or '.join(request.choices)}, not '{choice}'")
        answer = {"choice": choice, "by": by, "at": now}
        if not create_exclusive(self._folder / f"{request_id}.answer.json", json.dumps(answer).encode()):
            first = self.answer_to(request)
            assert first is not None
            when = format_time(first.at)
            raise MuxError(f"request {request_id} was decided already: {first.choice}, by {first.by}, at {when}")
        return request

    def answer_to(self, request: Request) -> Answer | None:
        record = read_json(self._folder / f"{request.id}.answer.json")
        return None if record is None else Answer(record["choice"], record["by"], record["at"])

    def close(self, request: Request, outcome: str, now: float) -> None:
        """Say what became of it; from then on it takes no answer."""
        write_json(self._folder / f"{request.id}.closed.json", {"outcome": outcome, "at": now})

    def _read(self, request_id: str) -> Request | None:
        record: dict[str, Any] | None = read_json(self._folder / f"{request_id}.json")
        return None if record is None else Request(**record | {"choices": tuple(record["choices"])})
