"""Can two globs match the same path? Decides which tasks must not run together (`touches:`)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from functools import cache


def overlap(first: Iterable[str], second: Iterable[str]) -> bool:
    """Whether some path matches a glob of each side.

    `*` and `?` stay inside one path segment, `**` spans segments, a trailing `/` means everything below, and so does a
    last name without wildcard (`src`, `.github`). `[…]` counts as any one character: when in doubt, apart.
    """
    theirs = [_segments(glob) for glob in second]
    return any(_paths_meet(ours, other) for ours in map(_segments, first) for other in theirs)


def _segments(glob: str) -> tuple[str, ...]:
    parts = [part for part in posixpath.normpath(glob.strip()).split("/") if part not in ("", ".")]
    if glob.strip().endswith("/") or not parts or not any(char in parts[-1] for char in "*?["):
        parts.append(
            "**"
        )  # a folder covers what is inside it, and any name may be a folder's; `**` matches nothing, too
    return tuple(parts)


@cache
def _paths_meet(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    if not first:
        return all(part == "**" for part in second)
    if not second:
        return all(part == "**" for part in first)
    if first[0] == "**":
        return _paths_meet(first[1:], second) or _paths_meet(first, second[1:])
    if second[0] == "**":
        return _paths_meet(second, first)
    return _names_meet(_characters(first[0]), _characters(second[0])) and _paths_meet(first[1:], second[1:])


def _characters(name: str) -> tuple[str, ...]:
    """The name as single characters, `*`, and `?` for any one character (a bracket expression counts as `?`)."""
    out: list[str] = []
    index = 0
    while index < len(name):
        end = name.find("]", index + 2) if name[index] == "[" else -1
        out.append("?" if end > 0 else name[index])
        index = end + 1 if end > 0 else index + 1
    return tuple(out)


@cache
def _names_meet(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    if not first:
        return all(char == "*" for char in second)
    if not second:
        return all(char == "*" for char in first)
    if first[0] == "*":
        return _names_meet(first[1:], second) or _names_meet(first, second[1:])
    if second[0] == "*":
        return _names_meet(second, first)
    return (first[0] == second[0] or "?" in (first[0], second[0])) and _names_meet(first[1:], second[1:])
