"""The menu that a screen shows: its options, and where its mark stands, so that no other one is taken. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runners.draft import attributes, parts, text_of_styled

_MARKED = re.compile(r"(?P<before>[\s│┃]*)[❯›●▸▶►➤>◉»](?P<gap>\s+)\S")
_KEY = re.compile(r"(\d{1,2}|[a-z])[.)]\s", re.IGNORECASE)
_FRAME = " \t\xa0│┃"
_END = re.compile(r"[\s│┃║█▐]+\Z")
_APART = 4  # lines: a long option is wrapped, or explained
_NEAR_END = 10  # lines with text: where a row of options may stand
_COLUMNS = re.compile(r"\S+(?: \S+)*")  # texts with two blanks or more between them
_ASKS = 10  # lines with text above the mark that may belong to the question
_RULE = re.compile(r"\s*[─━═▔]{6,}\s*\Z")
_TIMER = re.compile(r"\d+(?:s|m \d+s)(?=\s*[)•·])")
_ROW_ENDS = 6  # blanks: what is farther to the right is a hint


@dataclass(frozen=True, slots=True)
class Menu:
    """Options one below the other, or side by side; `chosen` is the index of the one that Enter would take."""

    options: tuple[str, ...]
    chosen: int
    is_row: bool = False

    @property
    def has_keys(self) -> bool:
        """Each option shows the key that takes it, or that moves the mark there."""
        return _KEY.match(self.options[self.chosen]) is not None

    def index(self, key: str) -> int | None:
        """The option that shows this key; where they show none, the one with this number, from 1."""
        if self.has_keys:
            shown = [found[1].lower() if (found := _KEY.match(option)) else "" for option in self.options]
            return shown.index(key.lower()) if key.lower() in shown else None
        number = int(key) if key.isdecimal() else 0
        return number - 1 if 1 <= number <= len(self.options) else None


def find_menu(styled: str) -> Menu | None:
    """The lowest menu of a screen that was captured with its colours. None: there is none whose mark can be seen."""
    found = _find(_lines(styled))
    return found[0] if found else None


def find_question(styled: str) -> str:
    """What the lowest menu asks and offers, wherever its mark stands: another text is another question. Empty: no menu.

    The options alone do not tell: the next command is asked about with the same ones.
    """
    lines = _lines(styled.partition("\n")[2])  # without the line that a screen was captured with from above it
    found = _find(lines)
    if found is None:
        return ""
    menu, number = found
    plain = [text for _, text in lines]
    top = max(0, number - _ASKS)
    first = max((each + 1 for each in range(top, number) if _RULE.match(plain[each])), default=top)
    ends = (each for each in range(number, len(plain)) if plain[each].endswith(menu.options[-1]))
    text = "\n".join(plain[first : next(ends, number) + 1])
    return "".join(letter for letter in _TIMER.sub("", text) if letter.isalnum())


def _lines(styled: str) -> list[tuple[str, str]]:
    """Those with text, with their colours and without."""
    lines = [(line, _END.sub("", text_of_styled(line))) for line in styled.split("\n")]
    return [(line, text) for line, text in lines if text]


def _find(lines: list[tuple[str, str]]) -> tuple[Menu, int] | None:
    """The lowest menu, and the line with its mark."""
    plain = [text for _, text in lines]
    for number in range(len(plain) - 1, -1, -1):
        marked = _MARKED.match(plain[number])
        if marked and (menu := _column(plain, number, marked.end() - 1)):
            return menu, number
        if number >= len(plain) - _NEAR_END and (menu := _row(*lines[number])):
            return menu, number
    return None


def _column(lines: list[str], number: int, at: int) -> Menu | None:
    """The options above and below the marked line, which begin in the same column."""
    keyed = bool(_KEY.match(lines[number][at:]))

    def beside(step: int) -> Iterator[str]:
        apart, other = 0, number + step
        while 0 <= other < len(lines) and apart < _APART:
            text = lines[other].lstrip(_FRAME)
            begin = len(lines[other]) - len(text)
            if abs(begin - at) <= keyed and keyed == bool(_KEY.match(text)):  # ` 9.` may stand above `10.`
                apart = 0
                yield text
            elif begin < at and not keyed:
                return
            else:
                apart += 1
            other += step

    above, below = tuple(beside(-1))[::-1], tuple(beside(1))
    if not above and not below:
        return None
    return Menu((*above, lines[number][at:], *below), len(above))


def _row(line: str, text: str) -> Menu | None:
    """Options side by side, of which one stands on a ground of its own."""
    grounds = _grounds(line)
    cells: list[re.Match[str]] = []
    for found in _COLUMNS.finditer(text, len(text) - len(text.lstrip(_FRAME))):
        if cells and found.start() - cells[-1].end() >= _ROW_ENDS:
            break
        cells.append(found)
    own = [set(grounds[cell.start() : cell.end()]) for cell in cells]
    marked = [
        index for index, ground in enumerate(own) if len(ground) == 1 and sum(ground == each for each in own) == 1
    ]
    if len(cells) < 2 or len(marked) != 1 or len({frozenset(ground) for ground in own}) != 2:
        return None
    return Menu(tuple(cell[0] for cell in cells), marked[0], is_row=True)


def _grounds(line: str) -> list[str]:
    """The background of each letter of a line, reversed ones apart from others."""
    grounds: list[str] = []
    ground, is_reversed = "", False
    for text, codes in parts(line):
        grounds += [f"{ground}{'r' * is_reversed}"] * len(text)
        for code, color in attributes(codes) if codes is not None else ():
            match code:
                case "" | "0":
                    ground, is_reversed = "", False
                case "7" | "27":
                    is_reversed = code == "7"
                case "48":
                    ground = ";".join(color)
                case "49":
                    ground = ""
                case _ if re.fullmatch(r"4[0-7]|10[0-7]", code):
                    ground = code
    return grounds
