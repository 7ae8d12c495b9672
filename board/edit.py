"""Changes to the board's text that touch only the lines they own. Pure: text in, text out.

Everything but the value of `status`, the `mux:` key of a task and `mux: rev` of the front matter stays byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from board.errors import MuxError
from board.frontmatter import Block, Entry, Map, Scalar, plain_value, read_block
from board.model import TASK_ID, Status
from board.parse import mux_values
from board.sections import Kind, Section, first_lines, sections
from board.values import nearest

MuxValues = Mapping[str, str | int]
_PLAIN = re.compile(r"[A-Za-z0-9_./+(][^\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]*\Z")
_SPECIAL = re.compile(r": |:\Z| #|\s\Z|[\[\]{},]")
_FLOW_SPECIAL = re.compile(rf"{_SPECIAL.pattern}|[:?]")  # libyaml refuses these inside { } where YAML 1.2 does not
_UNPRINTABLE = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]")
_HEADER = re.compile(r"[|>][-+0-9]*")


@dataclass(frozen=True, slots=True)
class Change:
    """What mux writes about one task. None leaves the status, or the whole `mux:` key, as it is."""

    task: str
    status: Status | None = None
    mux: MuxValues | None = None


@dataclass(frozen=True, slots=True)
class _Splice:
    start: int
    end: int
    text: str


def apply(text: str, changes: Sequence[Change], rev: int | None = None) -> str:
    """The board with the changes in it, and with `mux.rev` of the front matter set to `rev`.

    A task that is not on the board, or whose yaml block cannot be read, is left as it is: parsing says so. Of two tasks
    with one id the first is changed. A front matter that cannot be read stays as it is, too.
    """
    by_task = {change.task: change for change in changes}
    parts = sections(text)
    edited = []
    for part in parts:
        change = by_task.pop(part.id, None) if part.kind is Kind.TASK else None
        edited.append(_changed(part, change.status, change.mux) if change else part.text)
    if rev is not None:
        front = parts[0] if parts and parts[0].kind is Kind.FRONT else None
        if front:
            edited[0] = _with_rev(front, rev)
        else:
            edited = [_new_front(text, rev), *_without_bom(edited)]
    return "".join(edited)


def set_status(text: str, task: str, word: Status) -> str:
    """A person's order through a command. Raises MuxError when the task is missing or its yaml block is broken."""
    parts = sections(text)
    placed = reversed(list(zip(parts, first_lines(parts), strict=True)))  # of two with one id, the first
    own = {part.id: (part, line) for part, line in placed if part.id}
    if task not in own:
        raise MuxError(f"no task '{task}' on the board{nearest(task, own)}")
    part, first = own[task]
    if problem := read_block(part.yaml_text).problem:
        assert part.yaml is not None
        line = first + part.line_at(part.yaml[0] + problem[0])
        raise MuxError(f"the yaml block of '{task}' cannot be read (line {line}): {problem[1]}")
    return apply(text, [Change(task, word)])


def append_task(text: str, task: str, title: str, body_yaml: str, prompt: str) -> str:
    """The board with one more task at its end. Raises MuxError where the result would not be exactly that task."""
    if not TASK_ID.match(task):
        raise MuxError(f"'{task}' is no task id: use small letters, digits and -, at most 48")
    before = [part.id for part in sections(text) if part.kind is Kind.TASK]
    if task in before:
        raise MuxError(f"the task '{task}' is on the board already: choose another id")
    heading = f"## {task}: {' '.join(title.split())}".rstrip()
    body = "".join(f"{line}\n" for line in body_yaml.splitlines())
    words = prompt.replace("\r\n", "\n").strip("\n")
    added = f"{heading}\n\n```yaml\n{body}```\n" + (f"\n{words}\n" if words else "")
    newline = _newline(text)
    gap = "" if not text.lstrip("\ufeff") else newline * (1 if text.endswith(("\n", "\r")) else 2)
    result = text + gap + added.replace("\n", newline)
    parts = sections(f"{result}# end\n")  # a heading after it: nothing that the prompt opens may stay open
    ids = [part.id for part in parts if part.kind is Kind.TASK]
    if ids != [*before, task] or parts[-1].heading != "end" or parts[-2].id != task:
        raise MuxError(_why_not_appended(text))
    return result


def remove_tasks(text: str, ids: Collection[str]) -> tuple[str, str]:
    """The board without these tasks, and their sections as they stood. Raises MuxError where the rest would read
    differently without them."""
    gone = frozenset(ids)
    parts = sections(text)
    kept = [part for part in parts if part.kind is not Kind.TASK or part.id not in gone]
    left = "".join(part.text for part in kept)
    if [(part.kind, part.heading) for part in sections(left)] != [(part.kind, part.heading) for part in kept]:
        raise MuxError("the sections cannot be removed: the text around them would run together. Remove them by hand")
    return left, "".join(part.text for part in parts if part.kind is Kind.TASK and part.id in gone)


def _why_not_appended(text: str) -> str:
    parts = sections(text)
    if parts and parts[-1].unclosed is not None:
        line = first_lines(parts)[-1] + parts[-1].line_at(parts[-1].unclosed)
        return f"the code fence opened on line {line} of the board is never closed: close it first"
    return "the task would not be read back as one: use ### for headings in its prompt, and close fences and comments"


def _changed(part: Section, status: Status | None, mux: MuxValues | None) -> str:
    """The section with its status set, then with its `mux:` key set."""
    if part.unclosed is not None and part.yaml and part.unclosed < part.yaml[0]:
        return part.text
    if status is not None:
        part = _spliced(part, _status_splices(part.yaml_text, read_block(part.yaml_text), status, _newline(part.text)))
    if mux is not None:
        part = _spliced(part, _mux_splices(part.yaml_text, read_block(part.yaml_text), mux, _newline(part.text)))
    return part.text


def _spliced(part: Section, splices: Sequence[_Splice]) -> Section:
    if not splices or not part.yaml:
        return part
    yaml = part.yaml_text
    for splice in sorted(splices, key=lambda splice: splice.start, reverse=True):
        yaml = yaml[: splice.start] + splice.text + yaml[splice.end :]
    start, end = part.yaml
    return replace(part, text=part.text[:start] + yaml + part.text[end:], yaml=(start, start + len(yaml)))


def _with_rev(front: Section, rev: int) -> str:
    block = read_block(front.yaml_text)
    kept = mux_values(block.entry("mux"))
    return _spliced(front, _mux_splices(front.yaml_text, block, {**kept, "rev": rev}, _newline(front.text))).text


def _new_front(text: str, rev: int) -> str:
    newline = _newline(text)
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    return bom + newline.join(("---", "mux:", f"  rev: {rev}", "---", ""))


def _without_bom(edited: list[str]) -> list[str]:
    return [edited[0].removeprefix("\ufeff"), *edited[1:]] if edited else edited


def _status_splices(yaml: str, block: Block, status: Status, newline: str) -> list[_Splice]:
    if block.problem:
        return []
    entry = block.entry("status")
    if entry is None:
        return [_first_key(yaml, block.root, f"status: {status}", newline)]
    value = entry.value
    if isinstance(value, Scalar) and value.value.strip() == status:
        return []
    if not isinstance(value, Scalar):
        colon = yaml.index(":", entry.key.end) + 1
        return [_Splice(colon, colon, f" {status}"), _Splice(value.start, value.end, "")]
    gap = " " if yaml[value.start - 1] == ":" else ""
    if value.style not in ("|", ">"):
        return [_Splice(value.start, value.end, f"{gap}{status}")]
    header = _HEADER.match(yaml, value.start)
    assert header is not None
    header_line = _line_end(yaml, header.end())
    lines = [_Splice(header_line, value.end, "")] if header_line < value.end else []
    return [_Splice(value.start, header.end(), f"{gap}{status}"), *lines]


def _first_key(yaml: str, root: Map | None, text: str, newline: str) -> _Splice:
    if root is None:
        return _Splice(0, 0, text + newline)
    if not root.flow:
        start = _line_start(yaml, root.start)
        return _Splice(start, start, yaml[start : root.start] + text + newline)
    if not root.entries:
        return _Splice(root.end - 1, root.end - 1, text)
    return _Splice(root.start + 1, root.start + 1, f"{text}, ")


def _mux_splices(yaml: str, block: Block, mux: MuxValues, newline: str) -> list[_Splice]:
    entry = block.entry("mux")
    if block.problem or _says(entry, mux):
        return []
    if block.root and block.root.flow:
        return [_mux_in_flow(yaml, block.root, entry, mux)]
    indent = yaml[_line_start(yaml, block.root.start) : block.root.start] if block.root else ""
    lines = _mux_lines(mux, indent, newline)
    if entry:
        start, end = _line_start(yaml, entry.key.start), _line_end(yaml, max(entry.value.end, entry.key.end))
        return [_Splice(start, end, lines)]
    gap = newline if yaml and not yaml.endswith(("\n", "\r")) else ""
    return [_Splice(len(yaml), len(yaml), gap + lines + newline)]


def _says(entry: Entry | None, mux: MuxValues) -> bool:
    """Does the key hold exactly these values already? Then not a byte changes."""
    if entry is None or not isinstance(entry.value, Map):
        return False
    return list(mux_values(entry).items()) == [(key, str(value)) for key, value in mux.items()] and len(
        entry.value.entries
    ) == len(mux)


def _mux_lines(mux: MuxValues, indent: str, newline: str) -> str:
    if not mux:
        return f"{indent}mux: {{}}"
    lines = [f"{indent}  {_scalar(key)}: {_scalar(value)}" for key, value in mux.items()]
    return newline.join((f"{indent}mux:", *lines))


def _mux_in_flow(yaml: str, root: Map, entry: Entry | None, mux: MuxValues) -> _Splice:
    inside = ", ".join(f"{_scalar(key)}: {_scalar(value, _FLOW_SPECIAL)}" for key, value in mux.items())
    if entry:
        gap = " " if yaml[entry.value.start - 1] == ":" else ""
        return _Splice(entry.value.start, entry.value.end, f"{gap}{{{inside}}}")
    if not root.entries:
        return _Splice(root.end - 1, root.end - 1, f"mux: {{{inside}}}")
    end = root.entries[-1].value.end
    return _Splice(end, end, f", mux: {{{inside}}}")


def _scalar(value: str | int, special: re.Pattern[str] = _SPECIAL) -> str:
    """A value as YAML, in quotes only where it would read as something else: a number, a comment, a list …"""
    text = str(value)
    if isinstance(value, int):
        return text
    if _PLAIN.match(text) and not special.search(text) and isinstance(plain_value(Scalar(0, 0, text)), str):
        return text
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _newline(text: str) -> str:
    found = re.search(r"\r\n|\r|\n", text)
    return found[0] if found else "\n"


def _line_start(text: str, offset: int) -> int:
    return max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1


def _line_end(text: str, offset: int) -> int:
    found = re.compile(r"[\r\n]").search(text, offset)
    return found.start() if found else len(text)
