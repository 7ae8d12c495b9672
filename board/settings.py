"""Settings from the keys of a block: read, checked, and with the nearest key suggested for an unknown one.

`python -m board.settings` prints the table of keys for docs/board-format.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, Literal, NamedTuple

from board import values
from board.frontmatter import Entry, Node, Scalar
from board.keys import BY_NAME, KEYS, Key, Place
from board.model import PERSON_STATUSES, BoardSettings, Status, TaskSettings


class Found(NamedTuple):
    """A problem in a block, before it has a line: `offset` is where it stands in the block."""

    offset: int
    text: str
    severity: Literal["error", "warning"] = "error"


_TASK_FIELDS = frozenset(field.name for field in fields(TaskSettings))
_BOARD_FIELDS = frozenset(field.name for field in fields(BoardSettings))


def read_keys(entries: Iterable[Entry], place: Place) -> tuple[dict[str, Any], list[Found]]:
    """The values of the known keys in a block, and what is wrong with the others.

    `mux` and a task's `status` have readers of their own.
    """
    read: dict[str, Any] = {}
    found: list[Found] = []
    for entry in entries:
        name = entry.key.value
        if name == "mux" or (name == "status" and place is Place.TASK):
            continue
        key = BY_NAME.get(name)
        if key is None or key.place not in (place, Place.BOTH):
            found.append(Found(entry.key.start, _misplaced(name, key, place)))
            continue
        try:
            read[name] = key.read(entry.value)
        except values.NotOne as wrong:
            found.append(Found(entry.value.start, str(wrong) or _expected(key, entry.value)))
        if not key.works:
            found.append(Found(entry.key.start, f"`{name}` has no effect in this version", "warning"))
    return read, found


def board_settings(read: Mapping[str, Any]) -> BoardSettings:
    """The board's settings from the values of its front matter."""
    own = {name: value for name, value in read.items() if name in _BOARD_FIELDS}
    shared = {name: value for name, value in read.items() if name in _TASK_FIELDS}
    return BoardSettings(**own, defaults=TaskSettings(**shared))


def task_settings(read: Mapping[str, Any], defaults: TaskSettings) -> TaskSettings:
    """A task's settings: its own values over the board's. Its environment is added to the board's."""
    own = {name: value for name, value in read.items() if name in _TASK_FIELDS}
    if "env" in own and defaults.env:
        own["env"] = {**defaults.env, **own["env"]}
    return replace(defaults, **own) if own else defaults


def read_status(node: Node | None) -> tuple[Status, str, str | None]:
    """The status, the word as written when it is not a known one, and what is wrong with it."""
    if node is None:
        return Status.DRAFT, "", None
    written = node.value.strip() if isinstance(node, Scalar) else ""
    if written in _STATUS_WORDS:
        return Status(written), "", None
    known = ", ".join(status for status in Status if status in PERSON_STATUSES)
    if not written:
        return Status.DRAFT, "", f"`status` must be one word: write {known}"
    return Status.DRAFT, written, _unknown("status", written, _STATUS_WORDS, f"you write {known}")


_STATUS_WORDS = frozenset(str(status) for status in Status)


def unknown_agent(name: str, known: Collection[str]) -> str | None:
    """What to say of an agent that has no profile; None for one that has."""
    if name in known:
        return None
    return _unknown("agent", name, known, f"known are {', '.join(sorted(known))}")


def _unknown(what: str, name: str, known: Collection[str], otherwise: str) -> str:
    return f"unknown {what} '{name}'{values.nearest(name, known) or f': {otherwise}'}"


def _misplaced(name: str, key: Key | None, place: Place) -> str:
    if key is None:
        allowed = [each.name for each in KEYS if each.place in (place, Place.BOTH)]
        return f"unknown key '{name}'{values.nearest(name, allowed) or ': remove it, or see docs/board-format.md'}"
    if place is Place.BOARD:
        return f"`{name}` belongs to a task: move it from the front matter into the task's yaml block"
    return f"`{name}` belongs to the whole board: move it into the front matter at the top of the file"


def _expected(key: Key, node: Node) -> str:
    empty = isinstance(node, Scalar) and not node.value.strip()
    return f"`{key.name}`{' is empty: it' if empty else ''} must be {key.type}, for example `{key.name}: {key.example}`"


def as_table() -> str:
    """All keys as a Markdown table."""
    rows = ["| key | where | type | default | meaning |", "| --- | --- | --- | --- | --- |"]
    for key in KEYS:
        meaning = key.meaning if key.works else f"{key.meaning} (no effect in this version)"
        type_ = f"{key.type}, `{key.example}`"
        rows.append(f"| `{key.name}` | {key.place} | {type_} | {key.default} | {meaning} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(as_table(), end="")
