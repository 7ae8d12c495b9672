"""Requests as they are read: the question, its answer, what became of it. Pure data; `runners.requests` keeps them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from board.model import NOTHING

#: The answer that is always possible, and never one of the `choices`: nothing is done.
DENY = "deny"
#: The answer that time gives: as `deny`, by nobody.
EXPIRED = "expired"
#: The step of an order that left nothing to decide: `what` was ordered, and `by` whom.
ORDERED = "ordered"
#: The answers about a `once` step that began and did not finish.
AGAIN, FINISHED = "again", "finished"


@dataclass(frozen=True, slots=True)
class Request:
    """`about` binds it to what was shown: with another value it is another question.

    `task` and `attempt` say whose it is, where it is about one; `members` are those of a question about several.
    `evidence` is what a person needs to decide; counts and typed values, no free text. `says` is what a worker says on
    purpose, in its own words. `free`: any text answers it, beside its `choices`.
    """

    id: str
    action: str  # held | recover | outage | restart | rerun | once | ask | gate
    why: str
    about: str
    choices: tuple[str, ...]  # the ways to go on
    at: float  # seconds since the epoch
    expires: float | None = None
    task: str | None = None
    attempt: int | None = None
    members: tuple[tuple[str, int], ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=lambda: NOTHING, hash=False)
    says: str | None = None
    free: bool = False

    @property
    def deniable(self) -> bool:
        """Whether doing nothing is an answer of its own. A held save is put back by a choice."""
        return self.action != "held"

    def is_late(self, now: float) -> bool:
        """Its time is over."""
        return self.expires is not None and now >= self.expires


@dataclass(frozen=True, slots=True)
class Answer:
    choice: str
    by: str
    at: float
    text: str | None = None  # for a question that takes any text

    @property
    def denies(self) -> bool:
        return self.choice in (DENY, EXPIRED)


@dataclass(frozen=True, slots=True)
class Closed:
    outcome: str  # one line
    at: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and all that has become of it so far. `steps` are those that were begun."""

    request: Request
    answer: Answer | None = None
    closed: Closed | None = None
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: NOTHING, hash=False)

    @property
    def open(self) -> bool:
        return self.closed is None

    @property
    def waits(self) -> bool:
        """A person is still to decide it."""
        return self.closed is None and self.answer is None

    @property
    def by(self) -> str | None:
        """Who decided it, or ordered what left nothing to decide; None where that is not known."""
        ordered = self.ordered
        return self.answer.by if self.answer is not None else str(ordered["by"]) if ordered else None

    @property
    def ordered(self) -> Mapping[str, Any] | None:
        """The order for which it was closed: the newest, as one before it may have come to nothing."""
        orders = (facts for name, facts in self.steps.items() if name.startswith(ORDERED))
        newest = max(orders, key=lambda facts: float(facts["at"]), default=None)
        if newest is None or self.closed is None or newest["what"].lower() not in self.closed.outcome:
            return None
        return newest

    @property
    def approved(self) -> bool:
        return self.closed is None and self.answer is not None and not self.answer.denies


def binding(*parts: object) -> str:
    """A digest of what a question is bound to."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:16]
