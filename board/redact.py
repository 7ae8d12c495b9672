"""The one door through which text leaves the machine. Pure: what is known is given, text in, text out.

    normalise -> registered values -> context rules -> opaque runs -> paths, users, hosts -> truncate

Only for what goes out: what a worker or the board reads back is never masked. What was cut shows as `[redacted]`,
`[path]`, `[user]`, `[host]`, `[binary]`. Escaping for a chat comes after all this and is not done here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Protocol

from board import redact_paths, redact_rules
from board.redact_known import Known
from board.redact_opaque import opaque_runs
from board.redact_paths import OwnSpan, Places
from board.redact_text import PATH, Span, blanked, cut, is_plain, rendered, stripped, truncate, uncoloured
from board.redact_triggers import Rule, Triggers

WITHHELD = "[withheld: the redactor failed]"

Report = Callable[[Exception], object]
_ROUNDS = 20


class Redacts(Protocol):
    """A `Redactor`, or what finds the one to be asked now."""

    def redact(self, text: str) -> str: ...


class Redactor:
    """Built once from what is known on this machine; then `redact` as often as there is text. Threads may share it.

    `values`: names to registered secret values (`known_values`). `homes`: home folders, shown as `~`. `roots`:
    worktrees and repositories, below which paths are shown relative. `user` and `host`: as the system calls them.
    """

    def __init__(
        self,
        values: Mapping[str, str] = MappingProxyType({}),
        homes: Iterable[str] = (),
        roots: Iterable[str] = (),
        user: str = "",
        host: str = "",
    ) -> None:
        self._known = Known(values)
        places = Places(homes, roots, user, host)
        self._triggers = Triggers(_all_rules(redact_rules.RULES, redact_paths.RULES, places.rules))

    @property
    def names(self) -> tuple[str, ...]:
        """What is registered, by name. There is no way to ask for the values."""
        return self._known.names

    def redact(self, text: str) -> str:
        """The text without what must not leave. Doing it twice changes nothing."""
        text = uncoloured(text)
        if not is_plain(text):  # a value may be whole only before, between or after these steps
            text = stripped(cut(text, self._known.spans(blanked(text))))
            text = rendered(cut(text, self._known.spans(text)))
        text = stripped(text)
        for _ in range(_ROUNDS):  # what is next to a marker may read differently than before
            cleaner = cut(text, self._spans(text))
            if cleaner == text:
                break
            text = cleaner
        return text

    def _spans(self, text: str) -> Iterator[Span]:
        yield from self._known.spans(text)
        yield from _own_first(self._triggers.spans(text))
        yield from opaque_runs(text)


def safe(text: str, redactor: Redacts, report: Report | None = None) -> str:
    """The redacted text, or, if the redactor fails for whatever reason, a line that says so and never the text.

    `report` gets the error, for the journal; it must not be told to people, as an error may quote the text.
    """
    return _withheld_if_failing(lambda: redactor.redact(text), report)


def outgoing(text: str, limit: int, redactor: Redacts, report: Report | None = None) -> str:
    """As `safe`, with at most `limit` characters. Cut after redacting: a secret cut in half would not be found."""
    return _withheld_if_failing(lambda: truncate(redactor.redact(text), limit), report)


def _withheld_if_failing(work: Callable[[], str], report: Report | None) -> str:
    try:
        return work()
    except Exception as error:
        if report:
            with suppress(Exception):  # what is raised from here would carry the error, and with it the text
                report(error)
        return WITHHELD


def _all_rules(*tables: Mapping[str, Iterable[Rule]]) -> dict[str, list[Rule]]:
    merged: dict[str, list[Rule]] = {}
    for table in tables:
        for literal, rules in table.items():
            merged.setdefault(literal, []).extend(rules)
    return merged


def _own_first(spans: Iterable[Span]) -> list[Span]:
    """Without what a general rule says about a path that is known, and shown as what it is here."""
    found = list(spans)
    own = {span.start for span in found if isinstance(span, OwnSpan)}
    return [span for span in found if span.marker != PATH or span.start not in own] if own else found
