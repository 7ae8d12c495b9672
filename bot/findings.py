"""What `mux doctor` finds: one line each, with its fix. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.table import clean, paint


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    text: str
    fix: str = ""


_COLOURS = {Level.OK: "32", Level.WARNING: "33", Level.PROBLEM: "31"}


def lines(finding: Finding, colour: bool) -> list[str]:
    """The finding for a terminal, its fix on a line of its own."""
    word = f"{finding.level:8}"
    said = [f"{paint(word, _COLOURS[finding.level]) if colour else word} {clean(finding.text)}"]
    return [*said, f"{'':8} fix: {clean(finding.fix)}"] if finding.fix else said


def count(number: int, what: str) -> str:
    """`no problems`, `1 problem`, `3 problems`."""
    return f"{number or 'no'} {what}{'s' if number != 1 else ''}"
