from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from board import storage
from board.errors import MuxError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def fail_with(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_write_atomic_replaces_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "record"
    storage.write_atomic(path, b"old")
    storage.write_atomic(path, b"new", durable=False)
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["record"]


def test_write_atomic_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        storage.write_atomic(tmp_path / "shared", b"", mode=0o644)
    finally:
        os.umask(before)
    assert mode(tmp_path / "shared") == 0o644


@pytest.mark.parametrize("call", ["fsync", "fchmod"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "record"
    storage.write_atomic(path, b"old")
    monkeypatch.setattr(os, call, fail_with(number))
    with pytest.raises(MuxError) as caught:
        storage.write_atomic(path, b"new")
    monkeypatch.undo()
    assert str(path) in str(caught.value)
    assert os.strerror(number).lower() in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["record"]


def test_a_file_where_a_folder_is_needed_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with pytest.raises(MuxError, match="a file stands where a folder is needed"):
        storage.write_atomic(tmp_path / "plain" / "record", b"")
    for folder in (tmp_path / "plain", tmp_path / "plain" / "folder"):
        with pytest.raises(MuxError, match=r"/plain: cannot make the folder: .* something else stands there"):
            storage.private_folder(folder)


def test_a_folder_in_the_way_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "record").mkdir()
    with pytest.raises(MuxError, match="a folder stands where a file is needed"):
        storage.write_atomic(tmp_path / "record", b"")
    assert [entry.name for entry in tmp_path.iterdir()] == ["record"]


def test_create_exclusive_has_one_winner_whose_content_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "answer"
    texts = [str(number).encode() * 10_000 for number in range(8)]
    won: list[bytes] = []
    start = threading.Barrier(len(texts))

    def claim(text: bytes) -> None:
        start.wait()
        if storage.create_exclusive(path, text, durable=False):
            won.append(path.read_bytes())

    threads = [threading.Thread(target=claim, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert won[0] in texts
    assert [entry.name for entry in tmp_path.iterdir()] == ["answer"]
    assert mode(path) == 0o600


def test_create_exclusive_leaves_nothing_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(MuxError, match="cannot create: no space left on device; free some disk space"):
        storage.create_exclusive(tmp_path / "answer", b"yes")
    assert list(tmp_path.iterdir()) == []


def test_private_folder_makes_every_missing_parent_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = storage.private_folder(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert made == storage.private_folder(made)
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_json_round_trip_and_missing(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert storage.read_json(path) is None
    storage.write_json(path, {"task": "grün", "n": 1})
    assert storage.read_json(path) == {"task": "grün", "n": 1}


@pytest.mark.parametrize("data", [b"", b'{"task": ', b"[1]", b"null", b"\xff\xfe{}", b"\0" * 64])
def test_torn_or_foreign_json_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(data)
    with pytest.raises(MuxError, match=r"state\.json: not a JSON object") as caught:
        storage.read_json(path)
    assert "\n" not in str(caught.value)
