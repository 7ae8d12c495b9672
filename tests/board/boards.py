"""Nasty boards for the property tests."""

from __future__ import annotations

from hypothesis import strategies as st

_LINES = (
    "",
    "",
    "text",
    "  text",
    "    code",
    "\ttab",
    "# one",
    "## two",
    "## a: b",
    "### three",
    "#",
    "##",
    "#x",
    " ## in",
    "  # in",
    "   ## in",
    "    ## code",
    "## x ##",
    "##\ttab #",
    "```",
    "```yaml",
    "```sh",
    "  ```",
    "  ```yaml",
    "   ```",
    "    ```",
    "~~~",
    "~~~ yaml",
    " ~~~~",
    "````",
    "``` a`b",
    "- item",
    "- ## in",
    "- ```",
    "  - deep",
    "1. one",
    "   in",
    "> quote",
    "> ```",
    "> ## in",
    "---",
    "===",
    "  ---",
    "-",
    "=",
    "--- x",
    "***",
    "<div>",
    "</div>",
    "<!-- c -->",
    "<!--",
    "-->",
    "<!-->",
    "  <!--",
    " <!-- x -->",
    "<script>",
    "</script>",
    "<?php",
    "?>",
    "<!X",
    "<![CDATA[",
    "]]>",
    "<b>",
    "<a b",
    "<https://x>",
    "[a]: /u",
    "[a]:",
    "'t",
    "a | b",
    "--|--",
    "\\# no",
    "status: ready",
    "x  ",
    "- ",
    "\t```",
    " \t## t",
    "é \u2028 z",
    "a: 1",
    "-\t# t",
    "* * *",
    "+ <!--",
    "  -->",
)
_ENDS = st.sampled_from(["\n"] * 6 + ["\r\n", "\r"])


@st.composite
def markdown(draw: st.DrawFn) -> str:
    lines = draw(st.lists(st.tuples(st.sampled_from(_LINES), _ENDS), max_size=30))
    text = "".join(line + end for line, end in lines)
    return text if draw(st.booleans()) else text.rstrip("\r\n")


_STATUSES = st.sampled_from(
    [
        "",
        "status: ready",
        "status:   'running' # why",
        'status: "done"',
        "status: |  # c\n  ready",
        "status: >-\n  ready\n",
        "status:",
        "status: # empty",
        "status: ~",
        "status:\n  ready",
        "status:\n- ready",
        "status: [a, b] # l",
        "status: nonsense",
        '"status": ready',
        "status:\tready",
        "status:\n  a: 1\n  b: 2",
        "status: {a: 1}",
        "status : ready",
    ]
)
_MUXES = st.sampled_from(
    [
        "",
        "mux:",
        "mux: # c",
        "mux: {}",
        "mux:\n  attempt: 2 # n\n  why: 'x'",
        "mux: {attempt: 1}",
        "mux: nonsense",
        "mux:\n- 1",
        "mux:\n    deep:\n      a: 1\n    # inside\n    b: |\n      text\n\n",
        "mux: >\n  folded\n",
        "mux: {a: 1,\n  b: [2,\n  3]}",
        "'mux':\n  attempt: 7",
    ]
)
_OTHERS = st.sampled_from(
    [
        "",
        "# comment",
        "priority: 3  # high",
        "touches: [src/**, 'a b']",
        "run: |+\n  echo\n\n",
        "env:\n  A: b\n  # c\n  C: d",
        "",
        "# status: ready",
        "why: 'mux: no'",
        'title: "a # b"',
        "after:\n- x\n- y",
        "ünï: códé 😀",
        "q: what?",
    ]
)
_FLOWS = st.sampled_from(
    [
        "{}",
        "{ }",
        "{# c\n}",
        "{status: ready}",
        '{"status":ready,"mux":{"attempt":1}}',
        "{status: ready, mux: {attempt: 1}} # c",
        "{\n  status: 'x', # one\n  priority: 1, # two\n}",
        "{priority: 1}",
        "{status: , mux: }",
        "{mux: [1, 2], a: {b: c}}",
    ]
)


@st.composite
def yaml_blocks(draw: st.DrawFn) -> str:
    """A readable block of keys."""
    if draw(st.integers(0, 4)) == 0:
        return draw(_FLOWS)
    parts = [draw(_OTHERS), draw(_STATUSES), draw(_OTHERS), draw(_MUXES), draw(_OTHERS)]
    order = draw(st.permutations(parts))
    lines = list(dict.fromkeys(part for part in order if part))
    indent = draw(st.sampled_from(["", "", "", " ", "  "]))
    return "\n".join(indent + line for part in lines for line in part.split("\n"))


_PROMPTS = st.sampled_from(
    [
        "",
        "Do it.",
        "```sh\n# not a heading\n## nor: this\n```",
        "- list\n  ```\n  ## code\n  ```",
        "<!--\n## hidden: x\n-->",
        "> quote",
        "### sub",
        "text\n\n---\n",
        "a `code`",
        "# One",
        "## Prose",
        "Setext\n---",
        "<div>\n## raw: html\n\n</div>",
        "\t\t",
    ]
)


@st.composite
def boards(draw: st.DrawFn) -> str:
    """Boards with tasks `t0`, `t1` …, any line ending, with and without a BOM, front matter and final newline."""
    front = draw(
        st.sampled_from(["", "---\n---\n", "---\nmux:\n  rev: 3\n---\n", "---\nrepo: . # here\nmux: {rev: 9}\n---\n"])
    )
    parts = [front, draw(_PROMPTS), "\n"]
    for index in range(draw(st.integers(0, 4))):
        mark = draw(st.sampled_from(["```", "~~~", "````", "  ```"]))
        parts.append(f"\n## t{index}: Täsk {index}\n{draw(st.sampled_from(['', chr(10), ' ' + chr(10)]))}")
        block = draw(yaml_blocks())
        parts.append(f"{mark}yaml\n{block}{chr(10) if block else ''}{mark}\n\n{draw(_PROMPTS)}\n")
    text = "".join(parts)
    text = text if draw(st.booleans()) else text.rstrip("\n")
    text = text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))
    return draw(st.sampled_from(["", "", "\ufeff"])) + text
