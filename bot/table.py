"""Plain text for a terminal: what is safe to print, how wide it is, and aligned columns fitted to a width. Pure.

Titles and reasons come from files that anybody may have written, so nothing of them reaches a terminal that it would
obey, hide or reorder by: `clean` first, then measure, then cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_JOINER = "\u200d"  # glues emoji together; harmless, and cutting it out takes them apart
_RESET = "\x1b[0m"
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """`least`: it is never cut shorter. `drop`: which column goes first when there is no room; 0: it always stays."""

    title: str
    least: int = 4
    drop: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    colour: str = ""  # the numbers of an SGR sequence, `31` or `1;33`


def clean(text: str) -> str:
    """One line without a character that a terminal acts on; blanks of every kind become spaces."""
    return text if text.isprintable() else "".join(map(_harmless, text))


def _harmless(character: str) -> str:
    import unicodedata

    if character.isprintable() or character == _JOINER:
        return character
    if character.isspace():
        return " "
    return character if unicodedata.category(character) == "Cn" else "\ufffd"  # Cn: newer than this Python's tables


def width_of(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    import unicodedata

    if character.isascii():
        return 1
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def cut(text: str, width: int) -> str:
    """The text in at most `width` columns; what was cut off shows as `…`."""
    if width_of(text) <= width:
        return text
    out, used = "", 1
    for character in text:
        used += _columns(character)
        if used > width:
            break
        out += character
    return f"{out.rstrip()}…" if width > 0 else ""


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` columns (at least 2), broken between words where that is possible."""
    lines, line = [], ""
    for word in text.split(" "):
        while width_of(f"{line} {word}" if line else word) > width:
            if line:
                lines.append(line)
                line = ""
            else:  # a word that fits on no line
                lines.append(_prefix(word, width))
                word = word[len(lines[-1]) :]
        line = f"{line} {word}" if line else word
    return [*lines, line]


def _prefix(text: str, width: int) -> str:
    """As many characters as fit; at least one."""
    used = 0
    for index, character in enumerate(text):
        used += _columns(character)
        if used > width and index:
            return text[:index]
    return text


def paint(text: str, colour: str) -> str:
    return f"\x1b[{colour}m{text}{_RESET}" if colour else text


def unpainted(line: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def render(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int | None = None, colour: bool = False
) -> list[str]:
    """The lines of a table, a heading first. `width`: columns of the terminal; None: as wide as it takes.

    Too narrow, columns are left out in their `drop` order, then the longest is cut, then the next.
    """
    cells = [[Cell(clean(cell.text), cell.colour) for cell in row] for row in rows]
    cells.insert(0, [Cell(column.title, "1") for column in columns])
    shown = _that_fit(columns, width)
    widths = [max(width_of(row[index].text) for row in cells) for index in shown]
    widths = _narrowed(widths, [columns[index].least for index in shown], width)
    return [_line([row[index] for index in shown], widths, colour) for row in cells]


def _that_fit(columns: Sequence[Column], width: int | None) -> list[int]:
    """The columns there is room for at their least width."""
    shown = list(range(len(columns)))
    for index in sorted((index for index in shown if columns[index].drop), key=lambda index: columns[index].drop):
        if width is not None and sum(columns[each].least + len(_GAP) for each in shown) - len(_GAP) > width:
            shown.remove(index)
    return shown


def _narrowed(widths: list[int], least: list[int], width: int | None) -> list[int]:
    """Take from the last column first, as it holds the longest text; below their least only if nothing else helps."""
    over = 0 if width is None else sum(widths) + len(_GAP) * (len(widths) - 1) - width
    for floors in (least, [1] * len(widths)):
        for index in reversed(range(len(widths))):
            taken = max(0, min(over, widths[index] - floors[index]))
            widths[index] -= taken
            over -= taken
    return widths


def _line(cells: Sequence[Cell], widths: Sequence[int], colour: bool) -> str:
    parts = []
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        text = cut(cell.text, width)
        padding = " " * (width - width_of(text)) if index < len(cells) - 1 else ""
        parts.append((paint(text, cell.colour) if colour else text) + padding)
    return _GAP.join(parts).rstrip()
