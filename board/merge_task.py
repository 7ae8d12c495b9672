"""Three-way merge of one section: its heading, its keys, its text, each by itself.

What only one side changed is taken from there byte for byte, with the lines that mux owns as the board has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from board import edit
from board.frontmatter import Scalar, read_block
from board.merge_block import (
    EMPTY,
    Chunk,
    Lines,
    loose_mux,
    loose_status,
    merge_lines,
    read_lines,
    unfolded,
    with_loose,
)
from board.merge_text import merge_text, merge_whole, newline
from board.model import Status
from board.parse import mux_values
from board.sections import Kind, Section, sections

_BLANK = " \t\r\n"
_UNLIKE = "\0unlike"  # as a base: equal to neither side

#: Takes one line for the journal, and whether it is about a conflict that stands in the file.
Say = Callable[[str, bool], None]


class Pieces(NamedTuple):
    """The texts of a section: joined, they are it. Prose has no yaml, and its heading is part of the body."""

    head: str  # the heading, and the fence that opens the yaml block
    yaml: str
    close: str  # the fence that closes it
    body: str  # without the blank lines around that end it
    gap: str  # those


@dataclass(frozen=True, slots=True)
class Side:
    """A section of one version, taken apart; what is read of it is read once."""

    section: Section
    pieces: Pieces
    lines: Lines | None  # None: its keys cannot be told apart by lines

    @property
    def status(self) -> str | None:
        """The status that counts, so `draft` where there is none; None where the block cannot be read."""
        block = read_block(self.pieces.yaml)
        entry = block.entry("status")
        if block.problem:
            return None
        return (entry.value.value.strip() if entry and isinstance(entry.value, Scalar) else "") or Status.DRAFT

    @property
    def written(self) -> str | None:
        """The status as it is written."""
        if self.lines:
            return self.lines.status
        entry = read_block(self.pieces.yaml).entry("status")
        return self.pieces.yaml[entry.value.start : entry.value.end] if entry else loose_status(self.pieces.yaml)

    @property
    def mux(self) -> str:
        """The lines of `mux:`."""
        if self.lines:
            return self.lines.mux
        unfolded_lines = _by_key(self.pieces.yaml)
        return unfolded_lines.mux if unfolded_lines else loose_mux(self.pieces.yaml)

    @property
    def human(self) -> tuple[object, ...]:
        """What a person wrote, whatever mux wrote since."""
        lines = self.lines or _by_key(self.pieces.yaml)
        return *_frame(self), lines.human if lines else self.pieces.yaml, self.pieces.body


def side(section: Section) -> Side:
    pieces = _pieces(section)
    return Side(section, pieces, read_lines(pieces.yaml) if section.kind is not Kind.PROSE else None)


def mended(theirs: Side, mux: str) -> Side:
    """A section that cannot be read, with the lines of `mux:` put back, where that is all it needs."""
    if not read_block(theirs.pieces.yaml).problem or theirs.section.kind is Kind.PROSE:
        return theirs
    yaml = with_loose(theirs.pieces.yaml, None, mux)
    return theirs if read_block(yaml).problem else _with_yaml(theirs, yaml)


def with_owned(theirs: Side, status: str | None, mux: str) -> str:
    """A section with these owned lines: the status as written (None: no such line) and the lines of `mux:`."""
    if theirs.lines:
        return _joined(theirs.pieces._replace(yaml=theirs.lines.owned(status, mux).text))
    block = read_block(theirs.pieces.yaml)
    if block.problem:
        return _joined(theirs.pieces._replace(yaml=with_loose(theirs.pieces.yaml, status, mux)))
    return _joined(theirs.pieces._replace(yaml=_owned_in_flow(theirs.pieces.yaml, status, mux)))


def merge_prose(base: Side | None, theirs: Side, ours: Side, say: Say) -> str:
    body = _merged_body(base, theirs, ours, ours.pieces, say)
    return body + _gap(base, theirs, ours)


def merge_task(base: Side | None, theirs: Side, ours: Side, status: str | None, say: Say) -> str:
    """The merged section; `status` is the one to write. Works on the front matter, too.

    With no base, what both have and is not the same is in conflict.
    """
    if base and base.human == ours.human:
        return with_owned(theirs, status, ours.mux) if base.human != theirs.human else _kept(ours, status, theirs, base)
    yaml = _merged_yaml(base, theirs, ours, status, say)
    head, close = _merged_frame(base, theirs, ours, say)
    frame = Pieces(head, yaml, close, "", "")
    rest = _merged_body(base, theirs, ours, frame, say) + _gap(base, theirs, ours)
    return head + yaml + _ended(close, rest, ours) + rest


def assumed(theirs: Side, ours: Side, seen: Sequence[Side]) -> Side:
    """A base for a save that has none. `seen`: the section in the board's history.

    What is not in the save is no deletion; what the board did not change in its history is the base; what the save has
    from that history is no edit.
    """
    frame = _assumed(_frame(theirs), _frame(ours), {_frame(each) for each in seen})
    lines = _assumed_lines(theirs, ours, seen)
    bodies = {each.pieces.body for each in seen}
    body = ours.pieces.body if bodies <= {ours.pieces.body} else _UNLIKE
    head, close = frame or (_UNLIKE, _UNLIKE)
    pieces = Pieces(head, lines.text, close, body, theirs.pieces.gap)
    return Side(ours.section, pieces, lines)


def _assumed(theirs: tuple[str, str], ours: tuple[str, str], seen: set[tuple[str, str]]) -> tuple[str, str] | None:
    if seen <= {ours}:
        return ours
    return theirs if theirs in seen else None


def _assumed_lines(theirs: Side, ours: Side, seen: Sequence[Side]) -> Lines:
    new, mine = (each.lines or _by_key(each.pieces.yaml) or EMPTY for each in (theirs, ours))
    before = [lines for each in seen if (lines := each.lines or _by_key(each.pieces.yaml))]
    chunks = {}
    for name in {**new.chunks, **mine.chunks}:
        was = {lines.chunks[name].own for lines in before if name in lines.chunks}
        chunks[name] = Chunk("", _assumed_key(_own(new, name), _own(mine, name), was))
    kept = {name: chunk for name, chunk in chunks.items() if chunk.own or name == "mux"}
    return Lines(kept, "", ours.written, new.indent)


def _assumed_key(theirs: str, ours: str, seen: set[str]) -> str:
    if not theirs or theirs in seen - {ours}:
        return theirs
    return ours if not ours or seen <= {ours} else _UNLIKE


def _own(lines: Lines, name: str) -> str:
    return lines.chunks[name].own if name in lines.chunks else ""


def _pieces(section: Section) -> Pieces:
    text = section.text
    if section.kind is Kind.PROSE or not section.yaml:
        return Pieces("", "", "", body := text.rstrip(_BLANK), text[len(body) :])
    start, end = section.yaml
    rest = text[section.prompt :]
    body = rest.rstrip(_BLANK)
    return Pieces(text[:start], text[start:end], text[end : section.prompt], body, rest[len(body) :])


def _joined(pieces: Pieces) -> str:
    return "".join(pieces)


def _with_yaml(of: Side, yaml: str) -> Side:
    pieces = of.pieces._replace(yaml=yaml)
    start = len(pieces.head)
    moved = len(yaml) - len(of.pieces.yaml)
    section = replace(
        of.section, text=_joined(pieces), yaml=(start, start + len(yaml)), prompt=of.section.prompt + moved
    )
    return Side(section, pieces, read_lines(yaml))


def _by_key(yaml: str) -> Lines | None:
    """The keys of a block that is one `{...}`; None where it cannot be read."""
    return None if read_block(yaml).problem else read_lines(unfolded(yaml))


def _owned_in_flow(yaml: str, status: str | None, mux: str) -> str:
    """A `{...}` block with these owned values: spliced as every write of mux is."""
    word = status.strip("'\"") if status is not None else None
    found = mux_values(read_block(mux).entry("mux")) if mux else {}
    values = {name: int(value) if value == _plain_number(value) else value for name, value in found.items()}
    change = edit.Change("x", Status(word) if word in set(Status) else None, values if mux or "mux" in yaml else None)
    return sections(edit.apply(f"## x: x\n~~~~~~~~~~yaml\n{yaml}~~~~~~~~~~\n", [change]))[0].yaml_text


def _plain_number(text: str) -> str | None:
    return str(int(text)) if text.isascii() and text.isdecimal() else None


def _kept(ours: Side, status: str | None, theirs: Side, base: Side) -> str:
    """Ours, with the status that a person ordered and the blank lines around it as they are in the save."""
    text = ours.section.text if status == ours.written else with_owned(ours, status, ours.mux)
    return text[: len(text) - len(ours.pieces.gap)] + _gap(base, theirs, ours)


def _gap(base: Side | None, theirs: Side, ours: Side) -> str:
    return ours.pieces.gap if base and base.pieces.gap == theirs.pieces.gap else theirs.pieces.gap


def _ended(close: str, rest: str, ours: Side) -> str:
    """The closing fence, on a line of its own: at the end of a file it may lack the line break."""
    return close + newline(ours.section.text) if rest and not close.endswith(("\n", "\r")) else close


def _merged_frame(base: Side | None, theirs: Side, ours: Side, say: Say) -> tuple[str, str]:
    old = _frame(base) if base else None
    if _frame(theirs) in (_frame(ours), old):
        return ours.pieces.head, ours.pieces.close
    if _frame(ours) != old and ours.section.heading != theirs.section.heading:
        say(f"the heading of the save is taken; the board had `{ours.section.heading}`", False)
    return theirs.pieces.head, theirs.pieces.close


def _frame(of: Side) -> tuple[str, str]:
    return of.pieces.head, of.pieces.close.rstrip("\r\n")


def _merged_yaml(base: Side | None, theirs: Side, ours: Side, status: str | None, say: Say) -> str:
    new, mine = (each.lines or _by_key(each.pieces.yaml) for each in (theirs, ours))
    old = (base.lines or _by_key(base.pieces.yaml) or EMPTY) if base else EMPTY
    if new is None:
        if base is None or theirs.pieces.yaml != base.pieces.yaml:
            say("the save's yaml block cannot be read and is shown as it is; the board's is in `mux history`", False)
            return with_loose(theirs.pieces.yaml, status, ours.mux)
        return ours.pieces.yaml
    if mine is None:
        if base and theirs.human == base.human:
            return ours.pieces.yaml
        say("the save's yaml block is taken, as the board's could not be read; that is in `mux history`", False)
        mine = new.owned(ours.written, ours.mux)

    def clash(name: str, theirs: str, ours: str) -> None:
        say(_clash(name, theirs, ours), False)

    merged = merge_lines(old, new, mine, status, clash).text
    if read_block(merged).problem:
        say("the save's keys are taken whole, as they do not fit the board's; those are in `mux history`", False)
        return new.owned(status, ours.mux).text
    return merged


def _clash(name: str, theirs: str, ours: str) -> str:
    new, mine = " ".join(theirs.split()), " ".join(ours.split())
    if not ours:
        return f"`{name}` is kept as the save has it, `{new}`; the board had removed it"
    if not theirs:
        return f"`{name}` is removed as in the save; the board had `{mine}`"
    return f"`{name}` is taken from the save, `{new}`; the board had `{mine}`"


def _merged_body(base: Side | None, theirs: Side, ours: Side, frame: Pieces, say: Say) -> str:
    new, mine = theirs.pieces.body, ours.pieces.body
    old = base.pieces.body if base and base.pieces.body != _UNLIKE else None
    if old is None and (not new or not mine):
        return new or mine
    body, conflict = merge_text(old, new, mine)
    front = frame.head + frame.yaml + frame.close if ours.section.kind is not Kind.PROSE else ""
    if body not in (new, mine) and _is_whole(theirs.section) and _is_whole(ours.section):
        merged = replace(ours.section, text=front + body + newline(ours.section.text))
        if not _is_whole(merged):
            body, conflict = merge_whole(new, mine), True
    if conflict:
        say("two saves changed the same lines; both versions stand there: keep what you want, delete the marks", True)
    return body


def _is_whole(section: Section) -> bool:
    """Does the section end where it should: nothing left open, and no heading that was none before?"""
    if section.kind is Kind.FRONT:
        return True
    found = sections(f"{section.text}\n\n# end\n")
    return len(found) == 2 and found[0].kind is section.kind and found[1].heading == "end"
