"""How the values of the board's keys are read: one small reader for each type of value.

A reader takes a YAML node and gives the value, or raises `NotOne`: with a text of its own where the general one
("`priority` must be a whole number, for example …") would not say what is wrong.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from board.clock import parse_duration
from board.frontmatter import List, Map, Node, Scalar, as_python, plain_value
from board.model import RULES, TASK_ID, ExpiryPolicy, OutagePolicy, RestartPolicy

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class NotOne(Exception):
    """Private to `settings`: the node is not a value of this type."""


def nearest(word: str, known: Collection[str]) -> str:
    """`: did you mean 'priority'?`, or nothing when no known word is near."""
    found = difflib.get_close_matches(word.lower(), sorted(known), n=1)
    return f": did you mean '{found[0]}'?" if found else ""


def anything(node: Node) -> Any:
    return as_python(node)


def text(node: Node) -> str:
    """A scalar as it is written: `1.0` and `yes` are text too."""
    if not isinstance(node, Scalar) or not node.value.strip() or plain_value(node) is None:
        raise NotOne
    return node.value.strip()


def word(node: Node) -> str:
    value = text(node)
    if not TASK_ID.match(value):
        raise NotOne
    return value


def branch(node: Node) -> str:
    value = text(node)
    if value.startswith("-") or re.search(r"\s", value):  # `-x` would be an option to git
        raise NotOne
    return value


def flag(node: Node) -> bool:
    value = plain_value(node) if isinstance(node, Scalar) else None
    if not isinstance(value, bool):
        raise NotOne
    return value


def number(node: Node) -> int:
    value = plain_value(node) if isinstance(node, Scalar) else None
    if not isinstance(value, int) or isinstance(value, bool):
        raise NotOne
    return value


def positive(node: Node) -> int:
    if (value := number(node)) < 1:
        raise NotOne
    return value


def port_count(node: Node) -> int:
    if not 0 <= (value := number(node)) <= 1000:
        raise NotOne
    return value


def duration(node: Node) -> float:
    seconds = parse_duration(text(node))
    if not seconds:
        raise NotOne
    return seconds


def duration_or_no(node: Node) -> float | None:
    """None for `no`."""
    return None if text(node) == "no" else duration(node)


def texts(node: Node) -> tuple[str, ...]:
    """A list of texts; one text is a list of one."""
    if isinstance(node, Scalar):
        return (text(node),)
    if not isinstance(node, List):
        raise NotOne
    return tuple(text(item) for item in node.items)


def task_ids(node: Node) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts(node)))


def inner_paths(node: Node) -> tuple[str, ...]:
    """Paths or globs that cannot lead out of the repository."""
    paths = texts(node)
    for path in paths:
        if path.startswith(("/", "~")) or ".." in path.split("/"):
            raise NotOne(f"'{path}' leads out of the repository: write a path inside it, relative to its root")
    return paths


def command(node: Node) -> str | tuple[str, ...]:
    """Script text, or an argument list."""
    if isinstance(node, List) and node.items:
        return tuple(_argument(item) for item in node.items)
    if isinstance(node, Scalar) and node.value.strip() and plain_value(node) is not None:
        return node.value
    raise NotOne


def _argument(node: Node) -> str:
    if not isinstance(node, Scalar) or (node.style == "" and plain_value(node) is None):
        raise NotOne
    return node.value


def variables(node: Node) -> Mapping[str, str]:
    if not isinstance(node, Map):
        raise NotOne
    for key, value in node.entries:
        if not _VARIABLE.match(key.value):
            raise NotOne(f"'{key.value}' is no name of an environment variable: use letters, digits and _")
        if not isinstance(value, Scalar):
            raise NotOne(f"the variable {key.value} must be one text, for example `{key.value}: test`")
    return {key.value: value.value for key, value in node.entries if isinstance(value, Scalar)}


def profiles(node: Node) -> Mapping[str, Any]:
    if not isinstance(node, Map) or not all(isinstance(value, Map) for _, value in node.entries):
        raise NotOne
    value: dict[str, Any] = as_python(node)
    return value


def rules(node: Node) -> tuple[str, ...]:
    names = texts(node)
    for name in names:
        if name not in RULES:
            raise NotOne(f"unknown rule '{name}' in `done_when`{nearest(name, RULES)}: known are {', '.join(RULES)}")
    return names


def restart(node: Node) -> RestartPolicy:
    """`safe`, `never`, or `{when: safe, limit: 3, window: 1h}`."""
    if isinstance(node, Scalar):
        return RestartPolicy(when=_restart_word(node))
    durations = ("window", "long_window", "backoff", "longest_backoff", "early", "reset")
    counts = ("limit", "long_limit", "same")
    readers = {"when": _restart_word, **dict.fromkeys(counts, positive), **dict.fromkeys(durations, duration)}
    return RestartPolicy(**mapping_of(node, "restart", readers))


def expiry(node: Node) -> ExpiryPolicy:
    return ExpiryPolicy(**mapping_of(node, "expiry", {"recovery": duration, "gate": duration}))


def outage(node: Node) -> OutagePolicy:
    readers = {"workers": positive, "within": duration, "pace": duration}
    return OutagePolicy(**mapping_of(node, "outage", readers))


def mapping_of(node: Node, name: str, readers: Mapping[str, Callable[[Node], Any]]) -> dict[str, Any]:
    """The values of a mapping under the key `name`, each by its own reader; an unknown one gets a hint."""
    if not isinstance(node, Map):
        raise NotOne
    read: dict[str, Any] = {}
    for key, value in node.entries:
        reader = readers.get(key.value)
        if reader is None:
            hint = nearest(key.value, readers) or f": known are {', '.join(readers)}"
            raise NotOne(f"unknown key '{key.value}' in `{name}`{hint}")
        try:
            read[key.value] = reader(value)
        except NotOne as wrong:
            if wrong.args or reader not in _KINDS:
                raise
            written = f"{key.value}: {value.value}" if isinstance(value, Scalar) else key.value
            raise NotOne(f"`{written}` in `{name}` must be {_KINDS[reader]}") from None
    return read


def _restart_word(node: Node) -> Any:
    return one_of("safe", "never")(node)


#: What a value of a mapping must be, by its reader.
_KINDS: Mapping[Callable[[Node], Any], str] = {
    duration: "a duration above 0, such as 90s, 10m or 1h",
    positive: "a whole number, 1 or more",
    _restart_word: "safe or never",
}


def one_of(*words: str) -> Callable[[Node], str]:
    def read(node: Node) -> str:
        value = text(node)
        if value not in words:
            raise NotOne
        return value

    return read
