"""What has to be said of a person's edit: changes to what decides, and words that mux puts back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from board.edit import Change
from board.model import Board, SlackSettings, Status, TaskSettings

_WATCHED = ("done_when", "check", "restart", "destructive")
_WATCHED_IN_CHAT = ("approvers", "operators", "channel", "team")


def ignored(board: Board, writes: Sequence[Change]) -> Iterator[tuple[str, str]]:
    """A `draft` on a task whose worker runs, or a word that is no status, is put back, and nothing else happens."""
    for change in writes:
        task = board.by_id[change.task]
        if change.status is not None and task.written_status:
            texts = (each.text for each in task.problems if f"'{task.written_status}'" in each.text)
            wrong = next(texts, f"'{task.written_status}' is no status")
            yield change.task, f"mux put '{change.status}' back: {wrong}"
        if change.status is not None and task.status is Status.DRAFT and task.sound:
            yield change.task, f"'draft' is ignored while its worker runs; to end that: mux stop {change.task}"


def changes(old: Board, new: Board) -> Iterator[tuple[str | None, str]]:
    """The task (None: the whole board), and what changed, of tasks that are on both."""
    if old is new:
        return
    yield from ((None, text) for text in _differences(old.settings.defaults, new.settings.defaults))
    if old.settings.after_outage != new.settings.after_outage:
        yield None, f"after_outage: {old.settings.after_outage} -> {new.settings.after_outage}"
    yield from ((None, text) for text in _of_chat(old.settings.slack, new.settings.slack))
    for task in new.tasks:
        before = old.by_id.get(task.id)
        if before is not None and before.settings is not task.settings:
            yield from ((task.id, text) for text in _differences(before.settings, task.settings))


def _of_chat(old: SlackSettings | None, new: SlackSettings | None) -> Iterator[str]:
    """Who may decide, and where."""
    old, new = old or SlackSettings(), new or SlackSettings()
    for name in _WATCHED_IN_CHAT:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"slack {name}: {_listed(before)} -> {_listed(after)}"


def _listed(value: tuple[str, ...] | str | None) -> str:
    return f"[{', '.join(value)}]" if isinstance(value, tuple) else value or "none"


def _differences(old: TaskSettings, new: TaskSettings) -> Iterator[str]:
    for name in _WATCHED:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{name}: {_shown(before)} -> {_shown(after)}"


def _shown(value: object) -> str:
    """For people. A command is not shown: it may hold anything."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, str):
        return "a command"
    limit = getattr(value, "limit", "")
    return f"{getattr(value, 'when', value)}, {limit} in {getattr(value, 'window', 0):g}s"
