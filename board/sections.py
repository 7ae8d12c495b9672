"""The lossless split of a board's text: front matter, prose and tasks. Edits and merges are built on it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, pairwise

from board.frontmatter import line_of
from board.markdown import Block, Fence, Heading, blocks
from board.model import TASK_ID

_YAML = ("yaml", "yml")
_COLUMN_0 = re.compile(r"#{1,2}[ \t\r\n]")  # not `#1` with an underline, which needs the line below
_FRONT_OPENING = re.compile(r"\ufeff?---[ \t]*(?:\r\n|\r|\n|\Z)")
_FRONT_CLOSING = re.compile(r"(?<=[\r\n])---[ \t]*(?:\r\n|\r|\n|\Z)")


class Kind(StrEnum):
    FRONT = "front"
    PROSE = "prose"
    TASK = "task"


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the board's text. `yaml`, `prompt` and `unclosed` are character offsets within `text`.

    A section of prose begins with a level-1 or level-2 heading that is no task's, or where the file or the front matter
    leaves off. With `yaml` set, prose is a heading with a yaml block but without a proper id. A section does not know
    where it stands in the file (`first_lines` does), so that one that did not change is used again as it is.
    """

    kind: Kind
    text: str
    lines: int  # how many line breaks it holds
    level: int = 0  # of the heading it begins with; 0: none
    heading: str = ""  # as written, without its marks
    id: str = ""
    title: str = ""
    yaml: tuple[int, int] | None = None  # what stands between the fences, or between the `---` of the front matter
    prompt: int = 0  # where the text after the yaml block starts
    unclosed: int | None = None  # a fence that is never closed: everything after it is its text

    @property
    def yaml_text(self) -> str:
        return self.text[slice(*self.yaml)] if self.yaml else ""

    def line_at(self, offset: int) -> int:
        """Lines between the section's first line and the line of an offset."""
        return line_of(self.text, offset)


#: The last split. Any earlier split makes the next one faster, and none can make it wrong.
_recent: list[tuple[Section, ...]] = [()]


@functools.lru_cache(maxsize=4)
def sections(text: str) -> tuple[Section, ...]:
    """Split a board. The texts of all sections, joined, are the file again."""
    front = _front_matter(text)
    start = len(front.text) if front else 0
    old = [part for part in _recent[0] if part.kind is not Kind.FRONT]
    rest = _like(text, start, old) or tuple(_split(text, start, len(text)))
    _recent[0] = (front, *rest) if front else rest
    return _recent[0]


def first_lines(parts: Sequence[Section]) -> list[int]:
    """The line in the file, 1-based, of each section's first line."""
    return list(accumulate((part.lines for part in parts[:-1]), initial=1)) if parts else []


def opens_front_matter(text: str) -> bool:
    """Is the first line `---`?"""
    return _FRONT_OPENING.match(text) is not None


def _split(text: str, start: int, stop: int) -> Iterator[Section]:
    """Sections of text[start:stop]; nothing is open at `start`."""
    window = text if stop == len(text) else text[:stop]
    # Headings stand after the BOM, if there is one and no front matter took it.
    found = blocks(window, start + (start == 0 and text.startswith("\ufeff")))
    return (_section(text, first, end, inside) for first, end, inside in _cut(window, start, found))


def _like(text: str, start: int, old: Sequence[Section]) -> tuple[Section, ...] | None:
    """Split text[start:] where it differs from an older board only; None where all of it must be read.

    Up to a heading at column 0, a board reads as it did if its text is the same; from one that is confirmed, too.
    """
    head, offset = _same_head(text, start, old)
    tail, stop = _same_tail(text, offset, old[head:])
    if not tail:
        return None
    heading_end = stop + len(tail[0].text.partition("\n")[0]) + 1
    middle = list(_split(text, offset, min(heading_end, len(text))))
    if not middle or offset + sum(len(part.text) for part in middle[:-1]) != stop or not middle[-1].level:
        return None
    return (*old[:head], *middle[:-1], *tail)


def _same_head(text: str, start: int, old: Sequence[Section]) -> tuple[int, int]:
    """How many sections are as they were, and where they end. The last that is equal is not one of them: what follows
    it may belong to it now."""
    sure, sure_end, offset = 0, start, start
    for index, part in enumerate(old):
        if not part.text.endswith("\n") or not text.startswith(part.text, offset):
            break
        if _COLUMN_0.match(part.text):
            sure, sure_end = index, offset
        offset += len(part.text)
    return sure, sure_end


def _same_tail(text: str, start: int, old: Sequence[Section]) -> tuple[Sequence[Section], int]:
    """The sections at the end that are as they were, from one with a heading at column 0 on; and where they start."""
    first, first_start, end = len(old), len(text), len(text)
    for index in range(len(old) - 1, -1, -1):
        part = old[index]
        if end - len(part.text) < start or not text.startswith(part.text, end - len(part.text)):
            break
        end -= len(part.text)
        if _COLUMN_0.match(part.text):
            first, first_start = index, end
    return old[first:], first_start


def _front_matter(text: str) -> Section | None:
    opening = _FRONT_OPENING.match(text)
    closing = _FRONT_CLOSING.search(text, opening.end()) if opening else None
    if not opening or not closing:
        return None
    yaml = (opening.end(), closing.start())
    return Section(Kind.FRONT, text[: closing.end()], _breaks(text[: closing.end()]), yaml=yaml, prompt=closing.end())


def _cut(text: str, start: int, found: list[Block]) -> Iterator[tuple[int, int, list[Block]]]:
    """Start, end and blocks of each stretch."""
    heads = [index for index, block in enumerate(found) if isinstance(block, Heading)]
    first = found[heads[0]].start if heads else len(text)
    if first > start:
        yield start, first, found[: heads[0]] if heads else found
    for here, following in pairwise([*heads, len(found)]):
        end = found[following].start if following < len(found) else len(text)
        yield found[here].start, end, found[here:following]


def _section(text: str, start: int, end: int, inside: list[Block]) -> Section:
    last = inside[-1] if inside else None
    unclosed = last.start - start if isinstance(last, Fence) and not last.closed else None
    own = text[start:end]
    lines = _breaks(own)
    if not inside or not isinstance(inside[0], Heading):
        return Section(Kind.PROSE, own, lines, unclosed=unclosed)
    head, block = inside[0], inside[1] if len(inside) > 1 else None
    if not isinstance(block, Fence) or block.language not in _YAML or text[head.end : block.start].strip():
        return Section(Kind.PROSE, own, lines, head.level, head.title, unclosed=unclosed)
    written, colon, title = head.title.partition(":")
    task = head.level == 2 and colon and TASK_ID.match(written)
    return Section(
        kind=Kind.TASK if task else Kind.PROSE,
        text=own,
        lines=lines,
        level=head.level,
        heading=head.title,
        id=written if task else "",
        title=title.strip() if task else "",
        yaml=(block.content[0] - start, block.content[1] - start) if head.level == 2 else None,
        prompt=block.end - start,
        unclosed=unclosed,
    )


def _breaks(text: str) -> int:
    return line_of(text, len(text))
