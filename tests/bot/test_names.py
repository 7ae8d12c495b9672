"""Names for ids, as they are known, in what is shown in a chat."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.names import Names


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("in-place, by slack:U0ANA", "in-place, by ana"),
        ("deny, by slack:U0BEN; it stays", "deny, by slack:U0BEN; it stays"),  # nobody knows the name
        ("in-place, by terminal:root, again", "in-place, by somebody at the terminal, again"),
        ("in-place, by terminal:[user]", "in-place, by somebody at the terminal"),
        ("by slack:U0ANA and slack:U0ANA.", "by ana and ana."),
        ("noslack:U0ANA slack:u0ana U0ANA", "noslack:U0ANA slack:u0ana U0ANA"),
    ],
)
def test_who_did_something_is_named(tmp_path: Path, text: str, shown: str) -> None:
    names = Names(tmp_path)
    names.learn("U0ANA", "ana")
    assert names.named(text) == shown == Names(tmp_path).named(text)


def test_a_name_hides_nothing_and_is_no_novel(tmp_path: Path) -> None:
    names = Names(tmp_path)
    names.learn("U0EVE", "e\u202eve\n" + "x" * 500)
    assert len(names.named("slack:U0EVE")) <= 40 and "\u202e" not in names.named("slack:U0EVE")
