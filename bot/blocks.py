"""Slack's blocks, and how much fits into them. Pure.

`text` is somebody's words and stands in `plain_text`; `markup` is mux's own, with what is in it escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from board.redact_text import truncate
from bot.posts import Block, Blocks

#: What Slack takes, in characters and pieces.
BLOCKS_IN_MESSAGE = 50
SECTION = 3000
HEADER = 150
BUTTON = 75
VALUE = 2000
NAME = 255
BUTTONS_IN_BLOCK = 25
CONFIRM_TITLE, CONFIRM_TEXT, CONFIRM_BUTTON = 100, 300, 30
MODAL_TITLE = 24
ALL_TEXT = 13_000
#: The `text` of a message; an edit takes no more than 4,000.
FALLBACK = 300

#: What a listing may take of a message: beside it stand a heading and a few lines of mux's own.
LISTING = 10_500
_HEADING = 80  # characters kept free for each group's heading, and for how many more there are
_ONE_LINE = 160


@dataclass(frozen=True, slots=True)
class Group:
    """Lines under a heading of mux's own; `lines` are somebody's words, the most important first."""

    heading: str
    lines: Sequence[str]


def plain_text(text: str, limit: int) -> Mapping[str, Any]:
    """Slack refuses an empty one."""
    return {"type": "plain_text", "text": truncate(text, limit) or "–"}


def markup_text(markup: str) -> Mapping[str, Any]:
    """`verbatim`: Slack looks for no addresses and names in it by itself."""
    return {"type": "mrkdwn", "text": markup, "verbatim": True}


def header(text: str) -> Block:
    return {"type": "header", "text": plain_text(text, HEADER)}


def words(text: str) -> Block:
    return {"type": "section", "text": plain_text(text, SECTION)}


def markup(text: str) -> Block:
    return {"type": "section", "text": markup_text(text)}


def small(text: str) -> Block:
    """Mark-up in small grey letters."""
    return {"type": "context", "elements": [markup_text(text)]}


def button(
    label: str, action: str, value: str, style: str | None = None, confirm: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """`style`: `primary`, `danger`, or none. Raises ValueError for an id or a value that Slack would not take."""
    if not 0 < len(action) <= NAME or not 0 < len(value) <= VALUE:
        raise ValueError(f"a button's id has {len(action)} characters, its value {len(value)}")
    made: dict[str, Any] = {"type": "button", "text": plain_text(label, BUTTON), "action_id": action, "value": value}
    return made | ({"style": style} if style else {}) | ({"confirm": confirm} if confirm else {})


def confirm(title: str, text: str, yes: str, no: str = "Cancel") -> Mapping[str, Any]:
    return {
        "title": plain_text(title, CONFIRM_TITLE),
        "text": plain_text(text, CONFIRM_TEXT),
        "confirm": plain_text(yes, CONFIRM_BUTTON),
        "deny": plain_text(no, CONFIRM_BUTTON),
        "style": "danger",
    }


def actions(buttons: Sequence[Mapping[str, Any]]) -> Blocks:
    """None without buttons: an empty block is refused."""
    return ({"type": "actions", "elements": list(buttons[:BUTTONS_IN_BLOCK])},) if buttons else ()


def listing(groups: Iterable[Group], room: int = LISTING) -> Blocks:
    """The groups that have lines, in their order. What there is no room for is counted; each group has its share."""
    full = [
        Group(group.heading, [truncate(line, _ONE_LINE) for line in group.lines]) for group in groups if group.lines
    ]
    needs = [sum(len(line) + 1 for line in group.lines) for group in full]
    blocks: list[Block] = []
    for group, share in zip(full, _shares(needs, room - _HEADING * len(full)), strict=True):
        shown: list[str] = []
        for line in group.lines:
            if (share := share - len(line) - 1) < 0:
                break
            shown.append(line)
        more = len(group.lines) - len(shown)
        blocks.append(markup(f"*{group.heading}* ({len(group.lines)})"))
        blocks += map(words, _packed([*shown, *([f"and {more} more"] if more else [])]))
    return tuple(blocks)


def _shares(needs: Sequence[int], room: int) -> list[int]:
    """How much of the room each gets: what it needs, or as much as everybody who needs more gets."""
    shares = [0] * len(needs)
    for before, index in enumerate(sorted(range(len(needs)), key=lambda index: needs[index])):
        shares[index] = min(needs[index], room // (len(needs) - before))
        room -= shares[index]
    return shares


def text_of(blocks: Sequence[Block]) -> int:
    """How many characters the blocks hold."""
    return sum(map(_length, blocks))


def _packed(lines: Iterable[str]) -> list[str]:
    """The lines in as few sections as they take."""
    packed = [""]
    for line in lines:
        longer = f"{packed[-1]}\n{line}" if packed[-1] else line
        if len(longer) > SECTION:
            packed.append(line)
        else:
            packed[-1] = longer
    return packed


def _length(node: Any) -> int:
    if isinstance(node, Mapping):
        own = node.get("text")
        return (len(own) if isinstance(own, str) else 0) + sum(map(_length, node.values()))
    return sum(map(_length, node)) if isinstance(node, list | tuple) else 0
