from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from runners.command_folder import command_folder
from tests.runners.conftest import NASTY
from tests.support import PATIENCE


def test_mux_is_found_and_is_this_very_one(tmp_path: Path) -> None:
    """Also where the worker's own folder, or its PYTHONPATH, has a package of the same name."""
    project = tmp_path / "project"
    (project / "bot").mkdir(parents=True)
    (project / "bot" / "__init__.py").write_text("raise SystemExit('another bot')")
    folder = command_folder(tmp_path / NASTY / ".mux")
    environment = {"PATH": f"{os.defpath}:{folder}", "PYTHONPATH": str(project), "HOME": str(tmp_path)}
    done = subprocess.run(
        ["sh", "-c", 'mux "$@"', "sh", "check", "no such $(board).md"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("mux: no such $(board).md: there is no board")


def test_it_is_private_and_written_once(tmp_path: Path) -> None:
    folder = command_folder(tmp_path / ".mux")
    assert folder == tmp_path / ".mux" / "bin"
    path = folder / "mux"
    assert (folder.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o700)
    before = path.stat().st_ino
    assert command_folder(tmp_path / ".mux") == folder
    assert path.stat().st_ino == before


def test_one_of_another_installation_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = command_folder(tmp_path / ".mux") / "mux"
    good = path.read_text()
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o600)
    command_folder(tmp_path / ".mux")
    assert (path.read_text(), path.stat().st_mode & 0o777) == (good, 0o700)
    monkeypatch.setattr("sys.executable", "/opt/o'clock/python")
    command_folder(tmp_path / ".mux")
    assert path.read_text().startswith("#!/bin/sh\nexec '/opt/o'\"'\"'clock/python' -I -c ")
