"""A worker's own words, made safe to quote to a person. Pure."""

from __future__ import annotations

import unicodedata

LONGEST = 300  # characters of a worker's words that a person is shown
_JOINER = "\u200d"  # glues emoji together


def quotable(text: str, longest: int = LONGEST) -> str:
    """One line of at most `longest` characters, without what a screen obeys, hides or reorders by; `…` ends a cut."""
    line = " ".join("".join(map(_harmless, text)).split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def _harmless(character: str) -> str:
    category = unicodedata.category(character)
    if character.isspace() or category in ("Cc", "Zl", "Zp"):
        return " "
    # Cf holds the bidirectional controls and what has no width; Cs are bytes that were no text.
    return "" if category in ("Cf", "Cs") and character != _JOINER else character
