"""The keys of the board in one table: names, places, types, defaults, meanings. What reads, checks, suggests and
documents them is `settings`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from board import chat_values, values
from board.frontmatter import Node


class Place(StrEnum):
    BOARD = "board"
    TASK = "task"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    place: Place
    read: Callable[[Node], Any]
    type: str  # completes "must be …"
    example: str
    default: str
    meaning: str
    works: bool = True  # False: accepted and checked, but this version does nothing with it


_BOARD, _TASK, _BOTH = Place.BOARD, Place.TASK, Place.BOTH
_LIST = "a list of texts"


def _duration(name: str, place: Place, example: str, default: str, meaning: str, works: bool = True) -> Key:
    return Key(name, place, values.duration, "a duration", example, default, meaning, works)


KEYS = (
    Key(
        "board",
        _BOARD,
        values.word,
        "a name of small letters, digits and -",
        "shop",
        "the file's name; for `board.md` its folder's",
        "name of the board in branches, worktrees and messages",
    ),
    Key("repo", _BOARD, values.text, "a path", ".", "`.`", "the git repository, relative to the board's folder"),
    Key(
        "worktrees",
        _BOARD,
        values.text,
        "a path",
        "../shop.worktrees",
        "`../<repo>.worktrees/<board>`",
        "folder of the worktrees",
    ),
    Key(
        "max_workers",
        _BOARD,
        values.positive,
        "a whole number of 1 or more",
        "4",
        "`4`",
        "how many workers run at once",
    ),
    _duration(
        "retain",
        _BOARD,
        "14d",
        "`14d`",
        "how long versions of the board are kept; older run folders and snapshots go with `mux clean`",
    ),
    Key(
        "agents",
        _BOARD,
        values.profiles,
        "a mapping of names to profiles",
        "{mine: {start: [mine, run]}}",
        "none",
        "agent profiles added or changed on this board",
    ),
    Key(
        "status",
        _TASK,
        values.text,
        "a status",
        "ready",
        "`draft`",
        "what should be true of the task: you write draft, ready, stopped or done; mux writes the others",
    ),
    Key(
        "agent",
        _BOTH,
        values.text,
        "the name of an agent",
        "claude",
        "`shell`",
        "profile of the program that works on the task",
    ),
    Key(
        "mode",
        _BOTH,
        values.one_of("headless", "interactive"),
        "headless or interactive",
        "headless",
        "`headless`",
        "whether the agent runs to its end by itself or waits at its prompt",
    ),
    Key(
        "base",
        _BOTH,
        values.branch,
        "a branch or commit",
        "main",
        "the branch checked out in `repo`",
        "where task branches start",
    ),
    Key(
        "setup",
        _BOTH,
        values.texts,
        f"{_LIST} (commands)",
        "[npm ci]",
        "none",
        "commands run once in each new worktree",
    ),
    Key(
        "copy",
        _BOTH,
        values.inner_paths,
        f"{_LIST} (paths)",
        "[.env]",
        "none",
        "untracked files that each new worktree gets",
    ),
    Key(
        "env",
        _BOTH,
        values.variables,
        "a mapping of variables to texts",
        "{NODE_ENV: test}",
        "none",
        "environment of setup and worker; a task's variables are added to the board's",
    ),
    Key(
        "done_when",
        _BOTH,
        values.rules,
        f"{_LIST} (rules)",
        "[committed, clean]",
        "`[clean]` for shell, `[committed, clean]` for agents",
        "what must hold before a task is done: committed, clean, pushed, merged, check ([the done gate](done-gate.md))",
    ),
    Key(
        "finish",
        _BOTH,
        values.one_of("push", "pr", "merge"),
        "push, pr or merge",
        "merge",
        "`merge`",
        "what `mux finish` does with the task's branch",
    ),
    _duration("timeout", _BOTH, "2h", "none", "a worker that runs longer is stopped, and the task has failed"),
    Key(
        "ports",
        _BOTH,
        values.port_count,
        "a whole number from 0 to 1000",
        "10",
        "`10`",
        "size of the block of ports each worker gets",
    ),
    Key(
        "after_review",
        _BOTH,
        values.flag,
        "true or false",
        "true",
        "`false`",
        "whether `after` is satisfied by `review` too",
    ),
    Key(
        "after",
        _TASK,
        values.task_ids,
        f"{_LIST} (task ids)",
        "[add-tests]",
        "none",
        "tasks that must be done before this one starts",
    ),
    Key("priority", _TASK, values.number, "a whole number", "5", "`0`", "higher starts first"),
    Key(
        "touches",
        _TASK,
        values.inner_paths,
        f"{_LIST} (globs)",
        "[src/**]",
        "none",
        "files the task changes; tasks that overlap do not run together",
    ),
    Key(
        "run",
        _TASK,
        values.command,
        "script text or a list of arguments",
        "npm test",
        "the `sh` blocks of the prompt",
        "what the shell agent runs",
    ),
    Key(
        "destructive",
        _TASK,
        values.flag,
        "true or false",
        "true",
        "`false`",
        "the task repeats an effect if it runs twice",
    ),
    Key("check", _BOTH, values.text, "a command", "npm test", "none", "run in the worktree for the `check` rule"),
    _duration("check_timeout", _BOTH, "30m", "`30m`", "a check that runs longer is ended, and the rule does not hold"),
    Key(
        "restart",
        _BOTH,
        values.restart,
        "safe, never or a mapping",
        "{when: safe, limit: 3, window: 1h}",
        "`safe`",
        "what mux may do by itself after a worker ended badly ([recovery](recovery.md))",
    ),
    Key(
        "expiry",
        _BOTH,
        values.expiry,
        "a mapping of recovery and gate to durations",
        "{recovery: 72h, gate: 24h}",
        "`{recovery: 72h, gate: 24h}`",
        "how long you have to decide what mux, or a worker, asks; then the answer is no",
    ),
    _duration(
        "done_grace", _BOTH, "30s", "`30s`", "how long a worker may stay after its `mux done` held, until it is ended"
    ),
    Key(
        "outage",
        _BOARD,
        values.outage,
        "a mapping of workers, within and pace",
        "{workers: 3, within: 30s, pace: 10s}",
        "`{workers: 3, within: 30s, pace: 10s}`",
        "so many bad ends within that time are one outage; then restarts keep that pace",
    ),
    _duration("wait_slot", _BOTH, "10m", "`10m`", "how long a worker that waits for you holds its slot"),
    _duration(
        "stuck_after",
        _BOTH,
        "30m",
        "`30m`",
        "how long a worker that is to commit may print without a new tree, commit or report until it is shown as stuck",
    ),
    Key(
        "nudge",
        _BOTH,
        values.duration_or_no,
        "a duration or no",
        "5m",
        "`no`",
        "how long an interactive agent may be idle until mux tells it, once, how to end its task "
        "([agents](agents.md#a-nudge))",
    ),
    Key(
        "sandbox",
        _BOTH,
        values.anything,
        "a sandbox",
        "true",
        "none",
        "keeps a worker from the rest of the machine",
        False,
    ),
    Key(
        "after_outage",
        _BOARD,
        values.one_of("resume", "ask"),
        "resume or ask",
        "resume",
        "`resume`",
        "what happens after an outage: go on where that is safe, or ask about each",
    ),
    Key(
        "digests",
        _BOARD,
        chat_values.digests,
        "a list of mappings with at, timezone and channel",
        '[{at: "0 8 * * mon-fri", timezone: Europe/Berlin}]',
        "none",
        "when a summary is posted ([slack](slack.md))",
    ),
    Key(
        "slack",
        _BOARD,
        chat_values.slack,
        "a mapping of channel, team, approvers, operators, quiet and api_url",
        "{channel: C0123ABCD, approvers: [U012ABCDEF]}",
        "none",
        "where and with whom mux talks in chat ([slack](slack.md))",
    ),
)
BY_NAME: Mapping[str, Key] = {key.name: key for key in KEYS}
