"""A YAML block of the board as a merge sees it: its keys with the comments above them, and the lines that mux owns.

The value of `status` is cut out of its line, so that the line is a person's and the value is decided by its own rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from board.frontmatter import Block, Entry, Scalar, read_block
from board.merge_order import merge_order
from board.merge_text import lines, merge_remarks, newline

_SLOT = "\0"  # stands for the status; a board holds no such character
_LOOSE_MUX = re.compile(
    r"(?m)^([ \t]*)[\"']?mux\b[^\r\n]*(?:\r\n|\r|\n|\Z)(?:\1[ \t]+[^\r\n]*(?:\r\n|\r|\n|\Z)|[ \t]*(?:\r\n|\r|\n))*"
)
_LOOSE_STATUS = re.compile(r"(?m)^([ \t]*[\"']?status[\"']?[ \t]*:[ \t]*)([^\s#]+)")


@dataclass(frozen=True, slots=True)
class Chunk:
    """One key: the comments and blank lines above it, and its own lines."""

    above: str
    own: str


_NONE = Chunk("", "")


@dataclass(frozen=True, slots=True)
class Lines:
    """A block by its keys, in order. `mux` is always among them, without lines of its own where the block has none."""

    chunks: Mapping[str, Chunk]
    below: str
    status: str | None  # as written, quotes included; None when there is no such key
    indent: str

    @property
    def mux(self) -> str:
        return self.chunks["mux"].own

    @property
    def human(self) -> tuple[object, ...]:
        """All that is a person's."""
        own = tuple((name, chunk.above, "" if name == "mux" else chunk.own) for name, chunk in self.chunks.items())
        words = tuple(each for each in own if each[0] != "mux")
        return words, "".join(each[1] for each in own if each[0] == "mux") + self.below

    @property
    def text(self) -> str:
        return "".join(self._texts()) + self.below

    def _texts(self) -> Iterator[str]:
        for name, chunk in self.chunks.items():
            yield chunk.above
            yield chunk.own.replace(_SLOT, self.status or "") if name == "status" else chunk.own

    def owned(self, status: str | None, mux: str) -> Lines:
        """The same with these owned lines, written as the rest is."""
        mux = self._fitting(mux)
        chunks = {**self.chunks, "mux": replace(self.chunks["mux"], own=mux)}
        if status is None:
            chunks.pop("status", None)
        elif "status" not in chunks:
            chunks = {"status": Chunk("", f"{self.indent}status: {_SLOT}{newline(self.text or mux)}"), **chunks}
        return replace(self, chunks=chunks, status=status)

    def _fitting(self, mux: str) -> str:
        """The lines of `mux:` with this block's indentation and line breaks; byte for byte where they say the same."""
        if self.mux.split() == mux.split():
            return self.mux
        old = mux[: len(mux) - len(mux.lstrip(" "))]
        ending = newline(self.text) if self.text else newline(mux)
        return "".join(_moved(line, old, self.indent).rstrip("\r\n") + ending for line in lines(mux))


EMPTY = Lines({"mux": _NONE}, "", None, "")


def read_lines(yaml: str) -> Lines | None:
    """The block by its lines; None where lines do not tell: it cannot be read, or it is one `{...}`."""
    block = read_block(yaml)
    if block.problem or (block.root and block.root.flow):
        return None
    ending = newline(yaml)
    text = yaml if not yaml or yaml.endswith(("\n", "\r")) else yaml + ending
    chunks: dict[str, Chunk] = {}
    status, end = None, 0
    for entry in block.entries:
        start, stop = _line_start(text, entry.key.start), _next_line(text, max(entry.value.end, entry.key.end))
        own = text[start:stop]
        if entry.key.value == "status":
            own, status = _slotted(own, entry, start, ending)
        chunks[entry.key.value] = Chunk(text[end:start], own)
        end = stop
    below = text[end:]
    if "mux" not in chunks:
        chunks["mux"], below = Chunk(below, ""), ""
    return Lines(chunks, below, status, _indent(text, block))


def unfolded(yaml: str) -> str:
    """A `{...}` block with one key a line, so that it can be merged by its keys."""
    block = read_block(yaml)
    return "".join(f"{yaml[entry.key.start : entry.value.end]}\n" for entry in block.entries)


def loose_mux(yaml: str) -> str:
    """The lines of `mux:` in a block that cannot be read."""
    found = _LOOSE_MUX.search(yaml)
    return found[0] if found else ""


def loose_status(yaml: str) -> str | None:
    """The status in a block that cannot be read."""
    found = _LOOSE_STATUS.search(yaml)
    return found[2] if found else None


def with_loose(yaml: str, status: str | None, mux: str) -> str:
    """A block that cannot be read, with these owned lines as far as their places can be told."""
    if status is not None:
        yaml = _LOOSE_STATUS.sub(lambda found: found[1] + status, yaml, count=1)
    if _LOOSE_MUX.search(yaml):
        return _LOOSE_MUX.sub(lambda _: mux, yaml, count=1)
    gap = newline(mux) if yaml and mux and not yaml.endswith(("\n", "\r")) else ""
    return yaml + gap + mux


def merge_lines(
    base: Lines, theirs: Lines, ours: Lines, status: str | None, clash: Callable[[str, str, str], None]
) -> Lines:
    """Three ways, key by key; `mux` is ours, and the status is the given one. Of one key changed on both sides theirs
    is taken, and `clash` is told the key, what theirs has and what ours had."""
    indent = theirs.indent if theirs.indent != base.indent else ours.indent
    base, theirs, ours = (_indented(side, indent) for side in (base, theirs, ours))
    own: dict[str, str] = {}
    for name in {**theirs.chunks, **ours.chunks}:
        old, new, mine = (side.chunks.get(name, _NONE).own for side in (base, theirs, ours))
        taken = mine if new == old else new
        if name != "mux" and old != mine != new != old:
            clash(name, new, mine)
        if name == "status" and status is not None:
            taken = taken or mine or new
        if taken or name == "mux":
            own[name] = taken
    names = merge_order(list(base.chunks), list(theirs.chunks), list(ours.chunks), own)
    chunks = {name: Chunk(_above(name, base, theirs, ours), own[name]) for name in names}
    merged = Lines(chunks, merge_remarks(base.below, theirs.below, ours.below), None, indent)
    return merged.owned(status, ours.mux)


def _above(name: str, base: Lines, theirs: Lines, ours: Lines) -> str:
    new, mine = theirs.chunks.get(name), ours.chunks.get(name)
    if new is None or mine is None:
        return (new or mine or _NONE).above
    return merge_remarks(base.chunks.get(name, _NONE).above, new.above, mine.above)


def _indented(side: Lines, indent: str) -> Lines:
    if side.indent == indent or not side.text:
        return replace(side, indent=indent)

    def moved(text: str) -> str:
        return "".join(_moved(line, side.indent, indent) for line in lines(text))

    chunks = {name: Chunk(moved(chunk.above), moved(chunk.own)) for name, chunk in side.chunks.items()}
    return replace(side, chunks=chunks, below=moved(side.below), indent=indent)


def _moved(line: str, old: str, new: str) -> str:
    return new + line.removeprefix(old) if line.strip() and line.startswith(old) else line


def _slotted(own: str, entry: Entry, start: int, ending: str) -> tuple[str, str]:
    """The line of the status with its value cut out, and the value."""
    key, value = entry
    if not isinstance(value, Scalar) or value.style in ("|", ">") or not value.value.strip():
        return f"{own[: key.end - start]}: {_SLOT}{ending}", value.value.strip() if isinstance(value, Scalar) else ""
    written = own[value.start - start : value.end - start]
    return own[: value.start - start] + _SLOT + own[value.end - start :], written


def _indent(text: str, block: Block) -> str:
    return text[_line_start(text, block.root.start) : block.root.start] if block.root else ""


def _line_start(text: str, offset: int) -> int:
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def _next_line(text: str, offset: int) -> int:
    found = re.compile(r"\r\n|\r|\n").search(text, offset)
    return found.end() if found else len(text)
