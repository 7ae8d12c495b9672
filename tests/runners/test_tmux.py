from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from board.errors import CommandFailed, MuxError
from runners import processes, sh, tmux, tmux_words
from runners.model import Sight
from runners.tmux import Tmux
from tests.runners.conftest import NASTY, Host
from tests.support import PATIENCE, wait_for

SLEEP = ["sleep", "600"]


def python(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", code, *words]


def open_window(host: Host, argv: list[str], task: str = "fix", number: int = 1) -> tuple[tmux.Window, Path]:
    log = host.folder / "runs" / task / str(number) / "output.log"
    log.parent.mkdir(parents=True)
    return host.tmux.open(task, number, argv, f"runs/{task}/{number}/output.log"), log


def server_pid(host: Host) -> int:
    return int(host.tmux._call("display-message", "-p", "#{pid}").out)


def pane_environment(host: Host, note: Path, task: str) -> dict[str, str]:
    """What a real process in a new window inherits."""
    code = "import os, sys; note = sys.argv[1]; seen = open('/proc/self/environ', 'rb').read()\n"
    code += "open(note + '~', 'wb').write(seen); os.rename(note + '~', note)"
    open_window(host, python(code, str(note)), task)
    wait_for(note.exists)
    pairs = os.fsdecode(note.read_bytes()).split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


def test_a_window_is_known_by_its_options(host: Host) -> None:
    opened, _ = open_window(host, SLEEP, "fix-login", 12)
    seen = host.tmux.windows()
    assert seen is not None and len(seen) == 1
    assert (seen[0].id, seen[0].task, seen[0].attempt, seen[0].pid) == (opened.id, "fix-login", 12, opened.pid)
    assert not seen[0].dead and abs(seen[0].activity - time.time()) < 60
    # Between fork and exec the process has no words yet.
    wait_for(lambda: (Path("/proc") / str(opened.pid) / "cmdline").read_text().split("\0")[:2] == SLEEP)


def test_names_ids_like_each_other_and_two_attempts_stay_apart(host: Host) -> None:
    for task, number in (("a", 11), ("a-1", 1), ("a", 1), ("a-1", 11)):
        open_window(host, SLEEP, task, number)
    seen = host.tmux.windows() or ()
    assert sorted((w.task, w.attempt) for w in seen) == [("a", 1), ("a", 11), ("a-1", 1), ("a-1", 11)]


def test_a_dead_window_stays_with_its_screen_until_it_is_closed(host: Host) -> None:
    # tmux drops what it did not yet read when a window's last process ends.
    opened, _ = open_window(host, ["sh", "-c", "echo 'last words ä'; read -r line"])
    wait_for(lambda: "last words ä" in host.tmux.capture(opened.id))
    host.tmux.press(opened.id, "Enter", False)
    wait_for(lambda: any(w.dead for w in host.tmux.windows() or ()))
    assert "last words ä" in host.tmux.capture(opened.id)
    host.tmux.close(opened.id)
    assert host.tmux.windows() == ()
    host.tmux.close(opened.id)


def test_many_screens_in_one_call(host: Host) -> None:
    opened = [open_window(host, ["sh", "-c", f"echo '{word} ä'; exec sleep 600"], word)[0] for word in ("a", "b", "c")]
    wait_for(lambda: all(word in host.tmux.capture(window.id) for window, word in zip(opened, "abc", strict=True)))
    ids = [window.id for window in opened]
    calls = []
    called = host.tmux._call
    host.tmux._call = lambda *words, **more: (calls.append(words), called(*words, **more))[1]  # type: ignore[method-assign]
    assert host.tmux.look(ids) == Sight({window: host.tmux.capture(window) for window in ids}, {})
    assert len(calls) == 1
    host.tmux.close(ids[1])
    assert list(host.tmux.look([*ids, "@999"]).screens) == [ids[0], ids[2]]
    assert host.tmux.look([]) == Sight({}, {})
    host.tmux.shutdown()
    assert host.tmux.look(ids) == Sight({}, {})


def test_looking_and_typing_need_no_libtmux(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its import fails below a dashboard, whose standard output has no encoding: a text would stay half typed."""
    window = open_window(host, ["cat"])[0].id
    monkeypatch.setattr(tmux, "_timed_server", lambda: pytest.fail("libtmux was called"))
    host.tmux.paste(window, "ab")
    wait_for(lambda: host.tmux.cursor(window) == "0 2")
    host.tmux.press(window, "Enter", False)
    wait_for(lambda: host.tmux.cursor(window) == "2 0")
    assert "ab" in host.tmux.capture_styled(window) and "ab" in host.tmux.look([window]).screens[window]
    assert host.tmux.terminal(window).exists()


def test_who_types_is_who_presses_keys_after_attaching() -> None:
    assert tmux._typed("") == {}
    assert tmux._typed("0|100|100|@1\n") == {}  # attached, and nothing more
    assert tmux._typed("1|100|200|@1\n") == {}  # may only read
    assert tmux._typed("0|100|130|@1\n0|90|120|@1\n0|90|140|@2\n") == {"@1": 130.0, "@2": 140.0}


def test_arguments_arrive_as_they_are(host: Host, tmp_path: Path) -> None:
    words = [
        "$(touch pwned)",
        "#{pid} #(touch pwned)",
        "%H",
        "a b",
        "'\"",
        "\\;",
        ";",
        "end;",
        "line\nbreak",
        "ä",
        "-x",
        "",
    ]
    note = tmp_path / "note"
    open_window(host, python("import sys; open(sys.argv[1], 'w').write(repr(sys.argv[2:]))", str(note), *words))
    wait_for(lambda: note.exists() and note.read_text() == repr(words))
    assert not list(tmp_path.rglob("pwned"))


def test_a_folder_with_a_line_break_blinds_nobody(host: Host, tmp_path: Path) -> None:
    (tmp_path / "line\nbreak|@9|x").mkdir()
    code = "import os, sys, time; os.chdir(sys.argv[1]); time.sleep(600)"
    opened, _ = open_window(host, python(code, str(tmp_path / "line\nbreak|@9|x")))
    open_window(host, SLEEP, "other")
    wait_for(lambda: (Path("/proc") / str(opened.pid) / "cwd").readlink().name.endswith("|x"))
    assert sorted(w.task for w in host.tmux.windows() or ()) == ["fix", "other"]


def test_windows_that_are_not_ours_are_not_seen(host: Host) -> None:
    opened, _ = open_window(host, SLEEP)
    host.tmux._call("new-window", "-d", "-n", "fix", *SLEEP)
    host.tmux._call("split-window", "-d", "-t", opened.id, *SLEEP)
    host.tmux._call("new-session", "-d", "-s", "other", *SLEEP)
    assert [w.pid for w in host.tmux.windows() or ()] == [opened.pid]


@pytest.mark.parametrize("task", ["", "../x", "A", "a b", "a;b", "#{pid}", "a_1", "a\n", "x" * 49])
def test_other_words_than_ids_open_nothing(host: Host, task: str) -> None:
    with pytest.raises(MuxError, match="no window was opened"):
        host.tmux.open(task, 1, SLEEP, "runs/x/1/output.log")
    assert host.tmux.windows() == ()


@pytest.mark.parametrize("log", ["/etc/x", "../x", "a/../x", "$(id)", "a b", "a/#{pid}", "%H", "a;b", ""])
def test_a_log_lies_below_the_folder_under_a_plain_name(host: Host, log: str) -> None:
    with pytest.raises(MuxError, match="no window was opened"):
        host.tmux.open("fix", 1, SLEEP, log)


def test_the_log_gets_every_byte(host: Host) -> None:
    code = "import time, os, sys\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
    code += "import tty; tty.setraw(1); os.write(1, bytes(range(256)) * 400)\n"
    code += "time.sleep(600)"  # tmux drops what it did not yet read when a window's last process ends
    log = host.folder / "runs" / "fix" / "1" / "output.log"
    open_window(host, python(code, str(log)))
    wait_for(lambda: log.exists() and log.stat().st_size == 256 * 400)
    assert log.read_bytes() == bytes(range(256)) * 400
    assert log.stat().st_mode & 0o777 == 0o600


def test_the_log_is_written_when_the_folder_was_made_anew_under_a_living_server(host: Host) -> None:
    """The server still stands in the one that is gone."""
    _, first = open_window(host, SLEEP, "first")
    wait_for(first.exists)  # or it is made while the folder is removed
    shutil.rmtree(host.folder)
    host.folder.mkdir()
    _, log = open_window(host, ["sh", "-c", "echo said; exec sleep 600"])
    wait_for(lambda: log.exists() and log.read_bytes() == b"said\r\n")


def test_the_log_rotates_at_ten_mebibytes(host: Host) -> None:
    code = "import os\nline = b'x' * 98 + b'\\n'\nfor _ in range(150): os.write(1, line * 2000)"
    _, log = open_window(host, python(code))
    older = log.with_name("output.log.1")
    wait_for(lambda: older.exists() and log.exists() and older.stat().st_size + log.stat().st_size > 18 * 2**20)
    wait_for(lambda: any(w.dead for w in host.tmux.windows() or ()))
    assert older.stat().st_size == 10 * 2**20 and log.stat().st_size <= 10 * 2**20
    assert len(list(log.parent.iterdir())) == 2


def test_a_writer_whose_folder_is_gone_ends(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    script = tmux._WRITER.format(folder="run", name="output.log")
    writer = subprocess.Popen(["sh", "-c", script], cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        wait_for((tmp_path / "run" / "output.log").exists)
        (tmp_path / "run" / "output.log").unlink()
        (tmp_path / "run").rmdir()
        assert writer.stdin is not None
        writer.stdin.close()
        assert writer.wait(PATIENCE) == 0
        again = sh.run(["sh", "-c", script], cwd=tmp_path, timeout=PATIENCE, check=False)
        assert again.code != 0
    finally:
        writer.kill()
        writer.wait()


class TestEnvironment:
    def test_a_real_pane_has_what_it_needs_and_no_secret(self, host: Host, tmp_path: Path) -> None:
        host.tmux.shutdown()
        base = dict(os.environ) | {
            "ANTHROPIC_API_KEY": "key",
            "SLACK_BOT_TOKEN": "xoxb",
            "GIT_DIR": "/x",
            "TMUX": "/x,1,0",
        }
        host.tmux = Tmux(host.folder.parent / "board.md", host.folder, base | {"MUX_TASK": "outer", "LC_ALL": "C"})
        host.tmux.ensure()
        seen = pane_environment(host, tmp_path / "note", "fix")
        assert seen["ANTHROPIC_API_KEY"] == "key" and seen["LC_ALL"] == "C.UTF-8"
        assert not {"SLACK_BOT_TOKEN", "GIT_DIR", "MUX_TASK"} & set(seen)
        assert "/x" not in seen["TMUX"]
        first = (Path("/proc") / str(server_pid(host)) / "environ").read_bytes()
        assert b"xoxb" not in first

    def test_a_new_key_reaches_new_windows_and_an_old_one_goes(self, host: Host, tmp_path: Path) -> None:
        values = {"NEW_KEY": "a'\"$HOME;\\ #{pid}\n  # two  \n%if ä\udcff", "EMPTY": "", "ODD%%NAME": "x", "TILDE": "~"}
        host.tmux = Tmux(host.folder.parent / "board.md", host.folder, dict(os.environ) | values | {"OLD": "x"})
        host.tmux.ensure()
        pid = server_pid(host)
        seen = pane_environment(host, tmp_path / "one", "one")
        assert {name: seen.get(name) for name in [*values, "OLD"]} == values | {"OLD": "x"}
        host.tmux = Tmux(host.folder.parent / "board.md", host.folder, dict(os.environ) | values)
        host.tmux.ensure()
        assert "OLD" not in pane_environment(host, tmp_path / "two", "two")
        assert server_pid(host) == pid

    def test_nothing_is_done_when_nothing_changed(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = []
        run = sh.run
        monkeypatch.setattr(sh, "run", lambda argv, **more: (calls.append(argv), run(argv, **more))[1])
        host.tmux.ensure()
        assert len(calls) <= 2 and not any("source-file" in call for call in calls)

    def test_no_secret_is_ever_an_argument(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[str] = []
        run = sh.run
        monkeypatch.setattr(sh, "run", lambda argv, **more: (calls.extend(argv), run(argv, **more))[1])
        for fresh in (False, True):
            if fresh:
                host.tmux.shutdown()
            value = f"hush-{fresh}"
            host.tmux = Tmux(host.folder.parent / "board.md", host.folder, dict(os.environ) | {"API_KEY": value})
            host.tmux.ensure()
        assert calls and not any("hush" in word for word in calls)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
def test_quoting_leaves_only_plain_characters(text: str) -> None:
    quoted = tmux_words.quoted(text)
    inner = quoted[1:-1].split("\\")
    plain = inner[0] + "".join(part[3:] for part in inner[1:])
    assert set(plain) <= tmux_words._PLAIN and all(part[:3].isdigit() for part in inner[1:])
    data = inner[0].encode() + b"".join(bytes([int(part[:3], 8)]) + part[3:].encode() for part in inner[1:])
    assert data == os.fsencode(text)


class TestServer:
    def test_no_server_is_no_windows(self, host: Host) -> None:
        host.tmux.shutdown()
        assert host.tmux.windows() == ()
        host.tmux.shutdown()

    def test_a_killed_server_is_no_windows_and_comes_back(self, host: Host) -> None:
        open_window(host, SLEEP)
        os.kill(server_pid(host), signal.SIGKILL)
        wait_for(lambda: host.tmux.windows() == ())
        host.tmux.ensure()
        open_window(host, SLEEP, "again")
        assert [w.task for w in host.tmux.windows() or ()] == ["again"]

    def test_a_stuck_server_is_unknown_not_gone(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        pid = server_pid(host)
        os.kill(pid, signal.SIGSTOP)
        try:
            with monkeypatch.context() as impatient:
                impatient.setattr(tmux, "_TIME_LIMIT", 1.0)
                assert host.tmux.windows() is None
                with pytest.raises(CommandFailed, match=r"tmux .*no answer in 1 s"):
                    host.tmux.capture("@0")
        finally:
            os.kill(pid, signal.SIGCONT)
        assert host.tmux.windows() == ()

    def test_a_socket_that_refuses_is_unknown(self, host: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.mktemp("f") / "file"
        folder.write_text("a file where tmux wants a folder")
        refused = Tmux(host.folder.parent / "board.md", host.folder, dict(os.environ) | {"TMUX_TMPDIR": str(folder)})
        assert refused.windows() is None

    def test_a_closed_session_comes_back_beside_what_is_there(self, host: Host) -> None:
        host.tmux._call("new-session", "-d", "-s", "other", *SLEEP)
        host.tmux._call("kill-session", "-t", "=mux")
        host.tmux.ensure()
        open_window(host, SLEEP)
        assert [w.task for w in host.tmux.windows() or ()] == ["fix"]

    def test_starting_from_many_threads_starts_one(self, host: Host) -> None:
        host.tmux.shutdown()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: host.tmux.ensure(), range(8)))
            list(pool.map(lambda n: open_window(host, SLEEP, "fix", n), range(1, 9)))
        assert sorted(w.attempt for w in host.tmux.windows() or ()) == list(range(1, 9))

    def test_shutdown_returns_when_the_server_is_gone(self, host: Host) -> None:
        pid = server_pid(host)
        host.tmux.shutdown()
        assert processes.start_time(pid) is None

    def test_two_boards_have_two_servers_and_a_link_to_one_has_its(self, tmp_path: Path) -> None:
        board = tmp_path / NASTY / "board.md"
        board.parent.mkdir()
        board.touch()
        (tmp_path / "link.md").symlink_to(board)
        assert tmux.socket_name(tmp_path / "link.md") == tmux.socket_name(board) != tmux.socket_name(tmp_path / "b.md")
        assert len(tmux.socket_name(board)) == 16

    def test_it_may_open_many_files_and_refuses_near_the_end(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        assert tmux._files_allowed(server_pid(host)) >= 10_000
        monkeypatch.setattr(tmux, "_files_allowed", lambda pid: 5)
        with pytest.raises(MuxError, match="of 5 files open"):
            open_window(host, SLEEP)

    def test_a_terminal_can_attach(self, host: Host) -> None:
        opened, _ = open_window(host, SLEEP)
        import pty

        pid, terminal = pty.fork()
        if pid == 0:
            os.environ |= {"TERM": "xterm", "TMUX": "/elsewhere,1,0"}
            argv = host.tmux.attach_argv(opened.id)
            os.execvp(argv[0], argv)
        try:
            seen = wait_for(lambda: host.tmux._call("list-clients", "-F", "#{session_name}|#{window_id}").out.strip())
            assert seen == f"mux|{opened.id}"
        finally:
            os.kill(pid, signal.SIGHUP)
            os.close(terminal)
            os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("3.1c", False),
        ("2.9a", False),
        ("3.2", True),
        ("3.3a", True),
        ("next-3.7", True),
        ("master", True),
        ("openbsd-7.4", True),
    ],
)
def test_the_version_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, fits: bool) -> None:
    (tmp_path / "tmux").write_text(f"#!/bin/sh\necho tmux {shlex.quote(said)}\n")
    (tmp_path / "tmux").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    if fits:
        assert tmux.version() == said
    else:
        with pytest.raises(MuxError, match=r"is too old: mux needs 3\.2"):
            tmux.version()
