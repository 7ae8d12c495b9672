"""Text as a terminal would show it, without the bytes that steer a terminal. Pure.

A secret that control sequences cut in two is whole again afterwards, and so can be found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

REDACTED = "[redacted]"
PATH = "[path]"
USER = "[user]"
HOST = "[host]"
BINARY = "[binary]"
MARKERS = (REDACTED, PATH, USER, HOST, BINARY)
MARKER = re.compile("|".join(re.escape(marker) for marker in MARKERS))

_BREAKS = ("\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029")
#: One character that the terminal obeys and nobody sees; `_ERASE` stands for it between the two steps.
_ERASE_LINE, _ERASE_REST = "\x1c", "\x1d"
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)([0-?]*+)[ -/]*+([@-~])"  # colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*+(?:\x07|\x1b\\|\x9c)?"  # titles, links, device strings
    r"|\x1b(?:\[|[ -/]*+[0-Z\\^-~])?|\x9b"  # character sets, keypad, and the like; what is not complete
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*+m")
_OVERPRINTS = re.compile("[\r\x08\x1c\x1d]")
_CONTROL = re.compile("[\x00-\x07\x0b\x0c\x0e-\x1b\x1e\x1f\x7f-\x9f]")
#: Not seen on a screen, or seen in another order than they stand: zero width, directions, fillers, variations, tags.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_TEXT = re.compile("[\x00-\x07\x0e-\x1a\x7f-\x9f\ufffd\ud800-\udfff]")
_BINARY_SHARE, _BINARY_LEAST = 6, 3  # a line is binary with one such character in six, and at least three


class Span(NamedTuple):
    """What to put in the place of `text[start:end]`."""

    start: int
    end: int
    marker: str


def words_of(table: str) -> list[str]:
    """Of a table that is easier to read as lines."""
    return table.split()


def normalise(text: str) -> str:
    """Lines as they end up on a screen, ended by `\\n`, with tabs and visible characters only."""
    return rendered(stripped(text))


def stripped(text: str) -> str:
    """Without control sequences and what is not seen; what prints over an earlier part of a line is still there.

    Cursor movements within a line become a space, those to another line a new line. A line of bytes that are no text
    becomes `[binary]`.
    """
    text = uncoloured(text)
    if _NOT_TEXT.search(text):
        text = "\n".join(BINARY if _is_binary(line) else line for line in text.split("\n"))
    if _CONTROL.search(text) or _OVERPRINTS.search(text):
        text = text.replace(_ERASE_LINE, "").replace(_ERASE_REST, "")
        text = _CONTROL.sub("", _SEQUENCE.sub(_in_place_of, text))
    if not text.isascii():
        text = _SURROGATE.sub("\ufffd", _UNSEEN.sub("", text))
    return text


def uncoloured(text: str) -> str:
    """Without colours, which nearly all output has, and with one kind of line break."""
    if "\x1b[" in text:
        text = _COLOUR.sub("", text)
    for line_break in _BREAKS:
        text = text.replace(line_break, "\n")
    return text


def blanked(text: str) -> str:
    """As long as the text, with a blank for each control character."""
    return _CONTROL.sub(" ", text)


def is_plain(text: str) -> bool:
    """Whether an uncoloured text has nothing that steers a terminal."""
    return not (_CONTROL.search(text) or _OVERPRINTS.search(text) or _NOT_TEXT.search(text))


def rendered(text: str) -> str:
    """A stripped text with what is printed over an earlier part of its line (`\\r`, backspace) in the place of that."""
    if not _OVERPRINTS.search(text):
        return text
    return "\n".join(_overprinted(line) if _OVERPRINTS.search(line) else line for line in text.split("\n"))


def cut(text: str, spans: Iterable[Span]) -> str:
    """The text with the spans replaced."""
    parts: list[str] = []
    at = 0
    for span in joined(spans):
        parts += (text[at : span.start], span.marker)
        at = span.end
    return "".join((*parts, text[at:])) if parts else text


def joined(spans: Iterable[Span]) -> list[Span]:
    """In order, with those that overlap made one: shown as the one that holds the other, else as a secret."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if found and span.start < found[-1].end:
            if span.end > found[-1].end:
                last = found[-1]
                marker = REDACTED if REDACTED in (span.marker, last.marker) else last.marker
                found[-1] = Span(last.start, span.end, marker)
        elif span.start < span.end:
            found.append(span)
    return found


def truncate(text: str, limit: int) -> str:
    """At most `limit` characters, the last one `…` where something is missing. No half marker stays at the end."""
    if len(text) <= limit:
        return text
    end = max(limit - 1, 0)
    for match in MARKER.finditer(text, max(end - max(map(len, MARKERS)), 0), end + max(map(len, MARKERS))):
        if match.start() < end < match.end():
            end = match.start()
    return (text[:end].rstrip() + "…")[:limit]


def _in_place_of(match: re.Match[str]) -> str:
    parameters, final = match[1] or "", match[2] or ""
    if final == "K":
        return _ERASE_LINE if parameters == "2" else _ERASE_REST if parameters in ("", "0") else ""
    if final in ("C", "G"):
        return " "
    return "\n" if final and final in "ABEFHf" else ""


def _overprinted(line: str) -> str:
    shown: list[str] = []
    at = 0
    for character in line:
        if character == "\r":
            at = 0
        elif character == "\x08":
            at = max(at - 1, 0)
        elif character == _ERASE_REST:
            del shown[at:]
        elif character == _ERASE_LINE:
            shown = [" "] * at
        else:
            shown[at : at + 1] = character
            at += 1
    return "".join(shown).rstrip() if _ERASE_LINE in line else "".join(shown)


def _is_binary(line: str) -> bool:
    odd = len(_NOT_TEXT.findall(line))
    return odd >= _BINARY_LEAST and odd * _BINARY_SHARE >= len(line)
