from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from board.fences import Block, has_script, script_blocks

ORACLE = MarkdownIt("commonmark")


def oracle(prompt: str) -> tuple[Block, ...]:
    fences = [token for token in ORACLE.parse(prompt) if token.type == "fence"]
    blocks = [Block((token.info.split() or [""])[0], token.content) for token in fences]
    scripts = [block for block in blocks if block.language in ("sh", "bash") and block.text.strip()]
    return tuple(Block(block.language, block.text.rstrip(" \t\n") + "\n") for block in scripts)


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("```sh\nmake\n```", ["make\n"]),
        ("Do it.\n```bash\na\n\nb\n```\nThen\n~~~sh\nc\n~~~\n", ["a\n\nb\n", "c\n"]),
        ("```python\nprint()\n```\n", []),
        ("```\nmake\n```\n", []),
        ("```sh title=x\nmake\n```\n", ["make\n"]),
        ("````md\n```sh\nmake\n```\n````\n", []),
        ("```sh\n# heading\n## other: heading\n```\n", ["# heading\n## other: heading\n"]),
        ("```sh\nmake", ["make\n"]),
        ("```sh\nmake\n", ["make\n"]),
        ("```sh\nmake\n\n```\n", ["make\n"]),
        ("```sh\r\nmake\r\n```\r\n", ["make\n"]),
        ("```sh\n\n```\n", []),
        ("``` `sh`\nmake\n```\n", []),
        ("1. first\n   ```sh\n   make\n   ```\n", ["make\n"]),
        ("> ```sh\n> make\n> ```\n", ["make\n"]),
        ("<!--\n```sh\nmake\n```\n-->\n", []),
        ("    ```sh\n    make\n    ```\n", []),
        ("```sh\nmake\n  ```  \nprose\n", ["make\n"]),
        ("~~~sh\nmake\n~~~~\n", ["make\n"]),
        ("```sh\nmake\n``\n```\n", ["make\n``\n"]),
        ("````sh\n```\nmake\n````\n", ["```\nmake\n"]),
        ("Use `sh` here", []),
        ("", []),
    ],
)
def test_the_blocks_of_a_prompt(prompt: str, texts: list[str]) -> None:
    assert [block.text for block in script_blocks(prompt)] == texts
    assert has_script(prompt) is bool(texts)


FENCES = [
    "```sh",
    "````sh",
    "```bash x",
    "```",
    "````",
    "~~~",
    "~~~sh",
    "``` `",
    "``` sh",
    "~~~ ```sh",
    "```sh\u00a0x",
    "```\t",
]
INDENTED = [
    "  ```sh",
    "  ```",
    "   ~~~",
    "    ```sh",
    "\t```",
    "> ```sh",
    "1. ```sh",
    "* ~~~bash",
    "- > ```sh",
    "\x0b```",
]
OTHERS = ["make", "", " ", "- item", "> a", "<div>", "<!-- x", "-->", "<pre>", "</pre>", "# t", "===", "---", "*```"]
ODD = ["a\u2028b", "[a]: /b '", "\ta", "<?x", "?>"]
LINES = st.lists(st.sampled_from([*FENCES, *INDENTED, *OTHERS, *ODD]), max_size=12)


@settings(max_examples=1500, deadline=None)
@given(LINES, st.sampled_from(["\n", "\r\n", "\r"]))
def test_agrees_with_markdown_it(lines: list[str], ending: str) -> None:
    prompt = ending.join(lines)
    assert script_blocks(prompt) == oracle(prompt)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="`~sh \n>-<#a\t1.", max_size=60))
def test_agrees_with_markdown_it_on_noise(prompt: str) -> None:
    assert script_blocks(prompt) == oracle(prompt)


def test_the_common_case_does_not_load_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr("board.fences._parse", refuse)
    prompt = "Prose - with *marks*\n\n- a list\n\n```sh\n  ```indented\n<html>\n" + "make\n" * 100 + "```\n"
    assert len(script_blocks("# Title\n" + prompt * 3)) == 3
