from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from board.errors import MuxError
from runners.journal import Event, Journal, redacted

ADD = """
import sys, time
from pathlib import Path
from runners.journal import Event, Journal, redacted
journal = Journal(Path(sys.argv[1]))
for number in range(200):
    journal.add(Event(time.time(), "said", sys.argv[2] * 300, "fix", number))
"""


def long_ago(path: Path) -> None:
    os.utime(path, (1_000_000_000, 1_000_000_000))  # September 2001


def texts(journal: Journal, task: str | None = None) -> list[str]:
    return [event.text for event in journal.events(task)]


def test_what_was_said_is_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "not there yet")
    assert texts(journal) == []
    said = [Event(1.5, "started", "on branch ä", "a", 1), Event(2.5, "board", "saved"), Event(3.5, "ended", "", "b")]
    for event in said:
        journal.add(event)
    assert list(journal.events()) == said
    assert list(journal.events("a")) == said[:1]
    assert [json.loads(line) for line in journal.path.read_text().splitlines()][1] == {
        "at": 2.5,
        "event": "board",
        "text": "saved",
    }


@given(st.text())
def test_any_text_stays_one_event(text: str) -> None:
    """Also one with the separators that Python, unlike JSON, takes for line ends."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        journal.add(Event(time.time(), "said", text))
        journal.add(Event(time.time(), "said", "next"))
        assert texts(journal) == [text, "next"]


def test_a_path_that_is_no_text_is_said_all_the_same(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(Event(time.time(), "trouble", os.fsdecode(b"/x\xff: is gone")))
    assert texts(journal) == ["/x?: is gone"]


def test_a_torn_line_costs_itself_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(Event(1.0, "said", "one"))
    with journal.path.open("a") as file:
        file.write('{"at": 2.0, "event": "sa')
    assert texts(journal) == ["one"]
    journal.add(Event(3.0, "said", "three"))
    assert texts(journal) == ["one", "three"]


@pytest.mark.parametrize("line", ["[]", "3", '"x"', "null", "{}", '{"at": 1}', "\x00\x00\x00", "nonsense"])
def test_a_foreign_line_is_passed_over(tmp_path: Path, line: str) -> None:
    journal = Journal(tmp_path)
    journal.path.write_text(line + "\n")
    journal.add(Event(1.0, "said", "one"))
    assert texts(journal) == ["one"]


def test_each_month_has_a_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    now = time.time()
    journal.add(Event(now, "said", "old"))
    long_ago(journal.path)
    journal.add(Event(now, "said", "new"))
    assert (tmp_path / "journal-2001-09.jsonl").read_text().count("old") == 1
    assert texts(journal) == ["old", "new"]
    journal.add(Event(now, "said", "newer"))
    assert sorted(path.name for path in tmp_path.glob("journal*.jsonl")) == ["journal-2001-09.jsonl", "journal.jsonl"]


def test_no_month_is_ever_overwritten(tmp_path: Path) -> None:
    """A clock that went back and forth, a file restored from a backup: the month is there already."""
    journal = Journal(tmp_path)
    for text in ("one", "two", "three"):
        journal.add(Event(time.time(), "said", text))
        long_ago(journal.path)
    assert sorted(texts(journal)) == ["one", "three", "two"]


def test_a_clock_ahead_of_the_file_system_loses_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    ahead = datetime(2099, 1, 1, tzinfo=UTC).timestamp()
    for text in ("one", "two", "three"):
        journal.add(Event(ahead, "said", text))
    assert texts(journal) == ["one", "two", "three"]


def test_a_month_is_looked_at_again_inside_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process turned the month between our look and our lock: its file is not renamed once more."""
    journal = Journal(tmp_path)
    journal.add(Event(time.time(), "said", "old"))
    long_ago(journal.path)

    def lock(*_: object) -> None:
        journal.path.rename(tmp_path / "journal-2001-09.jsonl")
        Journal(tmp_path).add(Event(time.time(), "said", "by the other"))

    monkeypatch.setattr("runners.journal.fcntl.flock", lock)
    journal.add(Event(time.time(), "said", "mine"))
    assert texts(journal) == ["old", "by the other", "mine"]
    assert (tmp_path / "journal-2001-09.jsonl").read_text().count("old") == 1


def test_several_processes_lose_nothing_at_the_turn_of_a_month(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(Event(time.time(), "said", "old"))
    long_ago(journal.path)
    writers = [subprocess.Popen([sys.executable, "-c", ADD, str(tmp_path), letter]) for letter in "abcd"]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    said = texts(journal)
    assert said[0] == "old" and len(said) == 801
    for letter in "abcd":
        numbers = [event.attempt for event in journal.events() if event.text == letter * 300]
        assert numbers == list(range(200))


def test_a_full_disk_is_one_line_and_the_rest_stays(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(Event(1.0, "said", "one"))
    size = journal.path.stat().st_size
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
    try:
        with pytest.raises(MuxError, match="cannot write"):
            journal.add(Event(2.0, "said", "two"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    journal.add(Event(3.0, "said", "three"))
    assert texts(journal) == ["one", "three"]


def test_a_folder_in_its_place_is_one_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.path.mkdir()
    with pytest.raises(MuxError, match="a folder stands where a file is needed"):
        journal.add(Event(1.0, "said", "one"))


def test_what_is_kept_and_told_is_redacted_but_for_who_it_was() -> None:
    said = Event(1.0, "ended", "exit 1 in secret", "fix", 1, "terminal:secret", {"row": "secret", "restarts": 2})
    kept = redacted(said, lambda text: text.replace("secret", "[redacted]"))
    assert kept.text == "exit 1 in [redacted]" and kept.evidence == {"row": "[redacted]", "restarts": 2}
    assert (kept.by, kept.task, kept.attempt, kept.at) == ("terminal:secret", "fix", 1, 1.0)


def test_the_newest_events_are_found_at_the_end_of_a_large_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.newest(3) == []
    lines = (
        json.dumps({"at": 1.0, "event": "said", "text": f"{number} {'x' * 300}", "task": "fix" if number % 2 else "b"})
        for number in range(3000)
    )
    journal.path.write_text("\n".join(lines) + "\n")
    assert [event.text.split()[0] for event in journal.newest(3)] == ["2997", "2998", "2999"]
    assert [event.text.split()[0] for event in journal.newest(2, "b")] == ["2996", "2998"]
    assert len(journal.newest(10_000)) < 1000  # it did not read the whole file


def in_month(folder: Path, month: str, text: str) -> Path:
    at = datetime.fromisoformat(f"{month}-15").replace(tzinfo=UTC).timestamp()
    path = folder / f"journal-{month}.jsonl"
    path.write_text(json.dumps({"at": at, "event": "said", "text": text}) + "\n")
    return path


def test_events_after_a_time_are_read_from_no_older_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(Event(time.time(), "said", "now"))
    (tmp_path / "journal-2001-08.jsonl").mkdir()  # cannot be read
    in_month(tmp_path, "2001-09", "early in September")
    in_month(tmp_path, "2001-10", "October")
    late = datetime(2001, 9, 20, tzinfo=UTC).timestamp()
    assert [event.text for event in journal.events(after=late)] == ["October", "now"]
    assert [event.text for event in journal.events(after=late - 10 * 86400)] == ["early in September", "October", "now"]


def test_months_that_are_over_are_removed_and_no_other_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(Event(time.time(), "said", "now"))
    for month in ("2001-08", "2001-09", "2001-10"):
        in_month(tmp_path, month, month)
    (tmp_path / "journal.lock").touch()
    assert journal.prune(datetime(2001, 10, 30, tzinfo=UTC).timestamp(), 60 * 86400) == 0
    assert journal.prune(datetime(2001, 11, 5, tzinfo=UTC).timestamp(), 86400) == 2
    assert texts(journal) == ["2001-10", "now"]
    assert (tmp_path / "journal.lock").exists()
