from __future__ import annotations

import errno
import os
import pty
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from board import watch
from board.errors import BoardBusy, BoardMissing, MuxError
from board.exchange import filesystem_type, is_remote
from board.file import BoardFile
from board.storage import create_exclusive, digest, write_atomic
from board.watch import Settler, Watcher
from tests.support import PATIENCE

OLD = "# Board\n\nold text\n"
NEW = "# Board\n\nnew text\n"


# settling


@pytest.mark.parametrize(
    ("events", "due"),
    [
        ([], None),
        ([10.0], 10.05),
        ([10.0, 10.04], 10.09),
        ([10.0, 10.3, 10.44], 10.49),
        ([10.0, 10.3, 10.47], 10.5),
        ([10.0, 10.3, 10.6], 10.5),
    ],
)
def test_settled_when_quiet_but_not_put_off_for_ever(events: list[float], due: float | None) -> None:
    settler = Settler()
    for event in events:
        settler = settler.noted(event)
    assert settler.due == (None if due is None else pytest.approx(due))
    assert settler.cleared().due is None
    assert Settler(quiet=1, limit=2).noted(10).cleared().noted(20).due == 21


# file systems

MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:25 / /home/me/net rw master:2 shared:3 - nfs4 server:/x rw
31 22 0:26 / /home/me/with\040blank rw - 9p drvfs rw
32 30 8:1 / /home/me/net/disk rw - xfs /dev/sda1 rw
33 22 0:27 / /mnt/twice rw - ext4 /dev/sdb rw
34 33 0:28 / /mnt/twice rw - fuse.sshfs me@there: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/project", "ext4"),
        ("/home/me/net/project", "nfs4"),
        ("/home/me/network", "ext4"),
        ("/home/me/net/disk/project", "xfs"),
        ("/home/me/with blank/project", "9p"),
        ("/mnt/twice", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str) -> None:
    assert filesystem_type(MOUNTS, Path(path)) == kind


def test_a_local_folder_is_not_remote(tmp_path: Path) -> None:
    assert not is_remote(tmp_path)


# watching


class Board:
    """A board in a folder of its own, its watcher, and the events that came."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "project" / "board.md"
        self.inbox = folder / "project" / ".mux" / "inbox"
        self.inbox.mkdir(parents=True)
        self.path.write_text(OLD)
        self.events: queue.Queue[tuple[str, float]] = queue.Queue()
        self.watcher = Watcher(self.path, self.inbox, lambda what: self.events.put((what, time.monotonic())))

    def next(self, seconds: float = PATIENCE) -> str:
        return self.events.get(timeout=seconds)[0]

    def read_when_told(self, wanted: str, seconds: float = PATIENCE) -> None:
        """Reads when events say so, never otherwise, until the board is as wanted."""
        settler, seen, deadline = Settler(), "", time.monotonic() + seconds
        while seen != wanted:
            now = time.monotonic()
            assert now < deadline, f"saw {seen!r}"
            try:
                what, at = self.events.get(timeout=max(0.0, (settler.due or deadline) - now))
                assert what == "board"
                settler = settler.noted(at)
            except queue.Empty:
                assert settler.due is not None, f"no event came; saw {seen!r}"
                settler = settler.cleared()
                seen = self._read() or seen

    def _read(self) -> str:
        try:
            return BoardFile(self.path).read().text.decode()
        except (BoardBusy, BoardMissing):
            return ""


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


@contextmanager
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before  # one of an earlier test may have ended meanwhile


def run(*command: str | Path, cwd: Path | None = None) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "TERM": "xterm"}
    subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=True)


def by_vim(*settings: str) -> Callable[[Path], None]:
    options = " ".join(["backupskip=", *settings])  # or vim treats files under /tmp in another way than a project's
    return lambda path: run(
        "vim", "-es", "-u", "NONE", "-i", "NONE", "-c", f"set {options}", "-c", "%s/old/new/", "-c", "wq", path
    )


def by_nano(path: Path) -> None:
    """On a terminal of its own: cut the third line, type another, write, leave."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ["TERM"] = "xterm"
        os.execvp("nano", ["nano", "--ignorercfiles", "+3", str(path)])
    try:
        shown = b""
        while b"old text" not in shown:
            shown += os.read(terminal, 4096)
        os.write(terminal, b"\x0bnew text\n\x0f\r\x18")
        while os.read(terminal, 4096):
            pass
    except OSError:  # EIO: nano has ended
        pass
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def by_git(path: Path) -> None:
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org")
    for words in (["init", "-q"], ["add", "board.md"], ["commit", "-qm", "x"]):
        run(*git, *words, cwd=path.parent)
    run("git", "checkout", "-q", "HEAD~0", cwd=path.parent)
    path.write_text("an edit that is taken back\n")
    run("git", "checkout", "-q", "--", "board.md", cwd=path.parent)


def by_replace(path: Path) -> None:
    path.with_name("board.md.new").write_text(NEW)
    path.with_name("board.md.new").replace(path)


def from_elsewhere(path: Path) -> None:
    other = path.parents[1] / "board.md"
    other.write_text(NEW)
    other.replace(path)


def truncating(path: Path) -> None:
    """As VS Code: open with O_TRUNC, write, close."""
    with path.open("w") as file:
        file.flush()
        time.sleep(0.1)
        file.write(NEW)


def by_mux(path: Path) -> None:
    BoardFile(path).write(NEW.encode(), digest(OLD.encode()))


SAVES = {
    "vim": by_vim(),
    "vim backupcopy=auto": by_vim("writebackup", "backupcopy=auto"),
    "vim backupcopy=no": by_vim("writebackup", "backupcopy=no"),
    "vim backupcopy=yes": by_vim("writebackup", "backupcopy=yes"),
    "vim backup": by_vim("backup", "backupcopy=no"),
    "vim nowritebackup": by_vim("nobackup", "nowritebackup"),
    "nano": by_nano,
    "sed -i": lambda path: run("sed", "-i", "s/old/new/", path),
    "replace": by_replace,
    "replace from another folder": from_elsewhere,
    "truncate and write": truncating,
    "append": lambda path: run("sh", "-c", 'printf "# Board\\n\\nnew text\\n" >"$1"', "sh", path),
    "mux": by_mux,
}


IN_PLACE = {"vim", "vim backupcopy=yes", "vim nowritebackup", "nano", "truncate and write", "append"}


@pytest.mark.parametrize("name", SAVES)
def test_every_way_of_saving_is_noticed_and_read(board: Board, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SELF_TEST", PATIENCE)  # on a busy machine it would poll
    program = name.split()[0]
    if program in ("vim", "nano", "sed") and shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    inode = board.path.stat().st_ino
    with no_thread_left(), board.watcher:
        assert not board.watcher.polling
        SAVES[name](board.path)
        board.read_when_told(NEW)
    assert (board.path.stat().st_ino == inode) == (name in IN_PLACE), "the program did not save the way this is about"


def test_git_checkout_is_noticed_and_read(board: Board) -> None:
    with board.watcher:
        by_git(board.path)
        board.read_when_told(OLD)


def test_the_second_save_by_rename_is_noticed_too(board: Board) -> None:
    with board.watcher:
        for number in range(5):
            text = f"save {number}\n"
            write_atomic(board.path, text.encode())
            board.read_when_told(text)


def test_a_deleted_board_is_noticed(board: Board) -> None:
    with board.watcher:
        board.path.unlink()
        assert board.next() == "board"


def test_reading_and_other_files_wake_nobody(board: Board) -> None:
    with board.watcher:
        board.path.read_text()
        BoardFile(board.path).read()
        for name in ("board.md~", ".board.md.swp", "4913", ".board.md.mux.0.1.2", "board.md.lock", "notes.md"):
            board.path.with_name(name).write_text("x")
        (board.inbox / ".report.1234.tmp").write_text("x")
        (board.path.parent / "folder").mkdir()
        board.path.with_name("board.md.lock").unlink()
        with pytest.raises(queue.Empty):
            board.next(0.3)
        board.path.write_text(NEW)
        board.read_when_told(NEW)


def test_the_inbox_wakes_for_each_way_of_delivering(board: Board) -> None:
    with board.watcher:
        for number, deliver in enumerate((write_atomic, create_exclusive, Path.write_bytes)):
            deliver(board.inbox / f"{number}.json", b"{}")  # type: ignore[operator]
            assert board.next() == "inbox"
            with pytest.raises(queue.Empty):
                while True:
                    assert board.next(0.1) == "inbox"


def test_names_with_blanks_and_unicode(tmp_path: Path) -> None:
    folder = tmp_path / "mein Projekt, доска"
    folder.mkdir()
    board = Board(folder)
    with board.watcher:
        by_replace(board.path)
        board.read_when_told(NEW)


def test_a_folder_given_through_a_link(tmp_path: Path) -> None:
    board = Board(tmp_path)
    (tmp_path / "link").symlink_to("project")
    events: queue.Queue[str] = queue.Queue()
    linked = tmp_path / "link"
    with Watcher(linked / "board.md", linked / ".mux" / "inbox", events.put):
        by_replace(board.path)
        assert events.get(timeout=PATIENCE) == "board"
        write_atomic(board.inbox / "1", b"")
        while events.get(timeout=PATIENCE) != "inbox":
            pass


def test_starts_and_stops_again_and_leaves_nothing(board: Board) -> None:
    with no_thread_left():
        for _ in range(3):
            with board.watcher:
                board.path.write_text(OLD)
                board.read_when_told(OLD)
        board.watcher.stop()
    assert sorted(path.name for path in board.path.parent.iterdir()) == [".mux", "board.md"]
    assert list(board.inbox.iterdir()) == []


def test_a_folder_that_is_made_anew_is_watched_after_a_refresh(board: Board) -> None:
    with no_thread_left(), board.watcher:
        assert not board.watcher.refresh()
        shutil.rmtree(board.inbox)
        assert not board.watcher.refresh()
        board.inbox.mkdir()
        assert board.watcher.refresh()
        assert not board.watcher.refresh()
        while not board.events.empty():
            board.events.get()
        write_atomic(board.inbox / "1", b"")
        assert board.next() == "inbox"


@pytest.fixture(params=["remote", "silent", "no watches left"])
def without_events(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    match request.param:
        case "remote":
            monkeypatch.setattr(watch, "is_remote", lambda _: True)
        case "silent":
            from watchdog.observers.inotify import InotifyEmitter

            monkeypatch.setattr(InotifyEmitter, "queue_events", lambda *_, **__: threading.Event().wait(0.01))
            monkeypatch.setattr(watch, "SELF_TEST", 0.1)
        case _:
            from watchdog.observers.inotify import InotifyObserver

            def full(*_: object) -> None:
                raise OSError(errno.ENOSPC, "inotify watch limit reached")

            monkeypatch.setattr(InotifyObserver, "start", full)


@pytest.mark.usefixtures("without_events")
def test_where_no_events_come_it_polls(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_EVERY", 0.05)
    with no_thread_left(), board.watcher:
        assert board.watcher.polling
        by_replace(board.path)
        board.read_when_told(NEW)
        truncating(board.path)
        board.read_when_told(NEW)
        write_atomic(board.inbox / "1", b"")
        while board.next() != "inbox":
            pass


def test_a_missing_folder_is_one_line_and_can_be_mended(tmp_path: Path) -> None:
    events: queue.Queue[str] = queue.Queue()
    watcher = Watcher(tmp_path / "board.md", tmp_path / "inbox", events.put)
    with no_thread_left():
        with pytest.raises(MuxError, match=r"inbox: cannot watch: no such file"):
            watcher.start()
        assert not watcher.refresh()
        (tmp_path / "inbox").mkdir()
        assert watcher.refresh()
        write_atomic(tmp_path / "inbox" / "1", b"")
        assert events.get(timeout=PATIENCE) == "inbox"
        watcher.stop()
