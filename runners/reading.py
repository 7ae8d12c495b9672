"""What a screen, and what an agent says itself, tell of a live worker now. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from runners.asked import Asked
from runners.limits import find_limit
from runners.model import Attempt, Signal
from runners.profiles import Profile
from runners.screens import SAID, UNKNOWN, Seen, classify

_DRAWN = 0.3  # seconds until what an agent said is on its screen
_SETTLES = 8.0  # an agent shows its prompt before it takes the first one: until then it is not idle
_LAST = 6  # lines in which a headless agent that is limited now says so


def settles(attempt: Attempt, now: float) -> bool:
    return now < (attempt.started or attempt.created) + _SETTLES


def shown(attempt: Attempt, profile: Profile | None, text: str, now: float) -> Seen:
    """What the screen of an interactive agent shows; of a headless one only that it cannot work is told from it."""
    if profile is None:
        return UNKNOWN
    if attempt.mode == "interactive":
        seen = classify(text, profile.screens)
        return Seen("working") if seen.reason == "idle" and settles(attempt, now) else seen
    lines = [line for line in text.splitlines() if line.strip()][-_LAST:]
    limit = find_limit("\n".join(lines), profile.limits, now) if profile.limits else None
    return Seen("limited", limit.reason, " ".join(" ".join(lines).split())) if limit else UNKNOWN


def said(attempt: Attempt, signal: Signal | None, screen: Seen, now: float) -> Seen | None:
    """What its agent said of its turn, unless its screen shows the same: that says more."""
    if signal is None or (signal.kind == "idle" and settles(attempt, now)):
        return None
    seen = SAID[signal.kind]
    return None if screen is not UNKNOWN and screen.name == seen.name else seen


def is_overtaken(signal: Signal, screen: Seen, captured_at: float) -> bool:
    """A later screen showed something else: what was said holds no more, also when no rule knows the next screen.

    Hooks do not tell of everything, such as that an approved command goes on.
    """
    is_later = screen is not UNKNOWN and captured_at > signal.at + _DRAWN
    return is_later and screen.name != SAID[signal.kind].name


def person_at(asked: Sequence[Asked], attempt: Attempt, sent: float | None) -> float | None:
    """When a person last answered it, or had something typed into it."""
    mine = (each for each in asked if (each.request.task, each.request.attempt) == (attempt.task, attempt.number))
    times = [each.answer.at for each in mine if each.answer is not None]
    return max([*times, *([sent] if sent is not None else [])], default=None)
