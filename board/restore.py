"""Going back to an older version of the board: its words, with everything that is mux's as it is now. Pure."""

from __future__ import annotations

from board.merge_task import side, with_owned
from board.merge_text import newline
from board.model import Status
from board.sections import Kind, Section, sections

_BOM = "\ufeff"


def restored(old: str, now: str) -> str:
    """The text of `old` as an edit of the board in force, `now`.

    Statuses and the lines under `mux:` stay as they are now. A task that only `old` has comes back as `draft`, or as
    `done` if it was, and without mux's lines. What only `now` has goes; tasks that ran stay, at the end.
    """
    mine = _first_of_each(now)
    seen: set[str] = set()
    parts: list[str] = []
    for part in sections(old.removeprefix(_BOM)):
        current = mine.get(part.id) if part.kind is Kind.TASK and part.id not in seen else None
        seen.add(part.id)
        parts.append(_restored(part, mine.get("") if part.kind is Kind.FRONT else current))
    if "" in mine and "" not in _first_of_each(old):
        parts.insert(0, mine[""].text)
    ran = [part.text for name, part in mine.items() if name and name not in seen and side(part).mux.strip()]
    bom = _BOM if old.startswith(_BOM) else ""
    return bom + "".join(_spaced([*parts, *ran]) if ran else parts)


def _first_of_each(text: str) -> dict[str, Section]:
    """The tasks by their ids; the front matter is the one without."""
    found: dict[str, Section] = {}
    for part in sections(text.removeprefix(_BOM)):
        if part.kind is not Kind.PROSE:
            found.setdefault(part.id, part)
    return found


def _restored(part: Section, current: Section | None) -> str:
    if part.kind is Kind.PROSE:
        return part.text
    old = side(part)
    if current is not None:
        mine = side(current)
        return with_owned(old, mine.written, mine.mux)
    if part.kind is Kind.FRONT:
        return part.text
    word = Status.DONE if old.status == Status.DONE else Status.DRAFT
    return with_owned(old, None if old.written is None else str(word), "")


def _spaced(parts: list[str]) -> list[str]:
    """A section that was the last of its file has no blank line below it."""
    return [
        part if part.endswith(("\n\n", "\n\r\n")) else f"{part.rstrip()}{2 * newline(part)}" for part in parts[:-1]
    ] + parts[-1:]
