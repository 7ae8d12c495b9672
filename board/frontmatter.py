"""YAML blocks of the board, read to nodes that know where in the text they stand.

libyaml (through ruamel.yaml's C parser) gives the events; what a plain scalar means follows YAML 1.2, so that `yes` and
`on` are words. Tags, anchors and several documents are refused: nobody needs them on a board, and an edit that splices
lines could not keep them right. One block has at most one problem: the first.
"""

from __future__ import annotations

import functools
import re
from typing import Any, NamedTuple

_DEPTH = 20
# Characters that YAML refuses, or that it takes for a line break where editors do not (NEL, LS, PS), and the BOM.
_INVISIBLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_INT = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Scalar(NamedTuple):
    start: int
    end: int  # without the line break that ends a block scalar
    value: str
    style: str = ""  # as written: plain is "", else ' " | or >


class List(NamedTuple):
    start: int
    end: int
    items: tuple[Node, ...]
    flow: bool


class Map(NamedTuple):
    start: int
    end: int
    entries: tuple[Entry, ...]
    flow: bool


class Entry(NamedTuple):
    key: Scalar
    value: Node


Node = Scalar | List | Map


class Block(NamedTuple):
    """A YAML block. `root` is None where it holds nothing but comments; with a `problem` nothing else is given."""

    root: Map | None = None
    problem: tuple[int, str] | None = None  # offset in the block, and what to do about it

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self.root.entries if self.root else ()

    def entry(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key.value == name), None)


class _Refused(Exception):
    """Private: leaves the recursion with the block's problem."""

    def __init__(self, offset: int, text: str) -> None:
        super().__init__(text)
        self.offset, self.text = offset, text


@functools.lru_cache(maxsize=16384)
def read_block(text: str) -> Block:
    """Read the text of one block. Never raises: what cannot be read is the block's `problem`."""
    from ruamel.yaml.error import MarkedYAMLError

    try:
        return Block(root=_read(text))
    except _Refused as refused:
        return Block(problem=(_on_text(text, refused.offset), refused.text))
    except MarkedYAMLError as error:
        offset, explained = _explain(text, error)
        return Block(problem=(_on_text(text, offset), explained))


def plain_value(node: Scalar) -> str | int | float | bool | None:
    """What a scalar means by the core schema of YAML 1.2."""
    text = node.value
    if node.style:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text in _WORDS_BOOL:
        return _WORDS_BOOL[text]
    if _INT.match(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.match(text):
        return float(text.replace(".inf", "inf").replace(".nan", "nan")) if "n" in text.lower() else float(text)
    return text


def as_python(node: Node) -> Any:
    """The plain Python value of a node."""
    match node:
        case Scalar():
            return plain_value(node)
        case List():
            return [as_python(item) for item in node.items]
        case Map():
            return {key.value: as_python(value) for key, value in node.entries}


def line_of(text: str, offset: int) -> int:
    """0-based line of an offset; a line ends at LF, CR LF or CR."""
    before = text[:offset]
    return before.count("\n") + before.count("\r") - before.count("\r\n")


def _read(text: str) -> Map | None:
    from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]

    if hidden := _INVISIBLE.search(text):
        code = f"U+{ord(hidden[0]):04X}"
        raise _Refused(hidden.start(), f"an invisible character ({code}) stands on this line: remove it")
    parser = CParser(text)
    events = iter(parser.get_event, None)
    next(events)  # start of the stream
    first = next(events)
    if type(first).__name__ == "StreamEndEvent":
        return None
    if first.explicit:
        raise _Refused(first.start_mark.index, "`---` or `%` has no place inside the block: remove the line")
    root = _compose(text, parser, next(events), 0)
    last = next(events)
    if last.explicit or type(next(events)).__name__ != "StreamEndEvent":
        raise _Refused(last.end_mark.index, "`---` or `...` has no place inside the block: remove the line")
    if not isinstance(root, Map):
        raise _Refused(root.start, "this is not a list of keys: write `key: value` lines, for example `status: draft`")
    return root


def _compose(text: str, parser: Any, event: Any, depth: int) -> Node:
    kind, start, end = type(event).__name__, event.start_mark.index, event.end_mark.index
    if kind == "AliasEvent" or event.anchor:
        raise _Refused(start, "`&` and `*` (anchors) are not supported: write the value out, or put it in quotes")
    if event.tag and event.tag != "!":
        raise _Refused(start, "`!` (a tag) is not supported: remove it, or put the value in quotes")
    if kind == "ScalarEvent":
        if event.style in ("|", ">"):
            end = start + len(text[start:end].rstrip())
        return Scalar(start, end, event.value, event.style)
    if depth == _DEPTH:
        raise _Refused(start, f"values are nested more than {_DEPTH} deep")
    build = _compose_map if kind == "MappingStartEvent" else _compose_list
    return build(text, parser, event, depth)


def _compose_list(text: str, parser: Any, opening: Any, depth: int) -> List:
    items = []
    while type(event := parser.get_event()).__name__ != "SequenceEndEvent":
        items.append(_compose(text, parser, event, depth + 1))
    end = event.end_mark.index if opening.flow_style else items[-1].end
    return List(opening.start_mark.index, end, tuple(items), opening.flow_style)


def _compose_map(text: str, parser: Any, opening: Any, depth: int) -> Map:
    entries: dict[str, Entry] = {}
    while type(event := parser.get_event()).__name__ != "MappingEndEvent":
        key = _compose(text, parser, event, depth + 1)
        value = _compose(text, parser, parser.get_event(), depth + 1)
        if not isinstance(key, Scalar) or _is_odd_key(text, key, value):
            raise _Refused(key.start, "this is no `key: value`: write the key as one word, a colon and its value")
        if earlier := entries.get(key.value):
            line = line_of(text, key.start) - line_of(text, earlier.key.start)
            where = f"{line} {'line' if line == 1 else 'lines'} above" if line else "on the same line"
            raise _Refused(key.start, f"the key '{key.value}' is given twice, first {where}: keep one of the two")
        entries[key.value] = Entry(key, value)
    ordered = tuple(entries.values())
    end = event.end_mark.index if opening.flow_style else ordered[-1].value.end
    return Map(opening.start_mark.index, end, ordered, opening.flow_style)


def _is_odd_key(text: str, key: Scalar, value: Node) -> bool:
    """`? key`, or a key without a colon in a flow mapping: YAML, but nothing that lines could be spliced into."""
    line_start = max(text.rfind("\n", 0, key.start), text.rfind("\r", 0, key.start)) + 1
    return text[line_start : key.start].rstrip().endswith("?") or ":" not in text[key.end : value.start]


def _on_text(text: str, offset: int) -> int:
    """libyaml finds many mistakes at the end of the block: point at the last line that holds something."""
    return max(0, min(offset, len(text.rstrip()) - 1))


def _explain(text: str, error: Any) -> tuple[int, str]:
    """libyaml's words in a person's, and the place where a person would look."""
    at = error.problem_mark.index
    opened = error.context_mark.index if error.context_mark else at
    if _has_tab(text, at):
        return at, "a tab indents this line: YAML allows only spaces there"
    for words, place, explained in _EXPLANATIONS:
        if words in f"{error.context or ''}: {error.problem}":
            return (opened if place == "opened" else at), explained.format(text[at : at + 1])
    return at, "this line is not valid YAML: write `key: value`, and put a value with special characters in quotes"


def _has_tab(text: str, at: int) -> bool:
    line_start = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    margin = text[line_start : at + 1]
    return not margin.strip(" \t") and "\t" in margin


_EXPLANATIONS = (
    ("quoted scalar: found unexpected end", "opened", "a quote is opened here and never closed"),
    ("found unexpected ':'", "at", "a value that holds `:` inside [ ] or {{ }} needs quotes"),
    ("unknown escape character", "at", "a `\\` in double quotes begins an escape: use single quotes, or write `\\\\`"),
    ("cannot start any token", "at", "a value cannot begin with {0}: put it in quotes"),
    ("mapping values are not allowed", "at", "a `:` is not expected here: put a value that holds `: ` in quotes"),
    ("could not find expected ':'", "opened", "this line has no `:`: write `key: value`"),
    ("flow sequence", "opened", "a `[` is opened here and not closed, or a comma is missing"),
    ("flow mapping", "opened", "a `{{` is opened here and not closed, or a comma is missing"),
    ("flow node", "at", "a `[` or `{{` is not closed, or a value is missing"),
    ("did not find expected key", "at", "the indentation does not fit the lines above, or a value needs quotes"),
    ("did not find expected '-' indicator", "at", "the indentation does not fit the list above"),
)
