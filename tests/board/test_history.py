from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from board.errors import MuxError
from board.history import Entry, History
from board.storage import digest

ROOT = Path(__file__).parents[2]
DAY = 86400.0
NOW = 1_795_420_800.0


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / ".mux" / "history")


def test_nothing_yet(history: History) -> None:
    assert history.entries() == ()
    assert history.latest() is None
    assert history.damaged() == ()
    assert history.prune(NOW, DAY) == 0
    assert not history.folder.exists()


def test_versions_are_listed_by_name_alone(history: History) -> None:
    first = history.append(b"one", None, "person", NOW)
    second = history.append(b"two", 1, "mux", NOW + 0.25)
    third = history.append(b"one", 1, "person", NOW + 60)
    assert [entry.serial for entry in (first, second, third)] == [1, 2, 3]
    assert second == Entry(2, 1, "mux", NOW + 0.25, digest(b"two"))
    for path in history.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.write_bytes(b"")  # only the names are looked at below
    assert History(history.folder).entries() == (first, second, third)
    assert history.with_rev(1) == (second, third)
    assert history.with_rev(7) == ()
    assert history.find(digest(b"one")) == third
    assert history.find(digest(b"three")) is None


def test_more_than_nine_versions_stay_in_order(history: History) -> None:
    for number in range(12):
        history.append(b"%d" % number, number, "mux", NOW)
    assert [entry.rev for entry in history.entries()] == list(range(12))
    latest = history.latest()
    assert latest is not None
    assert history.read(latest) == b"11"


@pytest.mark.parametrize(
    ("text", "rev", "by"), [(b"b", 1, "mux"), (b"a", 2, "mux"), (b"a", None, "mux"), (b"a", 1, "person")]
)
def test_only_what_equals_the_latest_in_all_adds_nothing(
    history: History, text: bytes, rev: int | None, by: str
) -> None:
    first = history.append(b"a", 1, "mux", NOW)
    assert history.append(b"a", 1, "mux", NOW + 5) == first
    other = history.append(text, rev, "mux" if by == "mux" else "person", NOW + 6)
    assert history.entries() == (first, other)
    assert history.append(b"a", 1, "mux", NOW + 7).serial == 3, "an older version that comes back is a new one"


@given(text=st.binary(max_size=3000))
def test_any_bytes_come_back(text: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder))
        assert history.read(history.append(text, None, "person", NOW)) == text


@pytest.mark.parametrize("damage", [b"", b"torn", "half", "other"])
def test_a_damaged_version_is_skipped_and_reported(history: History, damage: bytes | str) -> None:
    good = history.append(b"good " * 100, 1, "mux", NOW)
    other = history.append(b"other " * 100, 1, "person", NOW)
    torn = history.append(b"torn " * 100, 1, "mux", NOW)
    path = history.folder / torn.name
    if damage == "half":
        path.write_bytes(path.read_bytes()[:-5])
    elif damage == "other":
        path.write_bytes((history.folder / other.name).read_bytes())
    else:
        path.write_bytes(bytes(damage))  # type: ignore[arg-type]
    assert history.whole(history.with_rev(1)) == ((good, b"good " * 100), (other, b"other " * 100))
    assert history.latest() == other
    assert history.entries() == (good, other)
    assert [found.name for found in history.damaged()] == [torn.name + ".damaged"]
    with pytest.raises(MuxError) as caught:
        history.read(torn)
    assert "\n" not in str(caught.value)
    assert history.append(b"next", 2, "mux", NOW).serial == 3


def test_reading_a_damaged_version_is_one_line(history: History) -> None:
    entry = history.append(b"text", 1, "mux", NOW)
    (history.folder / entry.name).write_bytes(b"?")
    with pytest.raises(MuxError, match="damaged and was set aside") as caught:
        history.read(entry)
    assert "\n" not in str(caught.value)


def test_prune_goes_by_age_and_keeps_the_latest(history: History) -> None:
    for day in range(4):
        history.append(b"%d" % day, day, "mux", NOW + day * DAY)
    assert history.prune(NOW + 10 * DAY, 8 * DAY + 1) == 2
    assert [entry.rev for entry in history.entries()] == [2, 3]
    assert history.prune(NOW + 1000 * DAY, DAY) == 1
    assert [entry.rev for entry in history.entries()] == [3]
    assert history.append(b"next", 4, "mux", NOW).serial == 5


def test_strange_files_are_passed_over(history: History) -> None:
    entry = history.append(b"text", 1, "mux", NOW)
    for name in (".gitignore", f".{entry.name}.1234.tmp", "notes.txt", entry.name + "~"):
        (history.folder / name).write_bytes(b"")
    assert history.entries() == (entry,)
    assert history.damaged() == ()


def test_a_full_disk_is_one_line_and_adds_nothing(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = history.append(b"text", 1, "mux", NOW)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MuxError, match="no space left on device; free some disk space") as caught:
        history.append(b"more", 2, "mux", NOW)
    assert "\n" not in str(caught.value)
    assert [path.name for path in history.folder.iterdir()] == [entry.name]


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "history").write_bytes(b"")
    with pytest.raises(MuxError, match="a file stands where a folder is needed"):
        History(tmp_path / "history").append(b"text", 1, "mux", NOW)


def test_killed_while_appending_leaves_whole_versions_only(history: History) -> None:
    code = (
        "import os, sys; from pathlib import Path; from board.history import History\n"
        "history = History(Path(sys.argv[1])); number = 0\n"
        "while True:\n"
        "    number += 1; text = os.urandom(50_000); history.append(text, number, 'mux', 1e9 + number)\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, history.folder], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout as output:
        said = [int(output.readline()) for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        said += [int(line) for line in output.read().split()]
    entries = history.entries()
    assert [entry.rev for entry in entries][: len(said)] == said
    assert len(history.whole(entries)) == len(entries)
    assert history.damaged() == ()
