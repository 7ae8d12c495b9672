from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from bot.table import Cell, Column, clean, cut, render, unpainted, width_of, wrap

anything = st.text(st.characters() | st.sampled_from("\x1b\r\n\t\x07\x9b\u202e\u2066\u200d漢字é👩"))


@given(anything)
def test_nothing_that_a_terminal_acts_on_is_left(text: str) -> None:
    for character in clean(text):
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        assert unicodedata.category(character) != "Cf" or character == "\u200d"


def test_control_characters_show_and_emoji_stay_whole() -> None:
    assert clean("a\x1b[31mb\u202ec\nd") == "a\ufffd[31mb\ufffdc d"
    assert clean("👩\u200d💻 漢") == "👩\u200d💻 漢"


def test_wide_characters_take_two_columns_and_accents_none() -> None:
    assert [width_of(text) for text in ("abc", "漢字", "e\u0301", "é")] == [3, 4, 1, 1]


@given(anything.map(clean), st.integers(0, 30))
def test_what_is_cut_fits(text: str, width: int) -> None:
    assert width_of(cut(text, width)) <= width
    assert cut(text, width_of(text)) == text


@given(st.text(st.sampled_from("ab 漢é")), st.integers(2, 20))
def test_wrapped_lines_fit_and_hold_every_word_in_order(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(width_of(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(st.lists(st.tuples(anything, anything, anything), max_size=5), st.integers(30, 120))
def test_a_table_never_goes_over_the_width(texts: list[tuple[str, str, str]], width: int) -> None:
    columns = (Column("ID", 6), Column("MORE", 6, drop=1), Column("TEXT", 10))
    lines = render(columns, [[Cell(text, "31") for text in row] for row in texts], width, colour=True)
    assert len(lines) == len(texts) + 1
    assert all(width_of(unpainted(line)) <= width for line in lines)


def test_columns_line_up_and_the_dispensable_one_goes_first() -> None:
    columns = (Column("ID", 6), Column("MORE", 6, drop=1), Column("TEXT", 10))
    rows = [[Cell("漢字"), Cell("x"), Cell("a long text here")], [Cell("second"), Cell("y"), Cell("short")]]
    assert render(columns, rows) == [
        "ID      MORE  TEXT",
        "漢字    x     a long text here",
        "second  y     short",
    ]
    assert render(columns, rows, width=20) == ["ID      TEXT", "漢字    a long text…", "second  short"]
