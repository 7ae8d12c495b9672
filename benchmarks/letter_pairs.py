"""`python -m benchmarks.letter_pairs`: prints the table of `board/redact_opaque.py`, counted anew.

How much more often two characters follow each other in random strings than in the names, paths and words of Python's
standard library and of this project: 5 is equally often, each step a factor of two.
"""

from __future__ import annotations

import math
import random
import re
import string
import sysconfig
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from board.redact_opaque import SYMBOLS, symbols

_TOKEN = re.compile(r"[A-Za-z0-9_+/=.~-]{6,}")
_ALPHABETS = (
    *(string.ascii_letters + string.digits + extra for extra in ("", "", "-_", "+/")),
    *(string.ascii_lowercase + string.digits,) * 2,
    *("0123456789abcdef",) * 2,
    *(string.ascii_uppercase + "234567", string.ascii_uppercase + string.digits),
)
_RANDOM_STRINGS = 60_000


def main() -> None:
    ordinary, opaque = _pairs(_ordinary()), _pairs(_opaque())
    for first in SYMBOLS:
        shares = [
            [(pairs[first + each] + 2) / _total(pairs, first) for each in SYMBOLS] for pairs in (opaque, ordinary)
        ]
        print("".join(str(max(0, min(9, round(5 + math.log2(a / b))))) for a, b in zip(*shares, strict=True)))


def _pairs(tokens: Iterator[tuple[str, float]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for token, weight in tokens:
        text = symbols(token)
        for first, second in pairwise(text):
            found[first + second] += weight  # type: ignore[assignment]
    return found


def _total(pairs: Counter[str], first: str) -> float:
    return sum(pairs[first + each] + 2 for each in SYMBOLS)


def _ordinary() -> Iterator[tuple[str, float]]:
    counted: Counter[str] = Counter()
    library = Path(sysconfig.get_paths()["stdlib"])
    for path in [*sorted(library.rglob("*.py")), *sorted(Path().rglob("docs/*.md")), *sorted(Path().rglob("b*/*.py"))]:
        if "site-packages" not in path.parts:
            counted.update(_TOKEN.findall(path.read_text(encoding="utf-8", errors="replace")))
            counted[str(path.relative_to(library) if path.is_relative_to(library) else path)] += 1
    for token, count in counted.items():
        yield token, min(count, 20) ** 0.5


def _opaque() -> Iterator[tuple[str, float]]:
    chosen = random.Random(1)
    for _ in range(_RANDOM_STRINGS):
        alphabet = chosen.choice(_ALPHABETS)
        yield "".join(chosen.choice(alphabet) for _ in range(chosen.randrange(16, 44))), 1.0


if __name__ == "__main__":
    main()
