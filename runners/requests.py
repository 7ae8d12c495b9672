"""Requests: questions to a person, under `.mux/requests/`. On disk before anyone is told, decided once.

    <id>.json            the question: what it is about, what a person needs to decide, its choices, its expiry
    <id>.answer.json     the first answer, made by an atomic create: whoever comes second is told who was first
    <id>.step-<n>.json   a step of carrying it out, written before the step is done
    <id>.closed.json     what became of it; a request without one is open

Each file is written once and never changed, so what was read of one is true for ever.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

from board.clock import format_time
from board.errors import Damaged, MuxError
from board.model import NOTHING
from board.storage import create_exclusive, one_line_errors, private_folder, read_json
from runners.asked import DENY, EXPIRED, Answer, Asked, Closed, Request, binding

__all__ = ["DENY", "EXPIRED", "Answer", "Asked", "Closed", "Request", "Requests", "binding"]

_NOBODY = "nobody"
_FILE = re.compile(r"([0-9a-f]{12})(?:\.(answer|closed|step-[a-z0-9-]+))?\.json\Z")
_SHORTEST_PREFIX = 4


class Requests:
    """The requests below one `.mux` folder. Safe in several processes and threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "requests"
        self._known: dict[str, Any] = {}  # by file name: what was read of it
        self._damaged: dict[str, str] = {}  # by the request's id: which of its files is damaged

    def ask(
        self,
        action: str,
        why: str,
        about: str,
        choices: tuple[str, ...],
        now: float,
        *,
        expires: float | None = None,
        task: str | None = None,
        attempt: int | None = None,
        members: tuple[tuple[str, int], ...] = (),
        evidence: Mapping[str, Any] = NOTHING,
        says: str | None = None,
        free: bool = False,
    ) -> Request:
        """The open request with that action, subject and binding, made if there is none. Raises `MuxError`.

        One whose time is over takes no answer any more, also before anybody closed it: it is asked anew.
        """
        with self._alone():
            for request in self.open():
                same = (request.action, request.about, request.task, request.attempt) == (action, about, task, attempt)
                if same and not self._is_over(request, now):
                    return request
            request = Request(
                id=secrets.token_hex(6),
                action=action,
                why=why,
                about=about,
                choices=choices,
                at=now,
                expires=expires,
                task=task,
                attempt=attempt,
                members=members,
                evidence=evidence,
                says=says,
                free=free,
            )
            self._create(f"{request.id}.json", _record(request))
            return request

    def all(self) -> list[Asked]:
        """All that are kept, oldest first, but for `damaged` ones. A file is read once; a listing tells what is new.

        Raises `MuxError`.
        """
        names = self._names()
        for gone in self._known.keys() - names.keys():
            self._known.pop(gone, None)
        found: list[Asked] = []
        parts: dict[str, dict[str, str]] = {}
        for name, (request_id, part) in names.items():
            parts.setdefault(request_id, {})[part] = name
        damaged: dict[str, str] = {}
        for request_id, files in parts.items():
            if "" in files:
                try:
                    found.append(self._asked(files))
                except Damaged as error:
                    damaged[request_id] = str(error)
        self._damaged = damaged
        return sorted(found, key=lambda asked: asked.request.at)

    def damaged(self) -> dict[str, str]:
        """By id, as of the last listing: requests with a file that cannot be understood, each with what to do.

        They count as not asked, whatever was decided about them: nothing follows from half of a record, and what is
        still to be asked is asked anew.
        """
        return dict(self._damaged)

    def open(self) -> list[Request]:
        """Requests that are not closed, oldest first; one that is answered but not carried out yet is among them."""
        return [asked.request for asked in self.all() if asked.open]

    def find(self, word: str) -> Asked:
        """The request with that id, or the one whose id begins so: the open one, if one is. Raises `MuxError`."""
        every = self.all()
        if (exact := next((asked for asked in every if asked.request.id == word), None)) is not None:
            return exact
        begun = [asked for asked in every if asked.request.id.startswith(word)]
        near = [asked for asked in begun if asked.open] or begun
        if len(word) >= _SHORTEST_PREFIX and len(near) == 1:
            return near[0]
        if not near and (broken := next((each for each in self._damaged if each.startswith(word)), None)) is not None:
            raise MuxError(self._damaged[broken])
        if len(word) >= _SHORTEST_PREFIX and near:
            raise MuxError(f"several requests begin with {word}: {', '.join(asked.request.id for asked in near)}")
        raise MuxError(f"there is no request {word}; the open ones: mux requests")

    def answer(self, word: str, choice: str, by: str, now: float, text: str | None = None) -> Request:
        """Decide a request, by its id or the beginning of it.

        Raises `MuxError` for one that is unknown, closed, expired or decided, or for a choice that it does not take.
        """
        asked = self.find(word)
        request = asked.request
        if asked.answer is not None:
            raise _decided(request, asked.answer)
        if asked.closed is not None:
            raise MuxError(f"request {request.id} is closed: {asked.closed.outcome}")
        if request.is_late(now):
            self.expire(request)
            raise MuxError(f"request {request.id} expired at {format_time(request.expires)}: nothing is done")
        allowed = [*request.choices, *([DENY] if request.deniable else [])]
        if choice not in allowed and not (request.free and text is not None):
            raise MuxError(f"request {request.id} takes {' or '.join(allowed)}, not '{choice}'")
        if not self._create(f"{request.id}.answer.json", {"choice": choice, "by": by, "at": now, "text": text}):
            first = self.answer_to(request)
            assert first is not None
            raise _decided(request, first)
        return request

    def expire(self, request: Request) -> bool:
        """Let time answer a request whose expiry is over; False when somebody was first."""
        record = {"choice": EXPIRED, "by": _NOBODY, "at": request.expires, "text": None}
        return self._create(f"{request.id}.answer.json", record)

    def _is_over(self, request: Request, now: float) -> bool:
        answer = self.answer_to(request)
        return request.is_late(now) and (answer is None or answer.choice == EXPIRED)

    def answer_to(self, request: Request) -> Answer | None:
        record = read_json(self._folder / f"{request.id}.answer.json")
        return None if record is None else _answer(record)

    def is_closed(self, request: Request) -> bool:
        return (self._folder / f"{request.id}.closed.json").exists()

    def begin_step(self, request: Request, step: str, now: float, **facts: Any) -> bool:
        """Write down that a step is about to be done; False when it was begun before."""
        return self._create(f"{request.id}.step-{step}.json", {"at": now, **facts})

    def close(self, request: Request, outcome: str, now: float) -> None:
        """Say what became of it; from then on it takes no answer. Who closes it first has said it."""
        self._create(f"{request.id}.closed.json", {"outcome": outcome, "at": now})

    def prune(self, before: float) -> int:
        """Remove what was closed before that time; returns how many requests."""
        old = [asked.request for asked in self.all() if asked.closed is not None and asked.closed.at < before]
        for request in old:
            # The question goes last: without it the others are nobody's, and are passed over.
            for path in sorted(
                self._folder.glob(f"{request.id}.*"), key=lambda path: path.name == f"{request.id}.json"
            ):
                with one_line_errors("remove", path):
                    path.unlink(missing_ok=True)
        return len(old)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While it is entered nobody else looks for a question to make it if it is not there."""
        with one_line_errors("lock", self._folder):
            folder = os.open(private_folder(self._folder), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
            except OSError:
                os.close(folder)
                raise
        try:
            yield
        finally:
            os.close(folder)

    def _names(self) -> dict[str, tuple[str, str]]:
        """By file name: the request's id, and which part of it the file holds."""
        with one_line_errors("list", self._folder):
            try:
                with os.scandir(self._folder) as files:
                    matches = (_FILE.match(file.name) for file in files)
                    return {match[0]: (match[1], match[2] or "") for match in matches if match}
            except FileNotFoundError:
                return {}

    def _asked(self, files: Mapping[str, str]) -> Asked:
        request = self._once(files[""], _request)
        answer = self._once(files["answer"], _answer) if "answer" in files else None
        closed = self._once(files["closed"], _closed) if "closed" in files else None
        steps = {
            part.removeprefix("step-"): self._once(name, dict)
            for part, name in files.items()
            if part.startswith("step-")
        }
        return Asked(request, answer, closed, steps)

    def _once(self, name: str, read: Any) -> Any:
        if name not in self._known:
            path = self._folder / name
            try:
                self._known[name] = read(read_json(path) or {})
            except (Damaged, KeyError, TypeError, ValueError) as error:
                aside = f"mv {quote(str(path))} {quote(f'{path}.damaged')}"
                raise Damaged(f"{path} is damaged, its request counts as not asked; set it aside: {aside}") from error
        return self._known[name]

    def _create(self, name: str, record: Mapping[str, Any]) -> bool:
        return create_exclusive(private_folder(self._folder) / name, json.dumps(dict(record)).encode())


def _decided(request: Request, first: Answer) -> MuxError:
    if first.choice == EXPIRED:
        return MuxError(f"request {request.id} expired at {format_time(first.at)}: nothing is done")
    how = "answered" if first.text is not None else first.choice
    return MuxError(f"request {request.id} was decided already: {how}, by {first.by}, at {format_time(first.at)}")


def _record(request: Request) -> dict[str, Any]:
    return {name: getattr(request, name) for name in Request.__slots__} | {"evidence": dict(request.evidence)}


def _request(record: Mapping[str, Any]) -> Request:
    """Records of earlier versions have fewer keys."""
    known = {name: record[name] for name in Request.__slots__ if name in record}
    members = tuple((str(task), int(number)) for task, number in record.get("members", ()))
    return Request(**known | {"choices": tuple(record["choices"]), "members": members})


def _answer(record: Mapping[str, Any]) -> Answer:
    return Answer(record["choice"], record["by"], record["at"], record.get("text"))


def _closed(record: Mapping[str, Any]) -> Closed:
    return Closed(record["outcome"], record["at"])
