"""Level-1 and level-2 headings and fenced blocks of a text, exactly as CommonMark sees them, and fast.

A heading or a fence at column 0 closes every list, quote and paragraph before it, so the text after it can be read on
its own. A scanner finds those, and skips what cannot matter. Where a line's meaning depends on what is open around it
(a heading indented by a space, raw HTML, a setext underline), markdown-it-py reads that stretch, from the last place
where nothing was open to the next heading that it confirms. Lists nested deeper than `_NESTING` are not read further.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_NESTING = 100  # markdown-it's own limit of 20 drops all text after a list nested ten deep

# Every alternative begins with the line break before it: a literal first character makes the search several times
# faster than `^`.
_MARK = re.compile(
    r"""\n(?:
      (?P<atx>\#{1,6})(?=[ \t\n])
    | (?P<fence>`{3,}[^`\n]*|~{3,}[^\n]*)(?=\n)
    | (?P<comment><!--)
    | (?P<remark>[ ]{1,3}<!--[^\n]*-->)
    | (?P<inner>[ ]{1,3}(?:`{3,}[^`\n]*|~{3,}[^\n]*))(?=\n)
    | (?P<underline>[ ]{0,3}(?:=+|-+)[ \t]*)(?=\n)
    | (?P<unsure>[ ]{1,3}\#{1,2}(?=[ \t\n])|[ ]{0,3}<(?!https?:)[A-Za-z/!?])
    )""",
    re.VERBOSE,
)
_ATX_LINE = re.compile(r"\n#{1,6}(?=[ \t\n])[^\n]*")
_FENCE_LINE = re.compile(r"\n( {0,3})(`{3,}|~{3,})([^\n]*)")
_CLOSING_HASHES = re.compile(r"(?:^|[ \t]+)#+[ \t]*$")


@dataclass(frozen=True, slots=True)
class Heading:
    """A top-level heading of level 1 or 2. `end` is where the next line starts."""

    start: int
    end: int
    level: int
    title: str  # as written, without its marks


@dataclass(frozen=True, slots=True)
class Fence:
    """A top-level fenced block. `content` is what stands between its fences, as written (an indented fence's too)."""

    start: int
    end: int
    language: str  # first word after the opening fence, small letters
    content: tuple[int, int]
    closed: bool


Block = Heading | Fence


def blocks(text: str, start: int = 0) -> list[Block]:
    """The top-level headings (level 1 and 2) and fenced blocks of `text[start:]`, in order.

    A fence that is indented may be left out, unless it is the first thing after a heading or is never closed. Offsets
    are those of `text`, in characters. A line ends at LF, CR LF or CR.
    """
    scan = "\n" + normalise(text[start:]) + "\n"
    shift, limit = start - 1, len(text)
    return [_shifted(block, shift, limit) for block in _walk(scan)]


def normalise(text: str) -> str:
    """The text with LF as its only line break and every offset as it was: a CR before an LF becomes a space at the end
    of its line, which means nothing to CommonMark where headings and fences are concerned."""
    if "\r" not in text:
        return text
    return text.replace("\r\n", " \n").replace("\r", "\n")


def _shifted(block: Block, shift: int, limit: int) -> Block:
    start, end = block.start + shift, min(block.end + shift, limit)
    if isinstance(block, Heading):
        return Heading(start, end, block.level, block.title)
    content = (min(block.content[0] + shift, limit), min(block.content[1] + shift, limit))
    return Fence(start, end, block.language, content, block.closed)


def _walk(scan: str) -> Iterator[Block]:
    position = 0  # the line break before the next line to look at; the line before it is certain
    clean = 0  # a line break at which nothing is open
    while found := _MARK.search(scan, position):
        match found.lastgroup:
            case "atx":
                clean = position = scan.index("\n", found.end())
                if len(found["atx"]) <= 2:
                    yield _atx_heading(scan, found)
            case "fence" | "inner" if found.lastgroup == "fence" or not scan[clean : found.start()].strip(" \t\n"):
                fence = _fence(scan, found.start())
                yield fence
                clean = position = fence.end - 1
            case "comment":
                clean = position = _end_of_comment(scan, found.start())
            case "remark":
                position = scan.index("\n", found.end())
            case "underline" if _after_blank(scan, found.start(), position):
                position = found.start() + 1
            case "inner" if end := _plain_inner_fence(scan, found.start()):
                position = end
            case _:
                read, position = _ask(scan, clean, found.end())
                yield from read
                clean = position


def _atx_heading(scan: str, found: re.Match[str]) -> Heading:
    end = scan.index("\n", found.end())
    title = _CLOSING_HASHES.sub("", scan[found.end() : end].strip(" \t"))
    return Heading(found.start() + 1, end + 1, len(found["atx"]), title)


def _fence(scan: str, line_break: int) -> Fence:
    opening = _FENCE_LINE.match(scan, line_break)
    assert opening is not None
    words = opening[3].split(None, 1)
    language = words[0].lower() if words else ""
    closing = _closer(opening[2][0], len(opening[2])).search(scan, opening.end())
    start, inside = line_break + 1, opening.end() + 1
    if closing is None:
        return Fence(start, len(scan), language, (inside, len(scan)), False)
    return Fence(start, closing.end() + 1, language, (inside, closing.start() + 1), True)


@functools.cache
def _closer(mark: str, length: int, indent: str = " {0,3}") -> re.Pattern[str]:
    return re.compile(rf"\n{indent}{mark}{{{length},}}[ \t]*(?=\n)")


def _end_of_comment(scan: str, line_break: int) -> int:
    end = scan.find("-->", line_break)
    return len(scan) if end < 0 else scan.index("\n", end)


def _after_blank(scan: str, line_break: int, certain: int) -> bool:
    """Is the line before one that a `---` or `===` cannot underline: blank, a heading, the end of a fence?"""
    before = scan.rfind("\n", 0, line_break)
    return line_break == certain or before < 0 or not scan[before + 1 : line_break].strip(" \t")


def _plain_inner_fence(scan: str, line_break: int) -> int | None:
    """Where a fence indented by 1 to 3 spaces ends, if it ends alike in a list and outside of one; else None.

    It does if no line in it is indented less, and the first line that could close it is indented as its opening.
    """
    opening = _FENCE_LINE.match(scan, line_break)
    assert opening is not None
    closing = _closer(opening[2][0], len(opening[2]), "[ \t]*").search(scan, opening.end())
    if closing is None or len(closing[0]) - len(closing[0].lstrip()) - 1 != len(opening[1]):
        return None
    if "\t" in closing[0][: len(opening[1]) + 1]:
        return None
    less = re.compile(rf"\n(?! {{{len(opening[1])}}}|[ \t]*(?:\n|\Z))")
    return None if less.search(scan, opening.end(), closing.start()) else closing.end()


def _ask(scan: str, clean: int, mark: int) -> tuple[list[Block], int]:
    """The blocks that markdown-it sees after `clean`, and the line break before the last heading at column 0 after
    `mark` that it confirms. Windows double until there is one, so that all of it stays linear."""
    least = mark
    while True:
        last = _ATX_LINE.search(scan, least)
        stop = last.end() if last else len(scan)
        found, sure = _read_with_markdown_it(scan, clean, stop)
        if last is None:
            return found, len(scan)
        if sure is not None:
            return [block for block in found if block.start <= sure], sure
        least = clean + 2 * (stop - clean)


def _read_with_markdown_it(scan: str, clean: int, stop: int) -> tuple[list[Block], int | None]:
    """Headings and fences in scan[clean + 1:stop], and the line break before the last heading at column 0."""
    window = scan[clean + 1 : stop]
    starts = [clean + 1]
    starts.extend(clean + 2 + found.start() for found in re.finditer("\n", window))
    starts.append(stop + 1)
    found: list[Block] = []
    sure = None
    tokens = _markdown_it()(window)
    for index, token in enumerate(tokens):
        if token.level or token.type not in ("heading_open", "fence"):
            continue
        start, end = starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)]
        if token.type == "fence":
            found.append(_fence(scan, start - 1))
        else:
            sure = start - 1 if _ATX_LINE.match(scan, start - 1) else sure
            if token.tag in ("h1", "h2"):
                found.append(Heading(start, end, int(token.tag[1]), " ".join(tokens[index + 1].content.split("\n"))))
    return found, sure


@functools.cache
def _markdown_it() -> Callable[[str], list[Any]]:
    from markdown_it import MarkdownIt  # late: half the start-up time of a fast command

    reader = MarkdownIt("commonmark", {"maxNesting": _NESTING})
    reader.core.ruler.enableOnly(["normalize", "block"])
    return reader.parse
