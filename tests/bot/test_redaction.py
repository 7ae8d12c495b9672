"""What is known to the redactor of a board that runs: built once, and anew when the board or its files change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from board.errors import MuxError
from board.model import Board
from board.redact import WITHHELD, Redactor
from bot import copied
from bot.journalling import say_in
from bot.place import Place
from bot.redaction import Redaction
from runners.boards import read_board
from tests.bot.conftest import Mux
from tests.bot.speaking import Speaker, ended, speaker_at
from tests.bot.workplace import make_home, root
from tests.support import PATIENCE

__all__ = ["root"]

FIRST, SECOND = "grey-Lantern_4471", "blue-Harbour_7182"
BOARD = (
    "---\nboard: shop\ncopy: [.env]\n---\n\n## one: One\n\n```yaml\nstatus: draft\nenv: {{SHOP_TOKEN: {token}}}\n```\n"
)


class Shop:
    """A board in force that a test can change, and how often a redactor was built for it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.built = 0
        self.failed: list[Exception] = []
        self.board = self.say(FIRST)
        self.redaction = Redaction(path, lambda: self.board, self.failed.append)
        build = Redactor.__init__

        def counted(*arguments: object, **named: object) -> None:
            self.built += 1
            build(*arguments, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(Redactor, "__init__", counted)

    def say(self, token: str) -> Board:
        self.board = read_board(BOARD.format(token=token))
        return self.board

    def hides(self, value: str) -> bool:
        return self.redaction.safe(f"it is {value}, as ever") == "it is [redacted], as ever"


@pytest.fixture
def shop(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(own_folder / "board.md", monkeypatch)


def test_it_is_built_once_for_as_long_as_nothing_changes(shop: Shop) -> None:
    assert shop.built == 0
    assert shop.hides(FIRST) and not shop.hides(SECOND)
    shop.say(FIRST)  # mux wrote its own keys: another board, and yet nothing new to hide
    assert shop.hides(FIRST)
    assert shop.built == 1


def test_a_changed_board_is_known_at_once(shop: Shop) -> None:
    assert not shop.hides(SECOND)
    shop.say(SECOND)
    assert shop.hides(SECOND) and shop.built == 2


def test_a_file_that_comes_changes_and_goes_is_known_at_once_and_what_was_in_it_for_ever(shop: Shop) -> None:
    """A worker still has the copy that it was started with."""
    file = shop.path.with_name(".env")
    assert not shop.hides(SECOND)
    file.write_text(f"ANY={SECOND}\n")
    assert shop.hides(SECOND)
    file.write_text("ANY=of-another-length-77\n")
    assert shop.hides("of-another-length-77") and shop.hides(SECOND)
    file.unlink()
    assert shop.hides("of-another-length-77") and shop.hides(SECOND)


def test_what_was_on_the_board_is_hidden_for_ever(shop: Shop) -> None:
    assert shop.hides(FIRST)
    shop.say(SECOND)
    assert shop.hides(SECOND) and shop.hides(FIRST)


def test_so_much_is_remembered_and_no_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.redaction._MOST_REMEMBERED", 2)
    for number in range(4):
        shop.say(f"grey-Lantern_447{number}")
        assert shop.hides(f"grey-Lantern_447{number}")
    assert shop.hides("grey-Lantern_4472") and not shop.hides("grey-Lantern_4470")


def test_what_a_home_was_given_is_known_to_a_mux_that_never_saw_the_file_so(shop: Shop) -> None:
    shop.path.with_name(".env").write_text("ANY=of-another-length-77\n")
    home = shop.path.parent.with_name("shop.worktrees") / "shop" / "gone-from-the-board"
    home.mkdir(parents=True)
    (home / ".env").write_text(f"ANY={SECOND}\n")
    (home / ".env.local").mkdir()
    assert shop.hides(SECOND)
    (home / ".env").chmod(0)
    Redaction(shop.path, lambda: shop.board).redact("what a worker makes unreadable holds up nothing")


@pytest.mark.parametrize("name", [".envs/.production/.django", "config/prod.env", "config/deep/er/.envrc"])
def test_files_in_a_copied_folder_are_known_as_they_come_and_change(shop: Shop, name: str) -> None:
    shop.board = read_board(BOARD.format(token=FIRST).replace("[.env]", "[.envs, config]"))
    assert not shop.hides(SECOND)
    file = shop.path.parent / name
    file.parent.mkdir(parents=True)
    assert not shop.hides(SECOND)
    file.write_text("DB_PASSWORD=of-another-length-77\n")
    assert shop.hides("of-another-length-77")
    file.write_text(f"DB_PASSWORD={SECOND}\n")
    assert shop.hides(SECOND)
    home = shop.path.parent.with_name("shop.worktrees") / "shop" / "one" / name
    home.parent.mkdir(parents=True)
    home.write_text("DB_PASSWORD=held-by-a-worker-77\n")
    assert "held-by-a-worker" not in Redaction(shop.path, lambda: shop.board).redact("it is held-by-a-worker-77")


def test_a_copied_folder_is_looked_through_so_far_and_what_was_installed_not_at_all(shop: Shop) -> None:
    shop.board = read_board(BOARD.format(token=FIRST).replace("[.env]", "[environment]"))
    top = shop.path.parent / "environment"
    for folder in ("venv", "node_modules/x", "data"):
        (top / folder).mkdir(parents=True)
        (top / folder / "any.js").write_text("KEY=in-no-file-of-variables-7\n")
    (top / "venv" / "pyvenv.cfg").touch()
    (top / "data" / "any.js").write_bytes(b"A=" + b"x" * 1024 * 1024)
    (top / "loop").symlink_to(top)
    for number in range(200):
        (top / f"{number:03}").mkdir()
    assert not shop.hides("in-no-file-of-variables-7")
    assert len(copied.in_repository(shop.path, shop.board).watched) < 110


def test_what_was_installed_is_not_looked_through_where_it_is_itself_copied(shop: Shop) -> None:
    shop.board = read_board(BOARD.format(token=FIRST).replace("[.env]", "[node_modules]"))
    package = shop.path.parent / "node_modules" / "dotenv"
    package.mkdir(parents=True)
    (package / "example.env").write_text(f"KEY={SECOND}\n")
    found = copied.in_repository(shop.path, shop.board)
    assert (found.files, found.watched) == ([], [])


def test_of_large_folders_so_many_entries_are_looked_at_and_no_more(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copied, "_MOST_ENTRIES", 20)
    shop.board = read_board(BOARD.format(token=FIRST).replace("[.env]", "[environment]"))
    for folder in ("a", "b", "c"):
        (shop.path.parent / "environment" / folder).mkdir(parents=True)
        for number in range(15):
            (shop.path.parent / "environment" / folder / f"{number:02}").touch()
    files = copied.in_repository(shop.path, shop.board).files
    assert [file.parent.name for file in files] == ["a"] * 15 + ["b"] * 2, "three folders and seventeen files"


def test_a_folder_that_cannot_be_looked_into_is_an_error(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.board = read_board(BOARD.format(token=FIRST).replace("[.env]", "[config]"))
    (shop.path.parent / "config").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert shop.redaction.safe("words") == WITHHELD


@pytest.mark.parametrize("link", [True, False])
def test_an_entry_that_cannot_be_looked_at_is_an_error_and_in_a_home_passed_over(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    shop.board = read_board(BOARD.format(token=FIRST).replace("[.env]", "[env.d]"))
    home = shop.path.parent.with_name("shop.worktrees") / "shop" / "one"
    for top in (home, shop.path.parent):
        (top / "env.d").mkdir(parents=True)
        (top / "env.d" / "shop.env").write_text(f"ANY={SECOND if top == home else 'of-another-length-77'}\n")
        made_unreadable(top / "env.d" / "closed", monkeypatch, link)
        if top == home:
            assert shop.hides(SECOND), "the rest of the home is looked into all the same"
    with pytest.raises(MuxError, match=r"env\.d/closed: cannot be read \("):
        shop.redaction.redact("words")


def made_unreadable(entry: Path, monkeypatch: pytest.MonkeyPatch, link: bool) -> None:
    """Whoever asks, root too, which meets no folder that is closed to it."""
    if link:
        entry.symlink_to("x" * 300)  # no file has so long a name
        return
    entry.write_text("ANY=of-no-account-77\n")
    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, refusing(entry, getattr(os, name)))


def refusing(entry: Path, look: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
    def looked_at(path: Any, **named: Any) -> os.stat_result:
        if path == entry:
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, **named)

    return looked_at


def test_while_a_file_of_values_cannot_be_read_nothing_goes_out(shop: Shop) -> None:
    file = shop.path.with_name(".env")
    assert shop.redaction.safe("words") == "words"
    file.write_bytes(b"A=" + b"x" * 1024 * 1024)
    assert shop.redaction.safe("words") == shop.redaction.safe("words") == WITHHELD
    assert [type(error).__name__ for error in shop.failed] == ["MuxError"], "said once, however often it fails"
    file.write_text("A=b\n")
    assert shop.redaction.safe("words") == "words"


def test_a_path_of_a_worktree_is_shown_from_its_top(shop: Shop) -> None:
    home = shop.path.parent.with_name("shop.worktrees") / "shop" / "one"
    assert shop.redaction.safe(f"{home}/src/cart.py and {Path.home()}/notes") == "src/cart.py and ~/notes"


def test_commands_keep_nothing_that_must_not_leave(mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", FIRST)
    say_in(place)("finish", f"merged {FIRST}, in {place.path.parent}/x", "one", evidence={"word": FIRST, "count": 2})
    (line,) = (place.folder / "journal.jsonl").read_text().splitlines()
    said = json.loads(line)
    assert (said["text"], said["evidence"]) == ("merged [redacted], in x", {"word": "[redacted]", "count": 2})


@pytest.fixture
def worker(root: Path) -> Iterator[Speaker]:
    made = speaker_at(place_of_root(root), make_home(root, "fix"))
    made.environment["SHOP_PASSWORD"] = FIRST
    yield made
    made.close()


def place_of_root(root: Path) -> Place:
    return Place(root / "board.md", root / ".mux")


def test_what_a_worker_says_is_kept_without_secrets_and_paths(worker: Speaker) -> None:
    assert worker.mux("blocked", f"the key {FIRST} in {worker.home.path}/config/keys.yaml")[0] == 0
    assert worker.said[0].text == "the key [redacted] in config/keys.yaml"
    waits = worker.start("ask", f"is {FIRST} right?", "--choice", "yes")
    asked = worker.asked().request
    assert asked.says == "is [redacted] right?"
    assert worker.mux("answer", asked.id, "yes", person=True)[0] == 0
    assert ended(waits)[:2] == (0, "yes\n")


def test_a_choice_that_would_have_to_be_cut_is_refused(worker: Speaker) -> None:
    code, _, err = worker.mux("ask", "which one?", "--choice", FIRST)
    assert code == 2 and "a choice is shown to people" in err and FIRST not in err
    assert worker.requests.open() == []


def test_status_does_not_load_it(place: Place) -> None:
    script = "import sys; from bot.cli import main; main(['status']); print([m for m in sys.modules if 'redact' in m])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=place.path.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
