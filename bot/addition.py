"""A new task from the words of `mux add`. Pure: board in, text out."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from board import edit
from board.errors import MuxError, UsageError
from board.model import TASK_ID, Board
from board.parse import parse
from board.values import nearest
from runners.agents import BUILT_IN

_LONGEST_ID = 48


@dataclass(frozen=True, slots=True)
class Addition:
    text: str  # the whole board
    task: str
    notes: tuple[str, ...]  # `line: what is still to mend` before the draft can run


def addition(board: Board, wanted: argparse.Namespace, prompt: str, earlier: Collection[str]) -> Addition:
    """`earlier`: ids of tasks that ran and may be gone from the board. Raises MuxError, with nothing changed, for words
    that cannot be meant; and with `--ready` for whatever would keep the task from running."""
    title = " ".join(wanted.title.split())
    if not title:
        raise UsageError("the title is empty: say in one line what is to be done")
    task = _given(wanted.id, board, earlier) if wanted.id else _derived(title, {*board.by_id, *earlier})
    text = edit.append_task(board.text, task, title, "\n".join(_keys(wanted, board)), prompt)
    return Addition(text, task, _check(parse(text, BUILT_IN, board), task, prompt, wanted.ready))


def slug(title: str) -> str:
    """An id made of the title's words, cut between two of them; `task` when it has no letter or digit of ours."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain.replace("'", ""))
    out = ""
    for word in words:
        longer = f"{out}-{word}" if out else word[:_LONGEST_ID]
        if len(longer) > _LONGEST_ID:
            break
        out = longer
    return out or "task"


def _derived(title: str, taken: Collection[str]) -> str:
    base = slug(title)
    name, number = base, 1
    while name in taken:
        number += 1
        suffix = f"-{number}"
        name = base[: _LONGEST_ID - len(suffix)].rstrip("-") + suffix
    return name


def _given(task: str, board: Board, earlier: Collection[str]) -> str:
    if not TASK_ID.match(task):
        raise UsageError(f"'{task}' is no id: small letters, digits and -, at most 48, as in '{slug(task)}'")
    if task in board.by_id:
        raise MuxError(f"{task} is on the board already (line {board.by_id[task].line}); choose another --id")
    if task in earlier:
        raise MuxError(f"a task {task} ran before, and its records are still kept; choose another --id")
    return task


def _keys(wanted: argparse.Namespace, board: Board) -> Iterator[str]:
    yield f"status: {'ready' if wanted.ready else 'draft'}"
    agent = wanted.agent or ("shell" if wanted.run and board.settings.defaults.agent != "shell" else None)
    if agent:
        known = BUILT_IN | set(board.settings.agents)
        if agent not in known:
            raise MuxError(f"no agent '{agent}'" + (nearest(agent, known) or f": there are {', '.join(sorted(known))}"))
        yield f"agent: {agent}"
    if wanted.run and agent not in (None, "shell"):
        raise UsageError(f"--run is for the agent shell; {agent} is told what to do with --prompt")
    if wanted.after:
        yield f"after: [{', '.join(_after(wanted.after, board))}]"
    if wanted.priority is not None:
        yield f"priority: {wanted.priority}"
    if wanted.run:
        yield f"run: {json.dumps(wanted.run, ensure_ascii=False)}"  # a JSON text is a YAML text


def _after(words: str, board: Board) -> list[str]:
    names = [name for name in re.split(r"[,\s]+", words) if name]
    for name in names:
        if name not in board.by_id:
            raise MuxError(f"--after: no task '{name}' on the board{nearest(name, board.by_id)}")
    return names


def _check(board: Board, task: str, prompt: str, ready: bool) -> tuple[str, ...]:
    """Read the new board as the control plane will, before it is written."""
    added = board.by_id.get(task)
    if added is None or added.prompt != prompt.replace("\r\n", "\n").strip():
        raise MuxError("the prompt would not be read back as it is: use ### for headings in it, and close its fences")
    errors = [problem for problem in added.problems if problem.severity == "error"]
    if ready and errors:
        raise MuxError(f"not added: {errors[0].text}")
    return tuple(f"{problem.line}: {problem.text}" for problem in added.problems)
