"""What is written down of an act that is refused."""

from __future__ import annotations

import pytest

from board.redact import Redactor
from bot.access import Actor
from bot.desk import what_was_tried
from bot.inbound import Inbound

ANA = Actor("U0ANA", "T0MUX", "T0MUX", "A0MUX", "C0MUX", "ana")
SECRET = "ember-Walnut_8842"


@pytest.mark.parametrize(
    ("surface", "text", "choice", "tried"),
    [
        ("command", "start fix-login", "", "start"),
        ("command", " ", "", ""),
        ("command", f"{'x' * 30}-{SECRET} now", "", f"{'x' * 30}-[redacted]"[:31] + "…"),
        ("command", f"{SECRET} now", "", "[redacted]"),
        ("button", "", "in-place", "in-place"),
        ("button", "", f"{'x' * 35}{SECRET}", f"{'x' * 35}…"),
        ("modal", f"my answer is {SECRET}", "answer", "answer"),
    ],
)
def test_it_is_redacted_before_it_is_cut(surface: str, text: str, choice: str, tried: str) -> None:
    redact = Redactor({"a password": SECRET}).redact
    assert what_was_tried(Inbound(surface, ANA, "1", text=text, choice=choice), redact) == tried
