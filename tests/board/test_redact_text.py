from __future__ import annotations

import pytest

from board.redact_text import Span, cut, normalise, truncate


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;32mok\x1b[0m", "ok"),
        ("a\x1b]0;a title\x07b", "ab"),
        ("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x1b[5Cb\x1b[2;1Hc", "a b\nc"),
        ("10%\r20%\r100%", "100%"),
        ("downloading\rdone", "doneloading"),
        ("downloading\r\x1b[Kdone", "done"),
        ("half a line\x1b[2K\rdone", "done"),
        ("bo\x08old", "bold"),
        ("a\r\nb\x0bc\u2028d", "a\nb\nc\nd"),
        ("a\tb\x00c\x7f", "a\tbc"),
        ("a\u202eb\u200bc\ufeffd", "abcd"),
        ("a\ud800b", "a\ufffdb"),
        ("x\n\x00\x01\x02\x03\x04ab\ny", "x\n[binary]\ny"),
        ("open \x1b[", "open "),
        ("open \x1b]0;title", "open "),
        ("cut \x1b[3", "cut 3"),
    ],
)
def test_text_is_as_a_screen_shows_it(text: str, shown: str) -> None:
    assert normalise(text) == shown


def test_spans_that_overlap_become_one_and_secrets_win() -> None:
    spans = [Span(4, 8, "[path]"), Span(6, 10, "[redacted]"), Span(0, 2, "[user]"), Span(2, 2, "[host]")]
    assert cut("0123456789ab", spans) == "[user]23[redacted]ab"
    assert cut("0123", []) == "0123"


@pytest.mark.parametrize(
    ("limit", "out"),
    [
        (40, "see [redacted] now"),
        (18, "see [redacted] now"),
        (17, "see [redacted] n…"),
        (15, "see [redacted]…"),
        (14, "see…"),
    ],
)
def test_no_half_marker_is_left(limit: int, out: str) -> None:
    assert truncate("see [redacted] now", limit) == out


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_the_shortest_limits(limit: int) -> None:
    assert len(truncate("words", limit)) == limit
