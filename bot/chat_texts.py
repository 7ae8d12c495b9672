"""The answers to `/mux journal`, `/mux diff`, `/mux logs` and `/mux help`. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from board.clock import format_time
from bot.blocks import SECTION, Group, header, listing, markup, small, words
from bot.chat_words import counted
from bot.mrkdwn import Redact, code, code_blocks, escape, shown
from bot.posts import Reply
from runners.delivery import Changes

if TYPE_CHECKING:  # it reads and writes files
    from runners.journal import Event

EVENTS_SHOWN = 25
_EVENT = 160
#: Events whose texts may name files, as that of a damaged record does.
_MAY_NAME_FILES = frozenset({"trouble", "void"})
_ON_THE_MACHINE = "mux journal in the terminal and .mux/mux.log say what"
LOG_LINES = 40
_LOG_BLOCKS = 3

_SUMMARY = re.compile(
    r"^ ?(\d+) files? changed(?:, (\d+) insertions?\(\+\))?(?:, (\d+) deletions?\(-\))?$", re.MULTILINE
)

#: What can be asked for in a chat, and who may.
_HELP = (
    ("status", "what needs you, what runs, what drifted"),
    ("status TASK", "all about one task"),
    ("requests", "what waits for a person, and how to decide it"),
    ("journal [TASK]", "what happened, and why"),
    ("digest", "what happened since the last digest"),
    ("diff TASK", "how much a task changed"),
    ("add Title", "a new draft on the board"),
    ("start TASK", "run it; approvers and operators"),
    ("stop TASK", "end its worker, its work is kept; approvers and operators"),
    ("restart TASK", "end its worker and start it anew; approvers"),
    ("approve ID [--choice CHOICE]", "decide a request; approvers"),
    ("deny ID", "nothing is done; approvers"),
    ("answer ID TEXT", "answer a worker's question; approvers"),
    ("send TASK TEXT", "type into a worker's window; approvers"),
    ("logs TASK", "what a worker printed, redacted, for your eyes only; approvers"),
)


def journal_reply(events: Sequence[Event], redact: Redact, task: str | None = None) -> Reply:
    """The newest events, oldest first."""
    title = f"Journal of {task}" if task else "Journal"
    if not events:
        return Reply(f"{title}: nothing happened yet", (markup(f"{escape(title)}: nothing happened yet"),))
    chosen = events[-EVENTS_SHOWN:]
    lines = [_event_line(event, redact, task is None) for event in chosen]
    return Reply(escape(title), listing([Group(escape(title), lines)]))


def diff_reply(task: str, changes: Changes) -> Reply:
    """How much changed. File names stay on the machine. `changes` with `git diff --stat` as its `diff`."""
    found = _SUMMARY.search(changes.diff)
    files, added, removed = (int(number or 0) for number in found.groups()) if found else (0, 0, 0)
    parts = [f"{counted(files, 'file')} changed, {added} lines added, {removed} removed"] if files else []
    if changes.untracked:
        parts.append(f"{counted(len(changes.untracked), 'file')} untracked")
    text = f"{task}: {'; '.join(parts) or 'nothing changed'}"
    hint = small(f"Which ones: {code(f'mux diff {task} --stat')} in the terminal.")
    return Reply(escape(text), (words(text), hint) if parts else (words(text),))


def logs_reply(task: str, attempt: int, text: str, redact: Redact, lines: int = LOG_LINES) -> Reply:
    """The last lines of what a worker printed; for one approver's eyes.

    `text`: more than those, as it was printed: the whole of it is redacted before a line is taken.
    """
    title = f"{task}, attempt {attempt}: the end of its output, redacted"
    end = "\n".join(redact(text).rstrip("\n").split("\n")[-lines:])
    shown_blocks = [markup(block) for block in code_blocks(end, SECTION, _LOG_BLOCKS)]
    empty = (markup("It printed nothing."),)
    return Reply(escape(title), (header(title), *(shown_blocks or empty)))


def help_reply() -> Reply:
    lines = [f"{code(f'/mux {what}')}  {escape(does)}" for what, does in _HELP]
    return Reply("What mux understands", (header("What mux understands"), markup("\n".join(lines))))


def _event_line(event: Event, redact: Redact, with_task: bool) -> str:
    whose = event.task if with_task and event.task else ""
    attempt = f" try {event.attempt}" if event.attempt else ""
    subject = f"{whose}{attempt} " if whose else attempt.lstrip() + " " if attempt else ""
    text = _ON_THE_MACHINE if event.event in _MAY_NAME_FILES else event.text
    return f"{format_time(event.at)[5:16].replace('T', ' ')} {subject}{event.event}: {shown(text, _EVENT, redact)}"
