from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from board.errors import CommandFailed
from runners import processes, sh
from tests.support import PATIENCE, wait_for


def python(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", code, *words]


def test_gives_back_what_was_said_and_how_it_ended() -> None:
    done = sh.run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"), check=False)
    assert (done.code, done.out, done.err) == (7, "out\n", "err\n")


def test_any_byte_survives_both_ways() -> None:
    text = bytes(range(1, 256)).decode("utf-8", "surrogateescape") + "ü\r\n"
    copy = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    assert sh.run(python(copy), input=text).out == text


def test_without_input_it_reads_nothing() -> None:
    assert sh.run(python("import sys; print(len(sys.stdin.read()))")).out == "0\n"


def test_arguments_are_never_read_by_a_shell() -> None:
    words = ["$(id)", "; id", "a b", "'", '"', "*", "\n", "#{pid}"]
    assert sh.run(python("import sys; print(sys.argv[1:])", *words)).out == f"{words}\n"


def test_a_failure_names_the_program_and_its_last_line_and_no_argument(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed) as caught:
        sh.run(["git", "clone", "--quiet", "gone", "TOKEN"], cwd=tmp_path)
    assert str(caught.value) == "git clone: fatal: repository 'gone' does not exist (exit 128)"


def test_a_signal_is_named() -> None:
    with pytest.raises(CommandFailed, match="signal 9"):
        sh.run(python("import os; os.kill(os.getpid(), 9)"))


@pytest.mark.parametrize("program", ["tmux", "git"])
def test_a_missing_program_comes_with_its_install_command(program: str, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=f"{program} is not installed: .*apt install {program}.*brew install"):
        sh.run([str(tmp_path / program)])


def test_a_missing_folder_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"there is no folder .*/gone"):
        sh.run(["git", "status"], cwd=tmp_path / "gone")


def test_what_cannot_be_started_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    with pytest.raises(CommandFailed, match="text: could not be started: Permission denied"):
        sh.run([str(tmp_path / "text")])
    with pytest.raises(CommandFailed, match="Argument list too long"):
        sh.run(["git", "x" * 200_000])


def limit_begins_with(note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit of what runs begins once it has written its note, however long that takes on a busy machine."""
    communicate = subprocess.Popen.communicate

    def waits(process: subprocess.Popen[bytes], *arguments: Any) -> tuple[bytes, bytes]:
        wait_for(lambda: note.exists() and note.read_text())
        return communicate(process, *arguments)

    monkeypatch.setattr(subprocess.Popen, "communicate", waits)


def test_at_the_time_limit_the_whole_group_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = tmp_path / "pid"
    limit_begins_with(note, monkeypatch)
    grandchild = f"import os,time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    begin = time.monotonic()
    with pytest.raises(CommandFailed, match="no answer in 1 s"):
        sh.run(python(child, grandchild), timeout=1.0)
    assert time.monotonic() - begin < PATIENCE
    pid = int(note.read_text())
    wait_for(lambda: processes.start_time(pid) is None)


def test_a_grandchild_outside_the_group_does_not_hold_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = tmp_path / "pid"
    limit_begins_with(note, monkeypatch)
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        f"    os.setsid(); open({str(note)!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(600)"
    )
    begin = time.monotonic()
    with pytest.raises(CommandFailed, match="no answer"):
        sh.run(python(code), timeout=1.0)
    assert time.monotonic() - begin < PATIENCE
    os.kill(int(note.read_text()), 9)
