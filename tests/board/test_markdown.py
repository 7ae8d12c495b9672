from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from markdown_it import MarkdownIt

from board.markdown import Fence, Heading, blocks
from tests.board.boards import markdown

Row = tuple[Any, ...]
_ORACLE = MarkdownIt("commonmark", {"maxNesting": 1000})


def expected(text: str) -> list[Row]:
    tokens = _ORACLE.parse(text)
    found: list[Row] = []
    for index, token in enumerate(tokens):
        if token.level:
            continue
        if token.type == "heading_open" and token.tag in ("h1", "h2") and token.map:
            found.append(("heading", token.map[0], int(token.tag[1]), " ".join(tokens[index + 1].content.split())))
        elif token.type == "fence" and token.map:
            found.append(
                (
                    "fence",
                    token.map[0],
                    token.info.split()[0].lower() if token.info.split() else "",
                    _bare(token.content),
                )
            )
    return found


def actual(text: str) -> list[Row]:
    found: list[Row] = []
    for block in blocks(text):
        line = len((text[: block.start] + "x").replace("\r\n", "\n").replace("\r", "\n").split("\n")) - 1
        if isinstance(block, Heading):
            found.append(("heading", line, block.level, " ".join(block.title.split())))
        else:
            found.append(("fence", line, block.language, _bare(text[slice(*block.content)])))
    return found


def _bare(content: str) -> str:
    """Lines without their indentation: `content` is as written, the oracle takes that of an indented fence away."""
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.strip(" \t") for line in lines)


def _same(text: str) -> None:
    """Texts are compared without their last line breaks: the oracle drops or adds one at the end of the file."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert _trimmed(actual(text), lines) == _trimmed(expected(text), lines)


def _trimmed(found: list[Row], lines: list[str]) -> list[Row]:
    """Without the indented fences, which may be left out, unless they come right after a heading."""
    kept: list[Row] = []
    for index, row in enumerate(found):
        before = found[index - 1] if index else ("", 0)
        first = before[0] == "heading" and not "".join(lines[before[1] + 1 : row[1]]).strip()
        if row[0] == "heading" or first or not lines[row[1]].startswith(" "):
            kept.append(tuple(each.rstrip("\n\t ") if isinstance(each, str) else each for each in row))
    return kept


@settings(max_examples=1500, deadline=None)
@given(markdown())
@example("- <!--\n  ```\n-->\n## a\n")
@example("- ```\n  x\n  ```\n## a\n```\n## b\n")
@example("para\n  ```\n## a\n  ```\n## b\n")
@example("- x\n  ```\nfoo\n  ```\n## b\n")
@example("<div>\n## a\n\n## b\n")
@example("- a\n  ---\n## b\n")
@example("<!--->\n# a\n")
@example("- - - - - - - - - - - - deep\n\n<b\n# a\n")
def test_sees_what_commonmark_sees(text: str) -> None:
    _same(text)


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("# a\n## b ##\n### c\n", ["a", "b"]),
        ("```\n## no\n", []),
        ("<!--\n## no\n-->\n## yes\n", ["yes"]),
        ("Two\n---\n", ["Two"]),
        ("\r\n## x\r\n", ["x"]),
        ("## only", ["only"]),
    ],
)
def test_headings(text: str, titles: list[str]) -> None:
    assert [block.title for block in blocks(text) if isinstance(block, Heading)] == titles


def test_an_unclosed_fence_says_so() -> None:
    [fence] = blocks("```sh\necho")
    assert isinstance(fence, Fence)
    assert (fence.closed, fence.language, fence.content) == (False, "sh", (6, 10))


def test_an_indented_fence_right_after_a_heading_is_found() -> None:
    [_, fence] = blocks("## a: b\n\n  ```yaml\n  x: 1\n  ```\n")
    assert isinstance(fence, Fence)
    assert fence.language == "yaml"


@pytest.mark.parametrize("piece", ["## a: b\n\ntext\n", "<div>\n\n## a\n", "- x\n  ```\n## a\n", "a\n---\n"])
def test_growth_is_linear(piece: str) -> None:
    """Four times the text takes about four times as long: sixteen would be a square."""

    def seconds(count: int) -> float:
        best = 9.0
        for _ in range(3):
            start = time.process_time()
            blocks(piece * count)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(2000) < 9 * max(seconds(500), 0.002)
