"""A folder, disk, environment or board that is not as mux would like it: one line, nothing lost, nothing run."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from runners import daemon, processes
from tests.e2e.conftest import Desk, make_desk, section
from tests.support import PATIENCE, wait_for


@pytest.fixture(autouse=True)
def no_traceback(desk: Desk) -> Iterator[None]:
    yield
    if desk.folder.is_dir() and daemon.running(desk.folder):  # a detached one, in a test that failed
        desk.mux("down")
    _no_traceback(desk)


def _no_traceback(desk: Desk) -> None:
    log = desk.folder / "mux.log"
    if desk.folder.is_dir() and log.exists():
        assert "Traceback" not in log.read_text(), log.read_text()


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The error of a command that said no."""
    assert done.stderr.startswith("mux: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.removeprefix("mux: ").rstrip("\n")


@contextmanager
def _mounted(folder: Path, size: str) -> Iterator[Path]:
    """A small file system of its own."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if done.returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def _desk_in(folder: Path, desk: Desk) -> Iterator[Desk]:
    """Another desk of the same person; all that it starts, it ends."""
    other = make_desk(folder, folder / "shop")
    other.environment = desk.environment
    try:
        yield other
    finally:
        other.close()
        _no_traceback(other)


def _fill(folder: Path) -> Path:
    """Not a byte is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 512, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return ballast


@pytest.mark.parametrize("room", [0, 128 * 1024])
def test_a_full_disk_loses_nothing_and_mux_goes_on_when_there_is_room(desk: Desk, room: int) -> None:
    """With a little room left, all can be written but the board itself, which has much prose. With none, not even the
    wrapper can write down that its worker ended."""
    prose = "All work and no play.\n" * 20_000
    with _mounted(desk.repository.parent / "small", "16m") as small, _desk_in(small, desk) as full:
        go, started = desk.repository.parent / "go", desk.repository.parent / "starts"
        waits = f"echo x >> '{started}'\nuntil test -e '{go}'; do sleep 0.05; done"
        full.write(section("waits", waits), section("next", f"echo x >> '{started}'", "draft"), prose)
        plane = full.up()
        full.until_on_board("waits", "running")
        board = full.board.read_bytes()
        wait_for(lambda: not _hidden(full), "the version before it is tidied away, and makes no room later")
        ballast = _fill(small)
        os.truncate(ballast, ballast.stat().st_size - room)
        go.touch()
        record = full.start_record("waits")
        wait_for(lambda: not processes.alive(record["pid"], record["pid_start"]))
        if room:
            said = "board.md: cannot write: no space left on device; free some disk space and try again"
            printed = bytearray()
            wait_for(lambda: said in _more(plane, printed), lambda: _more(plane, printed))
            wait_for(lambda: said in full.mux("status").stdout, "what was printed is in the state, too")
        assert plane.poll() is None
        assert full.board.read_bytes() == board, "the old board is whole"
        assert "no space left on device; free some disk space" in one_line(full.mux("add", "More", code=1))
        assert full.board.read_bytes() == board
        wait_for(lambda: _hidden(full) == [], "nothing is left of a try")  # each is made anew now and then
        ballast.unlink()
        full.until_on_board("waits", "done")
        full.order("next")
        full.until_on_board("next", "done")
        assert started.read_text() == "x\nx\n", "each ran once"


def _hidden(desk: Desk) -> list[Path]:
    return list(desk.repository.glob(".board.md*"))


def _more(plane: subprocess.Popen[str], printed: bytearray) -> str:
    """What a running `mux up` printed until now."""
    assert plane.stdout is not None
    os.set_blocking(plane.stdout.fileno(), False)
    with suppress(BlockingIOError):
        printed.extend(os.read(plane.stdout.fileno(), 65536))
    return printed.decode(errors="replace")


def test_a_read_only_folder_is_one_line(desk: Desk) -> None:
    with _mounted(desk.repository.parent / "small", "16m") as small, _desk_in(small, desk) as fixed:
        fixed.write(section("a", fixed.counted("a")))
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        for words in (("up", "--trust"), ("up", "--detach", "--trust"), ("start", "a"), ("add", "More")):
            said = one_line(fixed.mux(*words, code=1))
            assert "read-only file system; it is mounted read-only: move the board" in said, words
        assert "1 task, no problems" in fixed.mux("check").stdout
        assert "starts with the next: mux up" in fixed.mux("status").stdout
        subprocess.run(["mount", "-o", "remount,rw", small], check=True)
        fixed.order("a", "ready")
        fixed.up()
        fixed.until_on_board("a", "done")


def test_a_file_where_the_folder_should_be_is_one_line(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a")))
    desk.folder.write_text("mine\n")
    for words in (("up", "--trust"), ("up", "--detach", "--trust")):
        assert ".mux: cannot make the folder: file exists; something else stands there: move it away" in one_line(
            desk.mux(*words, code=1)
        )
    assert desk.folder.read_text() == "mine\n"
    assert desk.mux("check").returncode == 0
    assert desk.mux("status", code=None).stderr.count("\n") <= 1
    desk.folder.unlink()
    desk.up()
    desk.until("a", "done")


def _only_programs(folder: Path, *left_out: str) -> str:
    """A PATH with all programs that there are, but those."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            if program.name not in left_out and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return str(folder)


@pytest.mark.parametrize("program", ["tmux", "git"])
def test_a_missing_program_is_one_line_with_the_command_that_installs_it(desk: Desk, program: str) -> None:
    desk.write(section("a", desk.counted("a")))
    whole = desk.environment["PATH"]
    desk.environment["PATH"] = _only_programs(desk.repository.parent / "programs", program)
    for words in (("up", "--trust"), ("up", "--trust", "--detach")):
        assert one_line(desk.mux(*words, code=1)) == (
            f"{program} is not installed: install it with `sudo apt install {program}` (Debian, Ubuntu) "
            f"or `brew install {program}` (macOS)"
        )
    assert "starts with the next: mux up" in desk.mux("status").stdout
    assert ("git is not installed" in desk.mux("check", code=None).stdout) == (program == "git")
    assert f"{program} is not installed" in desk.mux("doctor", code=1).stdout
    assert desk.runs("a") == 0
    desk.environment["PATH"] = whole
    desk.up()
    desk.until("a", "done")


@pytest.mark.parametrize(
    ("program", "version", "least"), [("tmux", "tmux 3.1c", "3.2"), ("git", "git version 2.29.3", "2.30")]
)
def test_a_program_that_is_too_old_is_one_line(desk: Desk, program: str, version: str, least: str) -> None:
    desk.write(section("a", desk.counted("a")))
    folder = desk.repository.parent / "programs"
    folder.mkdir()
    (folder / program).write_text(f"#!/bin/sh\necho {version}\n")
    (folder / program).chmod(0o755)
    whole = desk.environment["PATH"]
    desk.environment["PATH"] = f"{folder}{os.pathsep}{whole}"
    said = one_line(desk.mux("up", "--trust", code=1))
    desk.environment["PATH"] = whole
    number = version.split()[-1]
    assert said == f"{program} {number} is too old: mux needs {least} or newer; update the package {program}"
    assert desk.runs("a") == 0


ODD = 'it\'s "my" ünï$(touch pwned) `shop`; #{pid} %d'


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_folder_with_an_odd_name(desk: Desk, locale: str) -> None:
    odd = Desk(desk.repository.parent / ODD, desk.environment | {"LC_ALL": locale})
    desk.repository.rename(odd.repository)
    try:
        script = 'echo "ünï $MUX_TASK" > ünï.txt\ngit add .\ngit commit --quiet -m "ünï"\npwd'
        odd.save("---\nboard: shop\n---\n" + section("a", script).replace("Task a", "Größe: 日本"))
        plane = odd.up()
        odd.until_on_board("a", "done")
        assert odd.git("show", "mux/shop/a:ünï.txt") == "ünï a"
        assert ODD in odd.mux("logs", "a").stdout or locale == "C"
        assert odd.status()["tasks"][0]["title"] == "Größe: 日本"
        for words in (
            ("status",),
            ("check",),
            ("diff", "a"),
            ("journal",),
            ("history",),
            ("doctor",),
            ("clean", "--dry-run"),
        ):
            assert odd.mux(*words, code=None).returncode in (0, 1)
        odd.mux("finish", "a", "--how", "merge")
        assert (odd.repository / "ünï.txt").exists()
        odd.mux("down")
        plane.wait(timeout=PATIENCE)
        odd.mux("up", "--detach")
        odd.mux("down")
        assert not list(desk.repository.parent.rglob("pwned"))
    finally:
        odd.close()
        _no_traceback(odd)


def test_two_at_once_and_one_runs(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a")))
    argv = [sys.executable, "-m", "bot.cli", "up", "--trust"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    both = [subprocess.Popen(argv, cwd=desk.repository, env=desk.environment, text=True, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    desk.planes += both
    wait_for(lambda: any(each.poll() is not None for each in both))
    loser = next(each for each in both if each.poll() is not None)
    said = loser.stdout.read()
    assert loser.returncode == 1
    assert "already runs this board; end it with: mux down" in said
    assert said.count("\n") == 1
    desk.until_on_board("a", "done")
    assert desk.runs("a") == 1


def test_a_linked_board_stays_a_link(desk: Desk) -> None:
    real = desk.repository.parent / "boards" / "real.md"
    real.parent.mkdir()
    real.write_text(f"---\nboard: shop\nrepo: {desk.repository}\n---\n" + section("a"))
    desk.board.symlink_to(real)
    linked = Desk(real.parent, desk.environment)
    try:
        desk.mux("up", "--trust", "--detach")
        wait_for(lambda: "status: done" in real.read_text())
        assert desk.board.is_symlink()
        wait_for(lambda: desk.status()["tasks"][0]["status"] == "done", "in the state, too")
        desk.mux("down")
    finally:
        linked.close()
        _no_traceback(linked)


def test_variables_that_point_git_elsewhere_are_not_followed(desk: Desk) -> None:
    other = desk.repository.parent / "other"
    other.mkdir()
    desk.git("init", "--quiet", cwd=other)
    desk.git("commit", "--quiet", "--allow-empty", "-m", "theirs", cwd=other)
    before = desk.git("for-each-ref", cwd=other)
    desk.environment |= {
        "GIT_DIR": str(other / ".git"),
        "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": str(other / "index"),
    }
    desk.write(section("a", "echo x > x; git add x; git commit --quiet -m x"))
    desk.up()
    desk.until_on_board("a", "done")
    assert desk.mux("diff", "a", "--stat").stdout.startswith("1 commit") or "x" in desk.mux("diff", "a").stdout
    desk.mux("finish", "a", "--how", "merge")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        del desk.environment[name]
    assert (desk.repository / "x").exists()
    assert desk.git("for-each-ref", cwd=other) == before
    assert sorted(path.name for path in other.iterdir()) == [".git"]


def test_a_persons_own_tmux_is_left_alone(desk: Desk) -> None:
    """mux started in a window of theirs: TMUX points at their server."""
    theirs = ["tmux", "-S", str(desk.repository.parent / "theirs"), "-f", "/dev/null"]

    def tmux(*words: str) -> str:
        return subprocess.run(
            [*theirs, *words], env=desk.environment, capture_output=True, text=True, timeout=PATIENCE
        ).stdout

    try:
        tmux("new-session", "-d", "-s", "mux", "-n", "mine", "-x", "200", "cat")
        tmux("set-option", "-g", "remain-on-exit", "on")
        seen = desk.repository.parent / "seen"
        desk.write(section("a", f"env > '{seen}'"))
        command = f"cd '{desk.repository}' && exec {sys.executable} -m bot.cli up --trust --detach"
        tmux("new-window", "-n", "up", command)
        desk.until_on_board("a", "done")
        assert tmux("list-windows", "-F", "#{window_name}").split() == ["mine", "up"]
        assert f"{desk.repository.parent}/theirs" not in seen.read_text()
        wait_for(lambda: "mux runs " in tmux("capture-pane", "-p", "-J", "-S", "-", "-t", "up"))
        desk.mux("down")
    finally:
        tmux("kill-server")


def _at_a_terminal(desk: Desk, answer: str | None, *words: str) -> tuple[int, str]:
    """A command on a terminal of its own: what it shows until it asks, is answered, and ends (or is ended)."""
    master, slave = pty.openpty()
    argv = [sys.executable, "-m", "bot.cli", *words]
    process = subprocess.Popen(
        argv, cwd=desk.repository, env=desk.environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    os.set_blocking(master, False)
    shown = bytearray()

    def more() -> bool:
        with suppress(OSError):
            shown.extend(os.read(master, 65536))
        return b"[y/N]" in shown or process.poll() is not None

    try:
        wait_for(more, lambda: shown.decode(errors="replace"))
        if answer is not None:
            os.write(master, answer.encode())
        wait_for(lambda: (more() and process.poll() is not None) or b"\x1b[?1049h" in shown)
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: more() and process.poll() is not None)
    finally:
        process.kill()
        process.wait()
        os.close(master)
    return process.returncode, shown.decode()


def test_a_board_from_elsewhere_runs_nothing_before_a_person_agreed(desk: Desk) -> None:
    hidden = desk.counted("a", "echo \x1b[2Jhidden\u202e")
    desk.write(
        section("a", hidden),
        section("b", run='printf "\x1b[8m"; true', env={"A": "\x1b[1A"}),
        keys="setup: [make all]\n",
    )
    for words in (("up",), ("up", "--detach")):
        said = one_line(desk.mux(*words, code=1))
        assert "board.md: this board was not made here and would run " in said
        assert "read it, then run: mux up --trust" in said
    code, shown = _at_a_terminal(desk, "n\n", "up")
    assert code == 1
    assert "It would run:" in shown and "board, setup: make all" in shown and "not trusted; nothing was run" in shown
    assert "\\x1b[2Jhidden\\u202e" in shown and "\\x1b[8m" in shown and "\\x1b[1A" in shown
    assert not {"\x1b", "\u202e"} & set(shown)
    assert desk.runs("a") == 0 and not (desk.folder / "runs").exists()
    assert desk.status()["control_plane"]["running"] is False
    desk.edit(lambda text: text.replace("setup: [make all]\n", ""))
    code, shown = _at_a_terminal(desk, "y\n", "up")
    assert "Trust this board from now on? [y/N]" in shown
    desk.mux("up", "--detach")  # remembered
    desk.until_on_board("a", "done")
    assert desk.runs("a") == 1
    desk.mux("down")


def test_detached_it_is_up_once_it_runs_the_board_and_not_before(desk: Desk) -> None:
    """An earlier one showed its state a moment ago, and tmux is slow to answer the first look."""
    desk.write(section("a", status="draft"))
    slow = desk.repository.parent / "slow"
    slow.mkdir()
    wait = 'case "$*" in *list-panes*) sleep 2;; esac'
    (slow / "tmux").write_text(f'#!/bin/sh\n{wait}\nexec "{shutil.which("tmux")}" "$@"\n')
    (slow / "tmux").chmod(0o755)
    desk.environment["PATH"] = f"{slow}{os.pathsep}{desk.environment['PATH']}"
    desk.folder.mkdir(mode=0o700)
    earlier = desk.folder / "state.json"
    earlier.write_text('{"problems": []}')
    os.utime(earlier, (time.time() + 10, time.time() + 10))
    desk.mux("up", "--detach", "--trust")
    assert [task["id"] for task in desk.state()["tasks"]] == ["a"]
    desk.mux("down")


def test_a_board_made_here_asks_nothing(desk: Desk) -> None:
    desk.mux("init")
    desk.order("hello")
    desk.mux("up", "--detach")
    desk.until_on_board("hello", "done")
    desk.mux("down")


def test_no_worker_sees_the_secrets_of_the_control_plane(desk: Desk) -> None:
    secret = "xoxb-no-worker-sees-this"
    desk.environment |= {"SLACK_BOT_TOKEN": secret, "SLACK_APP_TOKEN": secret, "MUX_PRIVATE": secret}
    seen = desk.repository.parent / "seen"
    own = f"tmux -S '{desk.repository.parent}/own' -f /dev/null"
    script = (
        f"env > '{seen}.1'\nunset TMUX\n"
        f"{own} new-session -d \"env > '{seen}.2'; touch '{seen}.done'; cat\"\n"
        f"until test -e '{seen}.done'; do sleep 0.02; done\n{own} kill-server\n"
        f"tmux -L {_socket(desk)} show-environment -g > '{seen}.3'\n"
        f"cat /proc/$PPID/environ > '{seen}.4' || true\n"
    )
    desk.write(section("a", script, setup=[f"env > '{seen}.5'"]))
    desk.mux("up", "--trust", "--detach")
    task = desk.until("a", "done", "failed", "blocked")
    assert task["status"] == "done", task
    for path in [*desk.repository.parent.glob("seen.[1-5]")]:
        assert secret not in path.read_text(), path
    assert len([*desk.repository.parent.glob("seen.[1-5]")]) == 5
    for path in desk.folder.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    desk.mux("down")


def _socket(desk: Desk) -> str:
    from runners.tmux import socket_name

    return socket_name(desk.board)


def test_what_mux_writes_is_for_its_owner_only(desk: Desk) -> None:
    desk.write(section("a"))
    desk.mux("up", "--trust", "--detach")
    desk.until_on_board("a", "done")
    desk.mux("down")  # so that no temporary file comes and goes while they are listed
    open_to_others = [
        path for path in [desk.folder, *desk.folder.rglob("*")] if stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]
    assert open_to_others == []


def test_init_beside_a_board_that_is_there_only_keeps_it_out_of_git(desk: Desk) -> None:
    (desk.repository / ".gitignore").unlink()
    desk.write(section("a"))
    before = desk.board.read_bytes()
    said = one_line(desk.mux("init", code=1))
    assert said == (
        "board.md is there already, and was not touched; .gitignore keeps it out of git now; "
        "next: mux check, then mux up"
    )
    assert desk.board.read_bytes() == before
    assert desk.git("check-ignore", "board.md") == "board.md"
    assert "this board was not made here" in one_line(desk.mux("up", code=1)), "and is not trusted for that"
