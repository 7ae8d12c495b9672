"""What the redactor finds, what it leaves alone, and how fast it is.

`python -m benchmarks redaction`, or with a corpus of labelled lines:
`MUX_REDACTION_CORPUS=corpus.jsonl python -m benchmarks redaction`, or
`python -m benchmarks.redaction --corpus corpus.jsonl`. The corpus is stored reversed and in rot13, one JSON object a
line with `text`, `secret` (what must not survive, or null) and `class`; it is decoded in memory only.
"""

from __future__ import annotations

import argparse
import base64
import codecs
import json
import os
import random
import string
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from benchmarks.figures import Figure, number, table
from board.redact import Redactor
from board.redact_text import normalise

_VARIABLE = "MUX_REDACTION_CORPUS"
_ROOT = Path(__file__).resolve().parent.parent
_REGISTERED = 200
_LETTERS = string.ascii_letters + string.digits + '+/=&?"\\~ é'

#: What agents, tests, builds and servers print. `#` becomes a number.
_LINES = (
    "2026-11-25T21:0#:1#.04#Z INFO  worker fix-login: running tests (# of 512)",
    "ok # - tests/board/test_parse.py::test_heading_with_colon[#] PASSED",
    "   Compiling serde v1.0.# (registry+https://github.com/rust-lang/crates.io-index)",
    "npm warn deprecated glob@7.2.#: Glob versions prior to v9 are no longer supported",
    "src/components/cart/CartSummary.tsx(#,17): error TS2345: Argument of type 'string' is not assignable to 'number'.",
    "[#/512] Building CXX object src/core/CMakeFiles/core.dir/session/manager.cpp.o",
    "I'll look at how the login redirect is computed, then write a failing test first. (#)",
    "diff --git a/board/keeper.py b/board/keeper.py",
    "index 3f2c1ab..9d0e1f2 100644",
    "+    def test_redirect_keeps_query(self, client: Client) -> None:  # case #",
    "GET /api/v1/users/#/orders?page=2&limit=50 200 13ms",
    "* 3f2c1ab (HEAD -> mux/shop/fix-login) Keep the query when redirecting (#)",
    "-rw-r--r-- 1 501 staff  # Nov 23 08:01 package-lock.json",
    "\x1b[32m✓\x1b[0m cart keeps items after login \x1b[2m(# ms)\x1b[0m",
    "warning: unused variable: `session` --> src/session.rs:#:9",
    "Downloading numpy-2.1.#-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl (18.3 MB)",
    '{"level":"info","msg":"request done","path":"/cart","status":200,"took":"#ms"}',
    "Tokens: # input, # output; the session took 4m 12s",
)


@dataclass(frozen=True, slots=True)
class Labelled:
    text: str
    secret: str | None
    kind: str


def redaction(quick: bool) -> Iterator[Figure]:
    """Of the corpus where there is one, of values made here, of the project's own lines, and of log lines."""
    named = os.environ.get(_VARIABLE)
    if named:
        yield from _of_corpus(load(Path(named)))
    else:
        print(f"redaction: the corpus is skipped: {_VARIABLE} does not name one", file=sys.stderr)
    yield _of_registered(20 if quick else _REGISTERED)
    yield _of_own_lines()
    yield from _of_log_lines(300_000 if quick else 4_000_000)


def load(path: Path) -> list[Labelled]:
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        secret = row["secret"]
        found.append(Labelled(_decoded(row["text"]), _decoded(secret) if secret else None, row["class"]))
    return found


def covered(secret: str, out: str, beside: str = "") -> bool:
    """No 8 consecutive characters of it are left; of a shorter one not the whole.

    `beside`: what stands around it, which may hold a word of it, too.
    """
    size = min(8, len(secret))
    left = (secret[at : at + size] for at in range(len(secret) - size + 1))
    return not any(part in out and part not in beside for part in left)


def _decoded(text: str) -> str:
    return codecs.encode(text[::-1], "rot13")


def _of_corpus(rows: list[Labelled]) -> Iterator[Figure]:
    redactor = Redactor()
    for what, kind, limit in (("secrets", "positive", 3.0), ("paths", "path", 1.0)):
        found = [(row.secret or "", row.text, redactor.redact(row.text)) for row in rows if row.kind == kind]
        missed = sum(not covered(secret, out) for secret, _, out in found)
        telling = sum(not covered(secret, out, text.replace(secret, " ")) for secret, text, out in found)
        how = f"{missed} of {len(found)}; {telling} of them leave more than stands beside them anyway"
        yield Figure(f"{what} of the corpus, not covered", _share(missed, len(found)), limit, "%", how)
    ordinary = [row.text for row in rows if row.kind == "benign-code"]
    changed = sum(redactor.redact(text) != text for text in ordinary)
    cut = sum(redactor.redact(text) != normalise(text) for text in ordinary)
    how = f"{changed} of {len(ordinary)}; {cut} of them not only for bytes that are no text"
    yield Figure("ordinary lines of the corpus, changed", _share(changed, len(ordinary)), 37.0, "%", how)


def _of_registered(count: int) -> Figure:
    chosen = random.Random(7)
    values = {
        f"V{each}": "".join(chosen.choices(_LETTERS, k=chosen.randrange(10, 60))).strip() for each in range(count)
    }
    values = {name: f"{value}x1" for name, value in values.items()}
    redactor = Redactor(values)
    missed = tried = 0
    for value in values.values():
        for form, telling in _forms(value):
            tried += 1
            missed += not covered(telling, redactor.redact(f"it said {form} then"))
    how = f"{missed} of {tried}: {count} values, plain, URL, base64 (3 alignments, 2 alphabets), hex (2 cases), JSON"
    return Figure("registered values that survive, in any encoding", _share(missed, tried), 0.0, "%", how)


def _forms(value: str) -> Iterator[tuple[str, str]]:
    """Each encoding, and what of it is about the value alone."""
    data = value.encode()
    for form in (value, quote(value, safe=""), data.hex(), data.hex().upper(), json.dumps(value)[1:-1]):
        yield form, form
    encoders: tuple[Callable[[bytes], bytes], ...] = (base64.b64encode, base64.urlsafe_b64encode)
    for before in range(3):
        for encode in encoders:
            form = encode(b"x" * before + data + b"yz").decode()
            yield form, form[2:-6]


def _of_own_lines() -> Figure:
    """The code of this project, but for what is about redaction: its examples are meant to be cut."""
    redactor = Redactor()
    lines = [
        line
        for folder in ("board", "runners", "bot")
        for path in sorted((_ROOT / folder).glob("*.py"))
        if "redact" not in path.name
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    changed = sum(redactor.redact(line) != line for line in lines)
    return Figure(
        "lines of mux's own code, changed", _share(changed, len(lines)), 1.0, "%", f"{changed} of {len(lines)}"
    )


def _of_log_lines(size: int) -> Iterator[Figure]:
    chosen = random.Random(3)
    lines: list[str] = []
    while size > 0:
        lines.append("".join(str(chosen.randrange(60)) if each == "#" else each for each in chosen.choice(_LINES)))
        size -= len(lines[-1]) + 1
    text = "\n".join(lines)
    values = {f"V{each}": "".join(chosen.choices(string.ascii_letters, k=32)) for each in range(40)}
    redactor = Redactor(values, ["/home/ana"], ["/home/ana/shop"], "ana", "build-07")
    begin = time.process_time()
    out = redactor.redact(text)
    seconds = time.process_time() - begin
    changed = sum(one != other for one, other in zip(out.split("\n"), normalise(text).split("\n"), strict=True))
    speed = len(text) / 1e6 / seconds
    how = f"{number(speed)} MB/s; {number(len(text) / 1e6)} MB in one piece, CPU time"
    yield Figure("1 MB of log lines, redacted", 1000 / speed, 200.0, "ms", how)
    yield Figure("log lines changed", _share(changed, len(lines)), 0.1, "%", f"{changed} of {len(lines)}")


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redaction", description=redaction.__doc__)
    parser.add_argument("--corpus", help=f"the file of labelled lines (default: {_VARIABLE})")
    parser.add_argument("--quick", action="store_true", help="small and short, to try it out")
    arguments = parser.parse_args()
    if arguments.corpus:
        os.environ[_VARIABLE] = arguments.corpus
    print(table(list(redaction(arguments.quick))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
