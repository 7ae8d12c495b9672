"""Any text as tmux and the shells that it starts take it, so that no character of it means anything to them."""

from __future__ import annotations

import os
import string
from pathlib import Path

_PLAIN = frozenset(string.ascii_letters + string.digits + "_-./:,@+=")


def literally(word: str) -> str:
    """An argument as tmux passes it on unchanged: a `;` at its end would begin the next command."""
    return word[:-1] + "\\;" if word.endswith(";") else word


def quoted(text: str) -> str:
    """Any text as one word of tmux's language: what is not plain goes as octal bytes, so no quoting rule applies."""
    return f'"{_octal(text)}"'


def for_shell(path: Path) -> str:
    """A path as one word of a shell command in which tmux looks for formats and dates of its own."""
    return f"\"$(printf '{_octal(str(path))}')\""


def _octal(text: str) -> str:
    return "".join(chr(byte) if chr(byte) in _PLAIN else f"\\{byte:03o}" for byte in os.fsencode(text))
