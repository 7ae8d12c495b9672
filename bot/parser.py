"""What reads the words of a command: as argparse does, with options anywhere and every error in one line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from board.errors import UsageError


class Parser(argparse.ArgumentParser):
    """Raises UsageError for words that it does not take."""

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        words = list(args or ())
        takes_all = any(action.nargs == argparse.REMAINDER for action in self._actions)
        return super().parse_args(words if takes_all else self._options_first(words), namespace)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see: {self.prog} --help")

    def _options_first(self, words: list[str]) -> list[str]:
        """argparse fills words that may be left out before it looks behind the next option: none may stand there."""
        options: list[str] = []
        others: list[str] = []
        at = 0
        while at < len(words) and words[at] != "--":
            values = self._values(words[at])
            if values is not None and at + values >= len(words):
                return words  # its value is missing, and no other word may become it
            (others if values is None else options).extend(words[at : at + 1 + (values or 0)])
            at += 1 + (values or 0)
        return [*options, *others, *words[at:]]

    def _values(self, word: str) -> int | None:
        """How many of the words behind an option belong to it; None: it is none."""
        known = self._option_string_actions
        if word in known:
            return int(known[word].nargs is None)
        if word.partition("=")[0] in known:
            return 0
        if not word.startswith("-") or word == "-":
            return None
        for at, letter in enumerate(word[1:], 2):  # several in one, as in -fn 5
            action = known.get(f"-{letter}")
            if action is None:
                return None
            if action.nargs is None:
                return int(at == len(word))
        return 0
