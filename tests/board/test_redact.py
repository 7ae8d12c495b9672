"""The whole pipeline: what must hold whatever the text is."""

from __future__ import annotations

import base64
import json
import re
import time
import unicodedata
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from board.redact import WITHHELD, Redactor, outgoing, safe
from board.redact_text import MARKERS
from tests.board.secrets_made import HEX, made, survives

ENCODED: dict[str, Callable[[str], str]] = {
    "plain": lambda value: value,
    "url": lambda value: quote(value, safe=""),
    "url, lower case": lambda value: re.sub("%..", lambda match: match[0].lower(), quote(value, safe="")),
    "form": quote_plus,
    "hex": lambda value: value.encode().hex(),
    "HEX": lambda value: value.encode().hex().upper(),
    "json": lambda value: json.dumps(value)[1:-1],
    "json, not ASCII": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "json in json": lambda value: json.dumps(json.dumps(value))[1:-1],
    **{
        f"base64 after {before} bytes, {name}": lambda value, before=before, encode=encode: encode(
            b"x" * before + value.encode() + b"yz"
        ).decode()
        for before in range(3)
        for name, encode in (("standard", base64.b64encode), ("url-safe", base64.urlsafe_b64encode))
    },
}
#: With what is special in each of the encodings.
VALUES = ("correct horse/battery+staple=9", 'q"uo\\te&<d>', "pä$$wörd?ñ~~", made(1, 8), made(2, 40), "?>?>?>~~~9x")
#: What a rule of any kind begins at, and what may break one.
PIECES = st.sampled_from(
    [
        *(
            "password",
            "token=",
            "key: ",
            "://",
            "@",
            "Bearer ",
            "-----BEGIN PRIVATE KEY-----",
            "-----END",
            "cookie: a=",
        ),
        *("\n", "\r", "\x08", "\x1b[31m", "\x1b[K", "\x1b]0;", "\u202e", "\u200b", "│", "İ", "[redacted]", "[path]"),
        *("/home/ana/", "/root", "~ana/", "%2fhome%2f", "-home-", "\\\\", "$HOME/", "src/cart.py", "ana", "build-07"),
        *("sk-", "ghp_", "-u ", " -p ", "cookie: a=", '"', "'", "[", "]", "=", ":", "/", ".", "hunter2", "fix-login"),
        *(made(3, 20), made(4, 40, HEX), made(5, 12)),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=14).map("".join)
ROOT = "/home/ana/shop.worktrees/shop/fix"
OURS = Redactor({"A_TOKEN": made(6, 24), "B_PASSWORD": "h4nter"}, ["/home/ana"], [ROOT], "ana", "build-07.lan")
#: What may stand between two characters of a value that belong together.
BREAKS = ("", "\x1b[1;31m", "\x1b[0m", "\n", "\r\n", "\n    ", " │\n│ ", "\\\n", "\u200b", "\x1b]8;;x\x07", "\x00")
#: Control characters around a value may make a terminal swallow some of it; here it is shown as a whole.
AROUND = st.text(st.characters(exclude_categories=["C"]), max_size=30)


def inner(encoding: str, form: str) -> str:
    """Without the characters of base64 that neighbours share, and that say nothing whole about the value."""
    return form[2:-6] if encoding.startswith("base64") else form


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("value", VALUES)
def test_a_registered_value_is_found_in_every_encoding(value: str, encoding: str) -> None:
    form = ENCODED[encoding](value)
    out = Redactor({"A_TOKEN": value}).redact(f"said {form} and went on")
    assert not survives(inner(encoding, form), out)
    assert out.startswith("said ") and out.endswith(" and went on")


@given(
    value=st.text(
        st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=["C", "Z"]), min_size=8, max_size=60
    ),
    encoding=st.sampled_from(sorted(ENCODED)),
    before=AROUND,
    after=AROUND,
    breaks=st.sampled_from(BREAKS),
    at=st.floats(0, 1),
)
@settings(max_examples=400, deadline=None)
def test_a_registered_value_never_survives(
    value: str, encoding: str, before: str, after: str, breaks: str, at: float
) -> None:
    assume(len(set(value)) >= 4)
    form = ENCODED[encoding](value)
    cut = int(len(form) * at)
    out = Redactor({"A_TOKEN": value}).redact(before + form[:cut] + breaks + form[cut:] + after)
    shown = "".join(each for each in out if not each.isspace() and each not in "│\\")
    if not survives(inner(encoding, form), before + after):
        assert not survives(inner(encoding, form), shown) or any(marker in inner(encoding, form) for marker in MARKERS)


@pytest.mark.parametrize("width", range(7, 60, 4))
def test_a_value_is_found_at_every_wrap_width(width: int) -> None:
    value = made(7, 50)
    line = f"the deploy key of the shop is {value} and nobody may know"
    wrapped = "\n".join(line[at : at + width] for at in range(0, len(line), width))
    assert not survives(value, Redactor({"A_TOKEN": value}).redact(wrapped).replace("\n", ""))


@given(TEXTS)
@settings(max_examples=600, deadline=None)
def test_twice_is_as_once(text: str) -> None:
    once = OURS.redact(text)
    assert OURS.redact(once) == once


@given(TEXTS | st.text())
@settings(max_examples=300, deadline=None)
def test_nothing_that_steers_a_terminal_or_turns_text_around_gets_out(text: str) -> None:
    out = OURS.redact(text)
    assert {each for each in out if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")} <= {"\n", "\t"}
    assert not set(out) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u200b\ufeff")


@given(TEXTS, st.integers(0, 80))
@settings(max_examples=300, deadline=None)
def test_what_goes_out_is_no_longer_than_allowed_and_ends_in_no_half_marker(text: str, limit: int) -> None:
    out = outgoing(text, limit, OURS)
    whole = OURS.redact(text)
    assert len(out) <= limit
    assert out == whole or out.endswith("…") or limit == 0
    for marker in MARKERS:
        for size in range(2, len(marker)):
            if out.endswith(f"{marker[:size]}…"):
                assert not whole.startswith(out[: -size - 1] + marker)


def test_the_longest_text_that_fits_is_not_cut() -> None:
    assert outgoing("a" * 20, 20, OURS) == "a" * 20
    assert outgoing("a" * 21, 20, OURS) == "a" * 19 + "…"


def test_a_secret_is_redacted_before_the_text_is_cut() -> None:
    value = made(8, 40)
    redactor = Redactor({"A_TOKEN": value})
    assert outgoing(f"see {value}", 20, redactor) == "see [redacted]"
    assert outgoing(f"see {value}", 12, redactor) == "see…"


class Broken(Redactor):
    def redact(self, text: str) -> str:
        raise RecursionError(text)


@pytest.mark.parametrize("call", [safe, lambda text, redactor, report: outgoing(text, 100, redactor, report)])
def test_a_redactor_that_fails_withholds_the_text(call: Callable[..., str]) -> None:
    seen: list[Exception] = []
    assert call("words", Broken(), seen.append) == WITHHELD
    assert [type(error) for error in seen] == [RecursionError]


def test_a_hook_that_fails_too_does_not_let_the_text_out() -> None:
    def report(error: Exception) -> None:
        raise OSError("the journal's disk is full")

    assert safe("words", Broken(), report) == WITHHELD


@pytest.mark.parametrize("text", [None, 7, b"words"])
def test_what_is_no_text_is_withheld(text: object) -> None:
    assert safe(text, OURS) == WITHHELD  # type: ignore[arg-type]


ADVERSARIAL = {
    "one letter": "a",
    "one name": "password",
    "names and signs": "token=",
    "open quotes": 'password="',
    "quotes": "token='\" ",
    "keys begun": "-----BEGIN PRIVATE KEY-----",
    "key file begun": '{"type": "service_account"',
    "urls begun": "x://a:",
    "at signs": "a@b:",
    "words and at signs": "word.",
    "paths": "/home/a",
    "paths up": "../",
    "worktrees": "../worktree",
    "shares": "\\\\",
    "drives": "C:\\a ",
    "encoded": "%2fhome%2f",
    "dashes": "-home-",
    "options": " -u a:",
    "logins": "login -p ",
    "escapes": "\x1b[",
    "escapes that open": "\x1b]",
    "backspaces": "a\x08",
    "returns": "ab\r",
    "lines": "a1b2c3d4e5f6g7h\n",
    "blanks": " \t",
    "brackets": "key[{(",
    "colons": "key : ",
    "equals": "a=b/c.",
    "cookies": "cookie: a=b; ",
    "lists": "password: \n - ",
    "compares": '"a" == password ',
    "hex": "0a",
}


@pytest.mark.parametrize("piece", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_a_megabyte_meant_to_be_slow_is_not(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    begin = time.process_time()
    OURS.redact(text)
    assert time.process_time() - begin < 20
