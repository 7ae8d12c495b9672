from __future__ import annotations

import io
import os
import socket
import sys
from pathlib import Path

import pytest

from bot.place import Place
from tests.board.secrets_made import made, survives
from tests.bot.conftest import Mux

BOARD = """---
board: shop
copy: [.env]
env: {{SHOP_TOKEN: {common}}}
---

## one: First thing

```yaml
status: draft
env: {{SHOP_TOKEN: {own}}}
```
"""


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> object:
    def given(text: str | bytes) -> None:
        data = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))

    return given


def test_known_values_of_the_environment_are_cut(mux: Mux, say, monkeypatch: pytest.MonkeyPatch) -> None:
    value = "correct-horse-battery"
    monkeypatch.setenv("SHOP_PASSWORD", value)
    say(f"it is {value}\nand that is all\n")
    reply = mux("redact")
    assert (reply.code, reply.out) == (0, "it is [redacted]\nand that is all\n")


def test_home_and_host_are_not_named(mux: Mux, say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setattr(socket, "gethostname", lambda: "build-07.corp.example")
    say("/home/somebody/shop/x on build-07 of /home/other/y\n")
    assert mux("redact").out == "~/shop/x on [host] of [path]\n"


def test_values_of_the_board_its_tasks_and_copied_files_are_cut(mux: Mux, say, own_folder: Path) -> None:
    common, own, filed = made(1, 20), made(2, 20), "blue-Harbour_71"
    (own_folder / "board.md").write_text(BOARD.format(common=common, own=own))
    (own_folder / ".env").write_text(f"LANG=C\nANYTHING={filed}\nPORT=8080\n")
    say(f"a {common} b {own} c {filed} d 8080 {own_folder}/src/cart.py\n")
    assert mux("redact", "--board", "board.md").out == "a [redacted] b [redacted] c [redacted] d 8080 src/cart.py\n"
    say("")
    out = mux("redact", "--names").out
    assert {"board: SHOP_TOKEN", "one: SHOP_TOKEN", ".env: ANYTHING"} <= set(out.splitlines())
    assert not any(survives(value, out) for value in (common, own, filed))


def test_without_a_board_the_machine_is_known_all_the_same(mux: Mux, say) -> None:
    say("user ok\n")
    assert mux("redact").code == 0
    assert "there is no board" in mux("redact", "--board", "nowhere.md").err


def test_a_file_of_values_that_cannot_be_read_stops_it(mux: Mux, say, place: Place, own_folder: Path) -> None:
    place.path.write_text(BOARD.format(common="x", own="y"))
    (own_folder / ".env").write_bytes(b"A=" + b"x" * (1024 * 1024))
    say("words\n")
    reply = mux("redact")
    assert reply.code == 1 and reply.out == "" and "larger than 1 MiB" in reply.err


def test_bytes_that_are_no_text_do_not_stop_it(mux: Mux, say) -> None:
    say(b"fine \xff\xfe\n")
    assert mux("redact").out == "fine \ufffd\ufffd\n"


def test_input_above_the_limit_is_refused_whole(mux: Mux, say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.redact.MOST", 10)
    say("a line of words\n")
    reply = mux("redact")
    assert reply.code == 1 and reply.out == "" and "split the input" in reply.err


def test_a_failing_redactor_shows_nothing(mux: Mux, say, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise RecursionError

    monkeypatch.setattr("board.redact.Redactor.redact", fail)
    say(f"words {os.getpid()}\n")
    reply = mux("redact")
    assert reply.code == 1 and reply.out == "[withheld: the redactor failed]"
