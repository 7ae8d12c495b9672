"""Problems between tasks: one id given twice, and `after` that leads nowhere or in a circle. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from board.model import Task
from board.values import nearest

Texts = dict[int, list[tuple[str, str]]]


def order_problems(tasks: Sequence[Task]) -> Mapping[int, Sequence[tuple[str, str]]]:
    """By index in `tasks`: the key that a problem is about (empty: the heading), and its text."""
    found: Texts = {}
    _find_doubles(tasks, found)
    by_id = {task.id: index for index, task in reversed(list(enumerate(tasks)))}
    for index, task in enumerate(tasks):
        for name in task.settings.after:
            if name == task.id:
                _add(found, index, "after", "`after` names the task itself: remove it there")
            elif name not in by_id:
                text = f"`after` names '{name}', which is no task on the board{nearest(name, by_id)}"
                _add(found, index, "after", text)
    for ring in rings({name: tasks[index].settings.after for name, index in by_id.items()}):
        shown = " -> ".join((*ring, ring[0]))
        for name in ring:
            text = f"`after` goes in a circle, each waiting for the next: {shown}: remove one of them"
            _add(found, by_id[name], "after", text)
    return found


def rings(after: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Circles of two and more among `after`, until no task is left that waits for itself through others."""
    waiting = {name: [other for other in others if other != name] for name, others in after.items() if others}
    found: list[tuple[str, ...]] = []
    while waiting := _without_ends(waiting):
        circles = _first_rings(waiting)
        found += circles
        gone = {name for ring in circles for name in ring}
        waiting = {name: others for name, others in waiting.items() if name not in gone}
    return found


def _without_ends(waiting: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Leave out, again and again, every task that waits for nothing that is left."""
    count = {name: sum(other in waiting for other in others) for name, others in waiting.items()}
    followers: dict[str, list[str]] = {}
    for name, others in waiting.items():
        for other in others:
            followers.setdefault(other, []).append(name)
    free = [name for name, left in count.items() if not left]
    for name in free:  # grows while it is walked
        for follower in followers.get(name, ()):
            count[follower] -= 1
            if not count[follower]:
                free.append(follower)
    left = waiting.keys() - set(free)
    return {name: [other for other in others if other in left] for name, others in waiting.items() if name in left}


def _first_rings(waiting: Mapping[str, Sequence[str]]) -> Iterable[tuple[str, ...]]:
    """From every task along the first one it waits for: each walk ends in exactly one circle."""
    found = []
    seen: set[str] = set()
    for start in waiting:
        walk: dict[str, None] = {}
        name = start
        while name not in seen:
            seen.add(name)
            walk[name] = None
            name = waiting[name][0]
        if name in walk:
            path = list(walk)
            found.append(tuple(path[path.index(name) :]))
    return found


def _find_doubles(tasks: Sequence[Task], found: Texts) -> None:
    if len({task.id for task in tasks}) == len(tasks):
        return
    same: dict[str, list[int]] = {}
    for index, task in enumerate(tasks):
        same.setdefault(task.id, []).append(index)
    for name, indexes in same.items():
        for index in indexes if len(indexes) > 1 else ():
            lines = ", ".join(str(tasks[other].line) for other in indexes if other != index)
            _add(found, index, "", f"the id '{name}' is given twice, also on line {lines}: rename one of them")


def _add(found: Texts, index: int, key: str, text: str) -> None:
    found.setdefault(index, []).append((key, text))
