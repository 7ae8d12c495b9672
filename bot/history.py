"""`mux history`: the board's versions. `mux journal`: what happened, and why."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from board.clock import format_time
from board.errors import MuxError, UsageError
from board.file import BoardFile
from board.history import Entry, History
from board.model import Board, Task
from bot import terminal
from bot.journalling import events_of
from bot.place import Place, find, short, unknown_task
from bot.table import Cell, Column, clean, render
from runners.journal import Event, Journal

COLUMNS = (
    Column("VERSION", least=7),
    Column("REV", least=3, drop=2),
    Column("WHEN", least=20),
    Column("BY", least=6, drop=1),
    Column("WHAT CHANGED", least=16),
)


def run(arguments: argparse.Namespace) -> int:
    place = find(arguments.board)
    history = History(place.folder / "history")
    if arguments.action is not None:
        return _ACTIONS[arguments.action](place, history, arguments)
    entries = history.entries()
    if not entries:
        raise MuxError(f"{place.path}: no version was kept yet; they are, once `mux up` runs")
    rows = [_row(entry, words) for entry, words in _described(history, entries, place, arguments.lines)]
    print("\n".join(render(COLUMNS, rows, terminal.width())))
    return 0


def journal(arguments: argparse.Namespace) -> int:
    events = newest(find(arguments.board), arguments.task, arguments.lines)
    print("\n".join(line for event in events for line in story(event)))
    return 0


def newest(place: Place, task: str | None, count: int) -> list[Event]:
    """The newest events of the journal, oldest first. Raises MuxError when there are none."""
    events = events_of(place, task)
    if not events:
        raise _nothing_written(place, task)
    return events[-count:]


def story(event: Event) -> list[str]:
    """The event, and below it what it was decided from."""
    evidence = ((key, str(value)) for key, value in (event.evidence or {}).items())
    found = ", ".join(value if value.startswith(f"{key} ") else f"{key} {value}" for key, value in evidence)
    return [event_line(event), *([clean(f"{'':22}{found}")] if found else [])]


def event_line(event: Event) -> str:
    """`2026-11-23T08:01:12Z  fix-login #2  decided: approved in place (by terminal:ana)`"""
    attempt = f" #{event.attempt}" if event.attempt is not None else ""
    who = f"{event.task}{attempt}  " if event.task else ""
    by = f" (by {event.by})" if event.by and event.by not in event.text else ""
    return clean(f"{format_time(event.at)}  {who}{event.event}: {event.text}{by}")


def changes(old: Board, new: Board) -> list[str]:
    """What differs between two versions, in a few words each; the front matter's `rev` does not count. Pure."""
    found = [f"+ {task.id}" for task in new.tasks if task.id not in old.by_id]
    found += [f"- {task.id}" for task in old.tasks if task.id not in new.by_id]
    for task in new.tasks:
        if task.id in old.by_id and (words := list(_task_changes(old.by_id[task.id], task))):
            found.append(f"{task.id}: {', '.join(words)}")
    if old.settings != new.settings:
        found.append("front matter")
    return found


def _task_changes(old: Task, new: Task) -> Iterator[str]:
    if old.status is not new.status:
        yield f"{old.status} → {new.status}"
    for name in ("title", "prompt", "settings"):
        if getattr(old, name) != getattr(new, name):
            yield name
    if dict(old.mux) != dict(new.mux) and old.status is new.status:
        yield "mux's notes"


def _show(place: Place, history: History, arguments: argparse.Namespace) -> int:
    sys.stdout.flush()
    sys.stdout.buffer.write(history.read(_chosen(history, arguments)))
    return 0


def _diff(place: Place, history: History, arguments: argparse.Namespace) -> int:
    """What led from a version to another one, or to the file as it is. Exit 1 when they differ, as `diff` does."""
    from difflib import unified_diff

    first = _chosen(history, arguments)
    old, name = _lines(history.read(first)), f"version {first.serial}"
    if arguments.other is None:
        new, other = _lines(BoardFile(place.path).read_soon().text), short(place.path)
    else:
        second = history.version(arguments.other)
        new, other = _lines(history.read(second)), f"version {second.serial}"
    found = list(unified_diff(old, new, name, other, lineterm=""))
    print("\n".join(map(clean, found)) if found else f"{other} is {name}, line by line")
    return 1 if found else 0


def _restore(place: Place, history: History, arguments: argparse.Namespace) -> int:
    """Done by the control plane, or here while there is none: either way merged, kept in the history and journalled."""
    from bot import restore

    entry = _chosen(history, arguments)
    print(restore.to_version(place, entry.serial))
    return 0


_ACTIONS = {"show": _show, "diff": _diff, "restore": _restore}


def _chosen(history: History, arguments: argparse.Namespace) -> Entry:
    if arguments.version is None:
        raise UsageError(f"which version? As in: mux history {arguments.action} 12 (the first column of: mux history)")
    if arguments.other is not None and arguments.action != "diff":
        raise UsageError(f"mux history {arguments.action} takes one version")
    return history.version(arguments.version)


def _lines(text: bytes) -> list[str]:
    """Line breaks that differ show, too."""
    return text.decode(errors="replace").replace("\r", "\\r").split("\n")


def _described(
    history: History, entries: tuple[Entry, ...], place: Place, limit: int
) -> Iterator[tuple[Entry, list[str]]]:
    """The newest versions, newest first, each with what changed since the one before it."""
    from bot.boards import read

    start = max(0, len(entries) - limit)
    before: Board | None = None
    found = []
    for entry, text in history.whole(entries[max(0, start - 1) :]):
        board = read(text, place, before)
        if entry.serial >= entries[start].serial:
            found.append((entry, ["first version"] if before is None else changes(before, board) or ["prose"]))
        before = board
    yield from reversed(found)


def _row(entry: Entry, words: list[str]) -> list[Cell]:
    rev = "" if entry.rev is None else str(entry.rev)
    return [Cell(text) for text in (str(entry.serial), rev, format_time(entry.at), entry.by, "; ".join(words))]


def _nothing_written(place: Place, task: str | None) -> MuxError:
    known = {event.task for event in Journal(place.folder).events() if event.task}
    if task is None or not known:
        return MuxError(f"{place.path}: nothing is in the journal yet")
    return unknown_task(task, known, "in the journal")
