"""What stands in an agent's input line and was typed there: hints that the agent itself shows in it are not. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runners.screens import ScreenRule, input_lines

_SEQUENCE = re.compile(r"\x1b\[([0-9;:]*)m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x0e\x0f]")
_MARKER = re.compile(r"[\s│┃]*(?:[\w-]+(?=>))?[❯›>▌!#*$┃](?=\s|\Z)")
_RIGHT = re.compile(r"[\s│┃║█▐]+\Z")
_FRAME = re.compile(r"[\s─━═╌╭╮╰╯┌┐└┘╹╻▀▄│┃]*\Z")


def find_draft(styled: str, rules: Sequence[ScreenRule]) -> str | None:
    """What was typed into the input line of a screen that was captured with its colours, and not sent yet.

    Empty: nothing was, or all in it is faint or grey, as hints are, or the cursor, which some agents draw. None: no
    input line is on the screen, or something else takes the keys.
    """
    plain, typed = _both(styled)
    found = input_lines("\n".join(plain), rules)
    if found is None:
        return None
    first, last = found
    if last < first:
        return ""
    marked = next((number for number in range(first, last + 1) if _MARKER.match(plain[number])), first)
    begin = _MARKER.match(plain[marked])
    lines = [typed[marked][begin.end() if begin else 0 :]]
    for number in range(marked + 1, last + 1):
        if _FRAME.match(plain[number]) and plain[number].strip():
            break
        lines.append(typed[number])
    return "\n".join(_RIGHT.sub("", line).strip(" │┃") for line in lines).strip()


def text_of_styled(styled: str) -> str:
    return _SEQUENCE.sub("", styled)


def _both(styled: str) -> tuple[list[str], list[str]]:
    """The lines as they read, and with blanks for all that is faint or reversed.

    A reversed letter is the cursor: on a hint where the rest of its line is faint, else on what was typed.
    """
    plain: list[str] = []
    typed: list[str] = []
    faint: frozenset[str] = frozenset()
    for line in styled.split("\n"):
        pieces: list[tuple[str, frozenset[str]]] = []
        for text, codes in parts(line):
            pieces.append((text, faint))
            if codes is not None:
                faint = _after(faint, codes)
        hinted = any(text.strip() and shown - {"7"} for text, shown in pieces)
        plain.append("".join(text for text, _ in pieces))
        typed.append(
            "".join(
                text if not shown or (shown == {"7"} and len(text) == 1 and not hinted) else " " * len(text)
                for text, shown in pieces
            )
        )
    return plain, typed


def parts(line: str) -> Iterator[tuple[str, str | None]]:
    """Each text of a line, and the codes of the sequence that follows it."""
    at = 0
    for match in _SEQUENCE.finditer(line):
        yield line[at : match.start()], match[1]
        at = match.end()
    yield line[at:], None


def attributes(codes: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each code of a sequence; behind 38 and 48 the number of a colour in the palette, or its three channels."""
    words = iter(codes.replace(":", ";").split(";"))
    for code in words:
        count = {"5": 1, "2": 3}.get(next(words, ""), 0) if code in ("38", "48") else 0
        yield code, tuple(next(words, "") for _ in range(count))


def _after(faint: frozenset[str], codes: str) -> frozenset[str]:
    """Which of faint, reversed and grey (90) hold after a sequence."""
    for code, color in attributes(codes):
        match code:
            case "" | "0":
                faint = frozenset()
            case "2" | "7":
                faint |= {code}
            case "22":
                faint -= {"2"}
            case "27":
                faint -= {"7"}
            case "90":
                faint |= {"90"}
            case "38":
                faint = faint | {"90"} if _is_grey(color) else faint - {"90"}
            case _ if code == "39" or re.fullmatch(r"3[0-7]|9[1-7]", code):
                faint -= {"90"}
    return faint


def _is_grey(color: tuple[str, ...]) -> bool:
    """A colour of the palette, or of three channels, as hints have it: neither what is black nor what is bright."""
    if len(color) == 1:
        return color[0] == "8" or color[0] in map(str, range(238, 251))
    channels = [int(each) for each in color if each.isdigit()]
    return len(channels) == 3 and max(channels) - min(channels) <= 24 and min(channels) >= 64 and max(channels) <= 190
