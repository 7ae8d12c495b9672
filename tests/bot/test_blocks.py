from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import blocks
from bot.blocks import Group
from tests.e2e.fake_slack_strict import check_blocks, texts


def check(*made: Any) -> str:
    known = json.loads(json.dumps(made))
    check_blocks(known, blocks.BLOCKS_IN_MESSAGE)
    return "\n".join(text for _, text in texts(known))


@pytest.mark.parametrize("text", ["", "x", "x" * 10_000])
def test_any_length_fits(text: str) -> None:
    sure = blocks.confirm(text, text, text, text)
    check(
        blocks.header(text),
        blocks.words(text),
        *blocks.actions([blocks.button(text, "a", "v", "danger", sure), blocks.button(text, "b", "v")]),
    )


def test_ids_and_values_are_never_cut() -> None:
    """A part of one would name another choice, or another request."""
    check(*blocks.actions([blocks.button("x", "a" * 255, "v" * 2000)]))
    for action, value in (("a" * 256, "v"), ("a", "v" * 2001), ("", "v"), ("a", "")):
        with pytest.raises(ValueError, match="a button's id has"):
            blocks.button("x", action, value)


def test_no_buttons_make_no_block_and_too_many_are_left_out() -> None:
    assert blocks.actions([]) == ()
    (made,) = blocks.actions([blocks.button("x", str(number), "v") for number in range(40)])
    check(made)
    assert len(made["elements"]) == 25


def test_a_listing_in_order_without_empty_groups() -> None:
    made = blocks.listing([Group("First", ["a", "b"]), Group("Empty", []), Group("Last", ["c"])])
    assert check(*made) == "*First* (2)\na\nb\n*Last* (1)\nc"


def test_a_small_group_is_whole_beside_a_large_one() -> None:
    read = check(*blocks.listing([Group("Done", ["x" * 100] * 500), Group("Needs you", ["me", "and me"])]))
    assert "*Needs you* (2)\nme\nand me" in read and "and 398 more" in read


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.text(min_size=1, max_size=300), max_size=300), max_size=6))
def test_any_groups_fit(groups: list[list[str]]) -> None:
    made = blocks.listing([Group("Heading", lines) for lines in groups])
    assert len(made) <= 40 and blocks.text_of(made) <= blocks.LISTING
    if made:
        check(*made)
