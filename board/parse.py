"""From the board's text to `Board`: tasks, settings and problems. Pure; a text that is no board at all raises."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from board.errors import BoardUnreadable
from board.fences import has_script
from board.frontmatter import Block, Entry, Map, Scalar, read_block
from board.keys import Place
from board.merge_text import CONFLICT_LINE
from board.model import NOTHING, Board, BoardSettings, Problem, Status, Task, TaskSettings
from board.order import order_problems
from board.sections import Kind, Section, first_lines, opens_front_matter, sections
from board.settings import (
    Found,
    board_settings,
    read_keys,
    read_status,
    task_settings,
    unknown_agent,
)

__all__ = ["Kind", "Section", "decode", "parse", "sections"]

#: Keys at the top after a mistyped `---`, or mux's own revision with none before it: taken for prose, they would all be
#: lost at once, and nothing would say so.
_LOST_OPENING = re.compile(
    "\ufeff?(?:(?:--|----+|\u2014+)[ \t]*\r?\n\\w+:|(?:\\w[^\n]*\n|[ \t]+\\w[^\n]*\n)*?mux:[ \t]*\r?\n[ \t]+rev:)"
)
LIMIT = 20 * 1024 * 1024  # bytes


class _Placed(NamedTuple):
    part: Section
    line: int

    def yaml_line(self, offset: int) -> int:
        """Line in the file of an offset in the section's yaml block."""
        assert self.part.yaml is not None
        return self.line + self.part.line_at(self.part.yaml[0] + offset)


def decode(data: bytes, name: str = "board.md") -> str:
    """The text of a board file. Raises BoardUnreadable where it is too large, binary or not UTF-8."""
    if len(data) > LIMIT:
        raise BoardUnreadable(
            f"{name}: {len(data)} bytes are too many for a board (at most {LIMIT}): move text out of it"
        )
    if (at := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, at) + 1
        raise BoardUnreadable(f"{name}:{line}: the file holds binary data: a board is plain text in UTF-8")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BoardUnreadable(f"{name}:{line}: the text is not UTF-8: save the file as UTF-8") from None


def parse(text: str, agents: Collection[str], previous: Board | None = None, name: str = "board.md") -> Board:
    """Read a board. `agents` are the built-in agents' names; `name` is the file's, for the message.

    With `previous`, the tasks of sections that did not change a byte are taken from it. Raises BoardUnreadable when the
    front matter cannot be read; everything else that is wrong is among the board's problems.
    """
    parts = sections(text)
    block = _front_block(parts, text, name)
    settings, rev, found = _read_front(block)
    known = frozenset(agents) | settings.agents.keys()
    problems = [_problem(_Placed(parts[0], 1), each, None) for each in [*found, *_front_agent(block, settings, known)]]
    reusable = _reusable(previous, settings, known)
    placed = list(zip(parts, first_lines(parts), strict=True))
    own = [_Placed(part, line) for part, line in placed if part.kind is Kind.TASK]
    tasks = _with_order(own, [_task(each, settings.defaults, known, reusable) for each in own])
    problems += _prose_problems(placed)
    problems += [problem for task in tasks for problem in task.problems]
    problems.sort(key=lambda problem: problem.line)
    by_id = MappingProxyType({task.id: task for task in reversed(tasks)})  # of two with one id, the first
    return Board(text, settings, rev, tuple(tasks), tuple(problems), by_id)


def mux_values(entry: Entry | None) -> dict[str, str]:
    """The scalars under a `mux:` key, as written."""
    if entry is None or not isinstance(entry.value, Map):
        return {}
    return {key.value: value.value for key, value in entry.value.entries if isinstance(value, Scalar)}


def _front_block(parts: tuple[Section, ...], text: str, name: str) -> Block:
    if not parts or parts[0].kind is not Kind.FRONT:
        if opens_front_matter(text):
            raise BoardUnreadable(
                f"{name}:1: the front matter that begins here is never closed: end it with a line `---`"
            )
        if _LOST_OPENING.match(text):
            raise BoardUnreadable(f"{name}:1: keys without front matter around them: make the first line `---`")
        return Block()
    block = read_block(parts[0].yaml_text)
    if block.problem:
        line = _Placed(parts[0], 1).yaml_line(block.problem[0])
        raise BoardUnreadable(f"{name}:{line}: {block.problem[1]}")
    return block


def _read_front(block: Block) -> tuple[BoardSettings, int | None, list[Found]]:
    read, found = read_keys(block.entries, Place.BOARD)
    entry = block.entry("mux")
    rev = mux_values(entry).get("rev", "")
    whole = rev.isascii() and rev.isdigit()
    if entry and not whole:
        found.append(Found(entry.key.start, "`mux:` is written by mux and holds no `rev` number here", "warning"))
    return board_settings(read), int(rev) if whole else None, found


def _front_agent(block: Block, settings: BoardSettings, known: frozenset[str]) -> list[Found]:
    entry, text = block.entry("agent"), unknown_agent(settings.defaults.agent, known)
    return [Found(entry.value.start, text)] if entry and text else []


def _reusable(previous: Board | None, settings: BoardSettings, known: frozenset[str]) -> Mapping[str, Task]:
    """Tasks of the last board by the text of their section. One with a problem is read again: other tasks may have
    caused it, and its lines may have moved."""
    if previous is None or previous.settings != settings:
        return NOTHING
    own = (part for part in sections(previous.text) if part.kind is Kind.TASK)
    pairs = zip(own, previous.tasks, strict=True)
    return {part.text: task for part, task in pairs if not task.problems and task.settings.agent in known}


def _task(placed: _Placed, defaults: TaskSettings, known: frozenset[str], reusable: Mapping[str, Task]) -> Task:
    part, line = placed
    if task := reusable.get(part.text):
        return task if task.line == line else replace(task, line=line)
    prompt = _prompt(part)
    block = read_block(part.yaml_text)
    if block.problem:
        problems = (_problem(placed, Found(*block.problem), part.id), *_conflict(placed), *_open_fence(placed))
        return Task(part.id, part.title, Status.DRAFT, prompt, line, defaults, problems=problems)
    read, found = read_keys(block.entries, Place.TASK)
    settings = task_settings(read, defaults)
    entry = block.entry("status")
    status, written, wrong = read_status(entry.value if entry else None)
    if entry and wrong:
        found.append(Found(entry.value.start, wrong))
    found += _task_found(block, status, settings, prompt, known)
    problems = (*(_problem(placed, each, part.id) for each in found), *_conflict(placed), *_open_fence(placed))
    mux = MappingProxyType(mux_values(block.entry("mux")))
    return Task(part.id, part.title, status, prompt, line, settings, mux, problems, written)


def _task_found(
    block: Block, status: Status, settings: TaskSettings, prompt: str, known: frozenset[str]
) -> list[Found]:
    """What is wrong with a task's keys taken together."""
    found = []
    agent, run, mux = block.entry("agent"), block.entry("run"), block.entry("mux")
    if agent and (text := unknown_agent(settings.agent, known)):
        found.append(Found(agent.value.start, text))
    if run and settings.agent != "shell":
        found.append(Found(run.key.start, f"`run` has no effect: the agent is {settings.agent}, not shell", "warning"))
    if "check" in (settings.done_when or ()) and settings.check is None:
        asked = block.entry("done_when")
        who = "`done_when`" if asked else "`done_when` of the board"
        where = "here or in the front matter" if asked else "to the task or to the front matter"
        text = f"{who} asks for `check`, and there is none: add `check: command` {where}"
        found.append(Found(asked.value.start if asked else 0, text))
    if mux and not isinstance(mux.value, Map) and not (isinstance(mux.value, Scalar) and not mux.value.value):
        found.append(Found(mux.key.start, "`mux:` is written by mux: what stands here will be replaced", "warning"))
    if settings.agent == "shell" and status is not Status.DRAFT and not settings.run and not has_script(prompt):
        found.append(Found(0, "nothing to run: add `run: command`, or a fenced `sh` block below the yaml block"))
    return found


def _prompt(part: Section) -> str:
    """The text after the yaml block without surrounding blank lines, its lines ending in LF however the file's do."""
    text = part.text[part.prompt :].replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"\A(?:[ \t]*\n)+", "", text).rstrip() if text[:1].isspace() else text.rstrip()


def _conflict(placed: _Placed) -> tuple[Problem, ...]:
    """Where two saves changed the same lines. In prose it stops nothing."""
    part = placed.part
    mark = CONFLICT_LINE.search(part.text)
    if mark is None:
        return ()
    text = "two saves changed the same lines: keep what you want of them and delete the `mux conflict` lines"
    line = placed.line + part.line_at(mark.start())
    return (Problem(line, text, part.id or None, "error" if part.id else "warning"),)


def _open_fence(placed: _Placed) -> tuple[Problem, ...]:
    part = placed.part
    if part.unclosed is None:
        return ()
    line = placed.line + part.line_at(part.unclosed)
    text = "the code fence opened here is never closed, so that all text below belongs to it: close it"
    return (Problem(line, text, part.id or None),)


def _problem(placed: _Placed, found: Found, task: str | None) -> Problem:
    return Problem(placed.yaml_line(found.offset), found.text, task, found.severity)


def _prose_problems(placed: Sequence[tuple[Section, int]]) -> list[Problem]:
    problems: list[Problem] = []
    before: Section | None = None
    for part, line in placed:
        before, last = part, before
        if part.kind is not Kind.PROSE:
            continue
        problems += [*_conflict(_Placed(part, line)), *_open_fence(_Placed(part, line))]
        if part.yaml:
            problems.append(Problem(line, _heading_advice(part.heading), part.heading))
        elif part.level == 2 and last and last.kind is Kind.TASK:
            text = f"the prompt of '{last.id}' ends here, and nothing runs from this heading: use ### inside prompts"
            problems.append(Problem(line, text, last.id, "warning"))
    return problems


def _heading_advice(heading: str) -> str:
    """What to write instead of a heading that has a yaml block but no proper id."""
    written, colon, title = heading.partition(":")
    suggestion = re.sub(r"[^a-z0-9]+", "-", written.lower()).strip("-")[:48].strip("-") or "task-1"
    if not colon:
        return f"this heading has a yaml block but no id: write `## {suggestion}: {heading}`"
    rule = "small letters, digits and -, at most 48, not - first"
    return f"'{written}' is no task id ({rule}): write `## {suggestion}:{title}`"


def _with_order(own: list[_Placed], tasks: list[Task]) -> list[Task]:
    """The tasks with the problems that only show when all of them are seen: twice one id, and what `after` says."""
    problems = order_problems(tasks)
    if not problems:
        return tasks
    return [
        _with_problems(part, task, problems.get(index, ()))
        for index, (part, task) in enumerate(zip(own, tasks, strict=True))
    ]


def _with_problems(placed: _Placed, task: Task, texts: Collection[tuple[str, str]]) -> Task:
    """`texts`: the key that a problem is about (empty: the heading), and its text."""
    if not texts:
        return task
    added = []
    for key, text in texts:
        entry = read_block(placed.part.yaml_text).entry(key) if key else None
        line = placed.yaml_line(entry.value.start) if entry else placed.line
        added.append(Problem(line, text, task.id))
    return replace(task, problems=(*task.problems, *added))
