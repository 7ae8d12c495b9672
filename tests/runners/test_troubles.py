"""What goes wrong is said once; what must not leave of it goes into the log of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from board.errors import MuxError
from board.storage import one_line_errors
from runners import sh
from runners.own_log import told, write_words
from runners.troubles import Troubles

GITS = sh.failure(sh.Completed(("git", "status"), 128, "", "fatal: not a git repository: /nowhere/merger-file\n"))


class Said:
    def __init__(self) -> None:
        self.said: list[tuple[str, str, str | None]] = []
        self.logged: list[str] = []
        self.troubles = Troubles(
            lambda *each: self.said.append(each), lambda: 1000.0, lambda about, error: self.logged.append(str(error))
        )


def test_what_git_said_is_for_the_log_and_others_are_told_that_it_failed() -> None:
    heard = Said()
    for _ in range(2):
        heard.troubles.try_again("fix", "trouble", GITS)
    text = "git status: exit 128 (more: .mux/mux.log); trying again"
    assert heard.said == [("trouble", text, "fix")] and heard.troubles.said_of("fix") == text
    assert heard.logged == [str(GITS)] and "merger-file" in str(GITS)


def test_what_is_all_typed_is_told_as_it_is() -> None:
    heard = Said()
    heard.troubles.say_once("", "trouble", MuxError("a: has work that would be lost: commit it first"))
    heard.troubles.say_once("fix", "bug", "a bug in mux")
    assert [text for _, text, _ in heard.said] == ["a: has work that would be lost: commit it first", "a bug in mux"]


def test_of_the_board_the_terminal_hears_the_whole() -> None:
    heard = Said()
    with pytest.raises(MuxError) as error, one_line_errors("write", Path("/x/secret-plan.md")):
        raise OSError(28, "No space left on device")
    heard.troubles.say_once("", "trouble", error.value)
    assert "secret-plan" not in str(heard.said) and "no space left" in str(heard.said)
    assert "/x/secret-plan.md" in (heard.troubles.of_board() or "")
    heard.troubles.over("")
    assert heard.troubles.of_board() is None and heard.troubles.said_of("fix") == ""


def test_the_log_is_private_and_has_an_errors_own_words_only_where_others_are_told_less(tmp_path: Path) -> None:
    write_words(tmp_path, "fix", MuxError("typed"))
    assert not (tmp_path / "mux.log").exists() and told(MuxError("typed")) == "typed"
    write_words(tmp_path, "fix", GITS)
    assert f"fix: {GITS}\n" in (tmp_path / "mux.log").read_text()
    assert (tmp_path / "mux.log").stat().st_mode & 0o077 == 0
