from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from board import exchange
from board import file as board_file
from board.errors import BoardBusy, BoardChanged, BoardMissing, BoardUnreadable, LockHeld, MuxError
from board.file import BoardFile
from board.storage import digest
from tests.support import PATIENCE, wait_for

ROOT = Path(__file__).parents[2]
OLD = b"# old\n" * 2000
NEW = b"# new\r\n" * 3000


class Clock:
    def __init__(self) -> None:
        self.value = 1000.0

    def __call__(self) -> float:
        return self.value


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name != "board.md.lock")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "board.md"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def no_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_lease", lambda _: exchange.Writers.UNKNOWN)


@pytest.fixture
def no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_file, "exchange", lambda *_: False)


# reading


def test_read_gives_text_digest_and_stamp(path: Path) -> None:
    file = BoardFile(path)
    version = file.read()
    assert (version.text, version.digest) == (OLD, digest(OLD))
    assert version.stamp == file.stamp()
    path.write_bytes(NEW)
    assert version.stamp != file.stamp()


def test_an_open_writer_makes_it_busy_until_it_closes(path: Path) -> None:
    file = BoardFile(path)
    with path.open("r+b"), pytest.raises(BoardBusy):
        file.read()
    assert file.read().text == OLD


def test_an_editor_that_opens_during_the_read_waits_and_ends_nobody(path: Path) -> None:
    editor = f"open({str(path)!r}, 'wb').write(b'saved')"
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with exchange.hold_off_writers(descriptor) as writers:
            assert writers is exchange.Writers.NONE
            process = subprocess.Popen([sys.executable, "-c", editor])
            wait_for(lambda: "break" in Path(f"/proc/{process.pid}/wchan").read_text() or process.poll() is not None)
            assert process.poll() is None
            assert os.pread(descriptor, len(OLD) + 1, 0) == OLD
    finally:
        os.close(descriptor)
    assert process.wait(timeout=PATIENCE) == 0
    assert BoardFile(path).read().text == b"saved"


def test_without_leases_a_save_counts_when_it_stayed_for_two_seconds(path: Path, no_leases: None) -> None:
    clock = Clock()
    file = BoardFile(path, monotonic=clock)
    with pytest.raises(BoardBusy):
        file.read()
    clock.value += 1.9
    path.write_bytes(NEW)
    with pytest.raises(BoardBusy):
        file.read()
    clock.value += 1.9
    with pytest.raises(BoardBusy):
        file.read()
    clock.value += 0.2
    assert file.read().text == NEW
    written = file.write(OLD, digest(NEW))
    assert file.read() == written.version, "what mux wrote itself needs no waiting"


def test_remote_file_systems_trust_no_lease(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_file, "is_remote", lambda _: True)
    with pytest.raises(BoardBusy):
        BoardFile(path).read()


def test_read_soon_waits_for_a_save_but_not_for_ever(path: Path) -> None:
    editor = (
        f"import time\nwith open({str(path)!r}, 'wb') as file:\n"
        "    print('open', flush=True); time.sleep(0.3); file.write(b'saved')"
    )
    with subprocess.Popen([sys.executable, "-c", editor], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert BoardFile(path).read_soon().text == b"saved"
    with path.open("ab"), pytest.raises(BoardBusy):
        BoardFile(path).read_soon(patience=0.05)
    path.unlink()
    with pytest.raises(BoardMissing):
        BoardFile(path).read_soon(missing=0.05)


def in_place(path: Path, thing: str) -> None:
    path.unlink()
    match thing:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "symlink":
            path.symlink_to(path.with_name("elsewhere"))
            path.with_name("elsewhere").write_bytes(OLD)
        case "loop":
            path.symlink_to(path)


@pytest.mark.parametrize("thing", ["nothing", "folder", "pipe", "symlink", "loop"])
def test_what_is_no_file_is_missing_in_one_line(path: Path, thing: str) -> None:
    file = BoardFile(path)
    in_place(path, thing)
    for call in (file.read, lambda: file.write(NEW, digest(OLD))):
        with pytest.raises(BoardMissing) as caught:
            call()
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
    assert file.stamp() is None


def test_over_20_mb_is_unreadable_without_reading_it(path: Path) -> None:
    os.truncate(path, 50 * 1024 * 1024)
    with pytest.raises(BoardUnreadable, match=r"board\.md: 50 MB is too large"):
        BoardFile(path).read()


def test_a_board_that_is_a_symlink_from_the_start_is_followed(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "links" / "board.md"
    link.parent.mkdir()
    link.symlink_to("../board.md")
    file = BoardFile(link)
    file.write(NEW, file.read().digest)
    assert file.path == path
    assert link.is_symlink()
    assert path.read_bytes() == NEW
    assert names(link.parent) == ["board.md"]


# writing


def test_write_replaces_and_the_leftover_goes_after_the_grace_time(path: Path) -> None:
    now = Clock()
    now.value = time.time()
    file = BoardFile(path, now=now)
    written = file.write(NEW, digest(OLD))
    assert written.displaced == ()
    assert file.read() == written.version
    assert path.read_bytes() == NEW
    assert len(names(path.parent)) == 2
    now.value += board_file.GRACE + 1
    assert file.displaced() == ()
    assert names(path.parent) == ["board.md"]


def test_mode_and_owner_stay(path: Path) -> None:
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 2345)
    before = path.stat()
    BoardFile(path).write(NEW, digest(OLD))
    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_write_refuses_another_version_and_touches_nothing(path: Path) -> None:
    with pytest.raises(BoardChanged):
        BoardFile(path).write(NEW, digest(b"what I read"))
    assert path.read_bytes() == OLD
    assert names(path.parent) == ["board.md"]


def test_write_refuses_while_an_editor_has_it_open(path: Path) -> None:
    with path.open("r+b"), pytest.raises(BoardBusy):
        BoardFile(path).write(NEW, digest(OLD))
    assert path.read_bytes() == OLD


def test_write_creates_a_missing_board_but_replaces_none(path: Path) -> None:
    with pytest.raises(BoardChanged):
        BoardFile(path).write(NEW, None)
    assert path.read_bytes() == OLD
    path.unlink()
    file = BoardFile(path)
    assert file.write(NEW, None).version == file.read()
    assert names(path.parent) == ["board.md"]


@pytest.fixture
def save_between(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], object]], None]]:
    """Runs a save at the worst moment: after mux compared the digest, right before the swap."""

    def at_the_swap(save: Callable[[], object]) -> None:
        original = exchange.exchange

        def swap(first: Path, second: Path) -> bool:
            save()
            return original(first, second)

        monkeypatch.setattr(board_file, "exchange", swap)

    yield at_the_swap


def replace(path: Path, text: bytes) -> None:
    other = path.with_name("editor.tmp")
    other.write_bytes(text)
    other.replace(path)


@pytest.mark.parametrize("save", [replace, Path.write_bytes])
def test_a_save_right_before_the_swap_is_displaced_until_forgotten(
    path: Path, save: Callable[[Path, bytes], object], save_between: Callable[[Callable[[], object]], None]
) -> None:
    now = Clock()
    now.value = time.time()
    save_between(lambda: save(path, b"mine"))
    written = BoardFile(path).write(NEW, digest(OLD))
    assert path.read_bytes() == NEW
    again = BoardFile(path, now=now)  # as after a kill: nothing but the disk is known
    now.value += 1000
    assert written.displaced == again.displaced() == again.displaced()
    (displaced,) = written.displaced
    assert (displaced.text, displaced.digest) == (b"mine", digest(b"mine"))
    again.forget(displaced)
    again.forget(displaced)
    assert again.displaced() == ()
    assert names(path.parent) == ["board.md"]


def test_an_editor_that_truncates_before_the_swap_and_writes_much_later(
    path: Path, save_between: Callable[[Callable[[], object]], None]
) -> None:
    now = Clock()
    now.value = time.time() + 1000
    file = BoardFile(path, now=now)
    opened = []
    save_between(lambda: opened.append(path.open("wb")))
    assert file.write(NEW, digest(OLD)).displaced == ()
    assert file.displaced() == ()
    opened[0].write(b"late")
    assert file.displaced() == ()
    opened[0].close()
    assert [displaced.text for displaced in file.displaced()] == [b"late"]


def test_a_forgotten_save_that_is_saved_once_more_is_displaced_again(path: Path) -> None:
    """A program that had only looked the name up before the swap gets to open it much later."""
    file = BoardFile(path)
    with path.open("rb") as editor:
        assert file.write(NEW, digest(OLD)).displaced == ()
        for text in (b"first", b"again"):
            Path(f"/proc/self/fd/{editor.fileno()}").write_bytes(text)
            (displaced,) = file.displaced()
            assert displaced.text == text
            file.forget(displaced)
            assert file.displaced() == ()


def test_the_board_renamed_away_before_the_swap_is_left_alone(
    path: Path, save_between: Callable[[Callable[[], object]], None]
) -> None:
    save_between(lambda: path.rename(path.with_name("board.md~")))
    with pytest.raises(BoardChanged):
        BoardFile(path).write(NEW, digest(OLD))
    assert names(path.parent) == ["board.md~"]


def test_without_leases_what_came_out_is_watched_for_ten_seconds(
    path: Path, no_leases: None, save_between: Callable[[Callable[[], object]], None]
) -> None:
    clock = Clock()
    file = BoardFile(path, monotonic=clock)
    opened = []
    save_between(lambda: opened.append(path.open("wb")))
    assert file.write(NEW, digest(OLD)).displaced == ()
    clock.value += 9
    opened[0].write(b"late")
    opened[0].close()
    assert file.displaced() == ()
    clock.value += 9
    assert file.displaced() == ()
    clock.value += 2
    assert [displaced.text for displaced in file.displaced()] == [b"late"]


def test_without_exchange_the_digest_is_checked_last_and_late_writers_are_kept(path: Path, no_exchange: None) -> None:
    file = BoardFile(path)
    with path.open("rb") as reader:
        file.write(NEW, digest(OLD))
        Path(f"/proc/self/fd/{reader.fileno()}").write_bytes(b"late")
    assert path.read_bytes() == NEW
    assert [displaced.text for displaced in file.displaced()] == [b"late"]


def test_without_exchange_a_save_before_the_last_check_stops_the_write(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: Path) -> bool:
        replace(path, b"mine")
        return False

    monkeypatch.setattr(board_file, "exchange", cannot)
    with pytest.raises(BoardChanged):
        BoardFile(path).write(NEW, digest(OLD))
    assert path.read_bytes() == b"mine"
    assert names(path.parent) == ["board.md"]


@pytest.mark.parametrize("call", ["fsync", "fchmod", "rename", "chown"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_failed_write_is_one_line_and_leaves_the_old_board(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    if call == "chown":
        os.chown(path, 1234, 2345)
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(MuxError, match=r"board\.md: cannot write: ") as caught:
        BoardFile(path).write(NEW, digest(OLD))
    monkeypatch.undo()
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == OLD
    assert names(path.parent) == ["board.md"]


def test_a_file_too_large_for_the_disk_leaves_the_old_board(path: Path) -> None:
    """A real refusal of the kernel, in the middle of the text."""
    code = (
        "import resource, sys; from pathlib import Path; from board.file import BoardFile\n"
        "from board.errors import MuxError\n"
        "file = BoardFile(Path(sys.argv[1])); known = file.read()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (15000, 15000))\n"
        "try: file.write(known.text * 2, known.digest)\n"
        "except MuxError as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert run.stdout.count("\n") == 1
    assert "cannot write: file too large" in run.stdout
    assert path.read_bytes() == OLD
    assert names(path.parent) == ["board.md"]


def test_the_lock_is_reentrant_and_says_who_has_it(path: Path) -> None:
    file = BoardFile(path)
    with file.lock():
        file.write(NEW, digest(OLD))
    code = (
        "import sys; from pathlib import Path; from board.file import BoardFile\n"
        "with BoardFile(Path(sys.argv[1])).lock(): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    holder = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    with (
        pytest.raises(LockHeld, match=rf"board\.md\.lock: others have been .*, at last process {holder.pid};"),
        file.lock(0.05),
    ):
        pass
    assert file.displaced() == (), "a tick does not wait for the other process"
    holder.communicate(timeout=PATIENCE)
    with file.lock(0.05):
        pass


def test_who_waits_while_others_write_gets_a_turn(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes the lock next is chance: one of many may wait for it longer than anybody holds it."""
    file, tries = BoardFile(path), iter((b"by one", b"by another", None))
    really = file._locked

    def others_are_first(timeout: float) -> bool:
        written = next(tries)
        if written is None:
            return really(timeout)
        path.write_bytes(written)
        return False

    monkeypatch.setattr(file, "_locked", others_are_first)
    with file.lock():
        assert path.read_bytes() == b"by another"
    monkeypatch.setattr(file, "_locked", lambda timeout: path.write_bytes(os.urandom(9)) < 0)
    with pytest.raises(LockHeld, match="for 60 s, at last"), file.lock():
        pass


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(MuxError, match=r"board\.md\.lock: cannot lock: "):
        BoardFile(tmp_path / "plain" / "board.md").write(NEW, None)


@pytest.mark.parametrize("name", ["mein board (1).md", "b[o]*?.md", "доска.md"])
def test_names_that_are_patterns(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(OLD)
    now = Clock()
    now.value = time.time() + 1000
    assert BoardFile(path, now=now).write(NEW, digest(OLD)).displaced == ()
    assert {entry.name for entry in tmp_path.iterdir()} == {name, name + ".lock"}


# killed at every step

STEPS = ("open", "fsync", "fchmod", "rename", "unlink", "link", "exchange")
KILLED = f"""
import os, signal, sys
from pathlib import Path
from board import file as board_file
from board.file import BoardFile
path, step, after, save = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "after", sys.argv[4]
count = 0
def wrapped(name, call):
    def run(*args, **kwargs):
        global count
        count += 1
        mine = count
        if name == "exchange" and save == "save":
            other = path.with_name("editor.tmp"); other.write_bytes(b"mine"); other.replace(path); count = mine
        if mine == step and not after: os.kill(os.getpid(), signal.SIGKILL)
        try: return call(*args, **kwargs)
        finally:
            if mine == step and after: os.kill(os.getpid(), signal.SIGKILL)
    return run
file = BoardFile(path)
known = file.read()
with file.lock():
    for name in {STEPS!r}:
        owner = board_file if name == "exchange" else os
        setattr(owner, name, wrapped(name, getattr(owner, name)))
    file.write(b"# mux", known.digest)
print("all steps done")
"""


@pytest.mark.parametrize("save", ["save", "quiet"])
def test_killed_at_any_step_the_board_is_whole_and_no_save_is_lost(path: Path, save: str) -> None:
    new = b"# mux"
    for step in range(1, 40):
        for moment in ("before", "after"):
            for name in names(path.parent):
                path.with_name(name).unlink()
            path.write_bytes(OLD)
            command = [sys.executable, "-c", KILLED, str(path), str(step), moment, save]
            run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
            assert run.stderr == ""
            file = BoardFile(path, now=lambda: time.time() + 1000)
            board, found = file.read().text, [displaced.text for displaced in file.displaced()]
            assert board in (OLD, new, b"mine")
            if path.with_name("editor.tmp").exists():
                continue
            saved = board == b"mine" or found == [b"mine"]
            assert saved or not found
            if save == "save" and board == new:
                assert found == [b"mine"], (step, moment)
            if run.returncode == 0:
                assert step > 5
                assert run.stdout == "all steps done\n"
                return
            assert run.returncode == -signal.SIGKILL
            file.write(b"next", digest(board))
            assert path.read_bytes() == b"next"
    pytest.fail("never ran through")


# racing a real editor

EDITOR = """
import os, random, sys, time
path, count = sys.argv[1], int(sys.argv[2])
chance = random.Random(int(sys.argv[3]))
def by_rename(text):
    with open(path + ".editor", "w") as file: file.write(text)
    os.replace(path + ".editor", path)
def in_place(text):
    with open(path, "r+") as file: file.write(text)
def truncating(text, pause=0.0):
    with open(path, "w") as file:
        time.sleep(pause)
        file.write(text)
def slowly(text): truncating(text, chance.choice([0.001, 0.003, 0.01]) if chance.random() > 0.01 else 0.3)
for number in range(count):
    time.sleep(chance.random() * 0.004)
    chance.choice([by_rename, in_place, truncating, slowly])(f"person {number:06d}" + "." * 20000)
    sys.stdin.readline()
"""


def test_no_save_of_a_racing_editor_is_lost(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saves, seen, displaced_saves = 1000, set[int](), 0
    monkeypatch.setattr(os, "fsync", lambda _: None)  # it only makes the races rarer
    path.write_text("person 999999" + "." * 20000)
    now = Clock()
    file = BoardFile(path, now=now)
    known = file.read()
    command = [sys.executable, "-c", EDITOR, str(path), str(saves), str(random.randrange(10**6))]
    editor = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0)
    assert editor.stdin is not None
    acknowledge = editor.stdin.write

    def note(text: bytes) -> None:
        number = int(text[7:13]) if text else 999999
        assert len(text) in (0, 20013), "half a save was taken for a whole one"
        if number < saves and number not in seen:
            seen.add(number)
            acknowledge(b"\n")

    try:
        last, progress = 0, time.monotonic()
        while len(seen) < saves:
            now.value = time.time()
            if len(seen) != last:
                last, progress = len(seen), time.monotonic()
            assert time.monotonic() - progress < PATIENCE, f"save {last} is lost"
            try:
                written = file.write(known.text[:13] + os.urandom(10_000).hex().encode(), known.digest)
                known, found = written.version, written.displaced
            except (BoardBusy, BoardChanged, BoardMissing):
                found = file.displaced()
            for displaced in found:
                note(displaced.text)
                displaced_saves += displaced.text != b""
                file.forget(displaced)
            try:
                known = file.read()
                note(known.text)
            except (BoardBusy, BoardMissing):
                pass
        editor.communicate(timeout=PATIENCE)
    finally:
        editor.kill()
        editor.wait()
    assert displaced_saves > 0, "the race never happened, so nothing was shown"
