from __future__ import annotations

import pytest

from runners.words import quotable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 日本 👩\u200d💻", "plain ä 日本 👩\u200d💻"),
        (" two\nlines\tand\r\n more \u2028 ", "two lines and more"),
        ("\x1b[2Jred\x07\x00", "[2Jred"),
        ("abc\u202edef\u2066\u200b\ufeff", "abcdef"),
        ("bytes \udcff", "bytes"),
        ("", ""),
    ],
)
def test_nothing_that_a_screen_obeys_hides_or_reorders_by(text: str, shown: str) -> None:
    assert quotable(text) == shown


def test_a_cut_shows() -> None:
    assert quotable("x" * 300) == "x" * 300
    assert quotable("x" * 301) == "x" * 299 + "…"
    assert quotable("ab cd", 4) == "ab…"
