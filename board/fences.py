"""The shell scripts inside a task's prompt: its fenced `sh` and `bash` blocks, exactly as CommonMark sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LANGUAGES = frozenset({"sh", "bash"})
_OPENING = re.compile(r"(?P<mark>`{3,}|~{3,})(?P<info>.*)", re.DOTALL)
#: Where one line does not tell: a fence that is indented or in a list or a quote, or HTML, in which a fence is text.
_UNSURE = re.compile(r"[ \t>*+\-0-9.)]+(?:```|~~~)| {0,3}<")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: the first word of its info string, and the lines between the fences, each with its end."""

    language: str
    text: str


def script_blocks(prompt: str) -> tuple[Block, ...]:
    """The fenced `sh` and `bash` blocks of a prompt that hold something, in order; those in lists and quotes too."""
    if "```" not in prompt and "~~~" not in prompt:
        return ()
    text = prompt.replace("\r\n", "\n").replace("\r", "\n")
    blocks = _scan(text)
    if blocks is None:
        blocks = list(_parse(text))
    return tuple(
        Block(block.language, block.text.rstrip(" \t\n") + "\n")  # whole lines, so that blocks can be joined
        for block in blocks
        if block.language in _LANGUAGES and block.text.strip()
    )


def has_script(prompt: str) -> bool:
    """Whether a shell task with this prompt and no `run:` has something to run."""
    return bool(script_blocks(prompt))


def _scan(text: str) -> list[Block] | None:
    """The blocks of a text whose fences all start in column 0; None where only a full parse can tell.

    A fence in column 0 ends every paragraph, list and quote before it, so that no other line matters.
    """
    blocks: list[Block] = []
    lines = iter(text.split("\n"))
    for line in lines:
        opening = _OPENING.match(line)
        if opening is None:
            if _UNSURE.match(line):
                return None
        elif opening["mark"][0] == "~" or "`" not in opening["info"]:
            blocks.append(Block(_language(opening["info"]), _body(lines, opening["mark"])))
    return blocks


def _body(lines: Iterator[str], mark: str) -> str:
    """The lines up to the closing fence, or to the end of the text: an unclosed fence has no other end."""
    closing = re.compile(rf" {{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*")
    body = []
    for line in lines:
        if closing.fullmatch(line):
            break
        body.append(line + "\n")
    return "".join(body)


def _parse(text: str) -> Iterator[Block]:
    from markdown_it import MarkdownIt

    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "fence":
            yield Block(_language(token.info), token.content)


def _language(info: str) -> str:
    words = info.split()
    return words[0] if words else ""
