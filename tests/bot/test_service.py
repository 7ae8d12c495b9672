from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from board.errors import MuxError
from bot.place import Place, place_of
from bot.service import quoted, unit
from runners import sh, trust
from tests.bot.conftest import BOARD, Mux


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "systemd" / "user"


def systemctl(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int = 0, linger: str = "no") -> Path:
    """`systemctl` and `loginctl` that write down how they were called."""
    (folder / "bin").mkdir()
    for name, reply in (("systemctl", f"echo refused >&2; exit {code}"), ("loginctl", f"echo Linger={linger}")):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {folder / "calls"}\n{reply}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return folder / "calls"


def test_the_unit(mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/home/ana/a b/bin")
    monkeypatch.delenv("TMUX_TMPDIR")
    text = mux("service", "install", "--print").out
    assert f'ExecStart="{sys.executable}" "-P" "-m" "bot.cli" "up" "--board" "{place.path}"\n' in text
    for line in ("KillMode=process", "Restart=on-failure", "RestartSec=10", f"WorkingDirectory={place.path.parent}"):
        assert f"\n{line}\n" in text
    assert '\nEnvironment="LC_ALL=C.UTF-8" "PATH=/usr/bin:/home/ana/a b/bin" "XDG_STATE_HOME=' in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "100% a $HOME 'b' \"c\" é"
    folder.mkdir()
    file = tmp_path / "mux-shop.service"
    file.write_text(unit(Place(folder / "board.md", folder / ".mux"), {"PATH": "/bin:/x y%z"}))
    assert _verify(file).code == 0, _verify(file).err
    file.write_text(file.read_text().replace('"-m"', '"-m'))
    assert _verify(file).code != 0


def _verify(file: Path) -> sh.Completed:
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(file.parent)}
    return sh.run(["systemd-analyze", "verify", "--user", str(file)], env=environment, check=False)


@pytest.mark.parametrize(
    ("word", "variables", "written"),
    [
        ("a b", True, '"a b"'),
        ("100%", True, '"100%%"'),
        ("$HOME", True, '"$$HOME"'),
        ("$HOME", False, '"$HOME"'),
        ('a"b\\c', True, '"a\\"b\\\\c"'),
    ],
)
def test_words_as_systemd_wants_them(word: str, variables: bool, written: str) -> None:
    assert quoted(word, variables) == written


def test_a_line_break_is_refused() -> None:
    with pytest.raises(MuxError, match="no line break"):
        unit(place_of(Path("/a\nRestart=always/board.md")), {})


def test_installs_and_starts(
    mux: Mux, place: Place, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = systemctl(tmp_path, monkeypatch)
    trust.trust(place.path)
    reply = mux("service", "install")
    assert reply.code == 0, reply.err
    assert "KillMode=process" in (config / "mux-shop.service").read_text()
    assert calls.read_text().splitlines() == [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now mux-shop.service",
        f"loginctl show-user {os.getuid()} --property=Linger",
    ]
    assert "loginctl enable-linger" in reply.out


def test_lingering_that_is_on_is_not_asked_for(
    mux: Mux, place: Place, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl(tmp_path, monkeypatch, linger="yes")
    trust.trust(place.path)
    out = mux("service", "install").out
    assert "enable-linger" not in out and "goes on after you log out" in out


def test_without_a_user_manager_it_says_what_to_run(
    mux: Mux, place: Place, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl(tmp_path, monkeypatch, code=1)
    trust.trust(place.path)
    reply = mux("service", "install")
    assert reply.code == 1 and (config / "mux-shop.service").exists()
    assert "  systemctl --user enable --now mux-shop.service" in reply.out


def test_a_board_that_is_not_trusted_gets_none(mux: Mux, place: Place, config: Path) -> None:
    reply = mux("service", "install")
    assert reply.code == 1 and "is not trusted" in reply.err and not config.exists()


def test_uninstall(mux: Mux, place: Place, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = systemctl(tmp_path, monkeypatch)
    trust.trust(place.path)
    mux("service", "install")
    assert mux("service", "uninstall").code == 0
    assert not (config / "mux-shop.service").exists()
    assert "systemctl --user disable --now mux-shop.service" in calls.read_text()
    assert "there is no" in mux("service", "uninstall").out


def test_a_service_that_does_not_stop_is_kept(
    mux: Mux, place: Place, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.mkdir(parents=True)
    (config / "mux-shop.service").write_text("[Unit]\n")
    systemctl(tmp_path, monkeypatch, code=1)
    reply = mux("service", "uninstall")
    assert reply.code == 1 and "was kept" in reply.err and (config / "mux-shop.service").exists()


def test_elsewhere_than_on_linux(mux: Mux, place: Place, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    reply = mux("service", "install")
    assert reply.code == 1 and "only systemd is supported" in reply.err and f"mux up --board {place.path}" in reply.err


def test_the_unit_is_named_by_the_board(mux: Mux, own_folder: Path) -> None:
    (own_folder / "board.md").write_text(BOARD.replace("board: shop", "board: night shift"))
    assert mux("service", "uninstall").code == 0
