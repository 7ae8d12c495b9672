from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from board.errors import MuxError
from runners import reports
from runners.model import Report


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / ".mux" / "runs" / "fix" / "2"
    folder.mkdir(parents=True)
    return folder


def test_nothing_was_said(run_folder: Path) -> None:
    assert reports.read(run_folder) == ()
    assert reports.read(run_folder.with_name("3")) == ()


def test_what_was_said_is_read_back_oldest_first(run_folder: Path) -> None:
    said = (
        Report("checkpoint", 1.0, "half ä\n", "3f2c1ab"),
        Report("blocked", 2.0, "on the key"),
        *(Report("done", 3.0 + number) for number in range(10)),
    )
    for report in said:
        reports.add(run_folder, report)
    assert reports.read(run_folder) == said
    assert (run_folder / "reports" / "0012-done.json").stat().st_mode & 0o777 == 0o600


def test_it_wakes_the_control_plane(run_folder: Path, tmp_path: Path) -> None:
    reports.add(run_folder, Report("done", 1.0))
    assert [path.name for path in (tmp_path / ".mux" / "inbox").iterdir()] == ["fix.2.done"]


def test_a_wake_that_fails_loses_no_report(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".mux" / "inbox").write_text("a file in its place")
    reports.add(run_folder, Report("done", 1.0))
    assert reports.read(run_folder) == (Report("done", 1.0),)


def test_many_at_once_all_count(run_folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: reports.add(run_folder, Report("checkpoint", float(at))), range(40)))
    assert sorted(report.at for report in reports.read(run_folder)) == [float(at) for at in range(40)]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"kind": "done"}', '{"kind": "done", "at": "soon", "text": "", "commit": null}'),
        *(json.dumps({"kind": kind, "at": 1.0, "text": "", "commit": 3}) for kind in ("done", "merged")),
    ],
)
def test_a_damaged_one_is_said_with_its_path(run_folder: Path, text: str) -> None:
    reports.add(run_folder, Report("done", 1.0))
    path = run_folder / "reports" / "0002-done.json"
    path.write_text(text)
    with pytest.raises(MuxError) as raised:
        reports.read(run_folder)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_what_a_killed_writer_leaves_is_passed_over(run_folder: Path) -> None:
    reports.add(run_folder, Report("done", 1.0))
    (run_folder / "reports" / ".0002-done.json.1a2b.tmp").write_text("{")
    assert reports.read(run_folder) == (Report("done", 1.0),)
