"""What is said in a chat follows from what is kept, whatever happened meanwhile to the clock, the board, or a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from board.model import Board, SlackSettings
from bot import digest_order
from bot.chat_sync import Sync
from bot.mrkdwn import Redact
from bot.names import Names
from bot.outbox import Outbox
from bot.place import place_of
from runners.boards import read_board
from runners.journal import Event, Journal
from runners.requests import Requests
from tests.bot.chat import NOW, accept, nothing, says_it_all, state, task

SETTINGS = SlackSettings(channel="C0MUX")


class Chat:
    """A chat's outbox, with what is put into it."""

    def __init__(self, folder: Path, now: float = NOW) -> None:
        self.folder = folder
        self.board = read_board("---\nboard: shop\nslack: {channel: C0MUX}\n---\n")
        self.outbox = Outbox(folder)
        self.restart(now)

    def restart(self, now: float = NOW) -> None:
        self.sync = self.synced(nothing)
        self.sync.catch_up(now)

    def synced(self, redact: Redact) -> Sync:
        place = place_of(self.folder.parent / "board.md")
        return Sync(place, self._board, redact, Names(self.folder), self.outbox)

    def look(self, now: float, *tasks: dict[str, Any], settings: SlackSettings = SETTINGS) -> float:
        return self.sync.look(settings, state(*tasks), now)

    @property
    def keys(self) -> list[str]:
        return [entry.post.key for entry in self.outbox.entries()]

    def _board(self) -> Board:
        return self.board


def chat_in(folder: Path) -> Chat:
    (folder / ".mux").mkdir()
    return Chat(folder / ".mux")


def test_a_clock_that_is_set_back_holds_up_no_alert(tmp_path: Path) -> None:
    chat = chat_in(tmp_path)
    chat.look(NOW, task("a", "running"))
    chat.look(NOW + 1, task("a", "failed"))
    assert chat.keys == []
    chat.look(NOW - 3600, task("a", "failed"))  # the same state, an hour before
    assert chat.keys == ["alert:a:1:failed"]


def test_an_ordered_digest_is_made_here_once_and_redacted(tmp_path: Path) -> None:
    chat = chat_in(tmp_path)
    digest_order.put(chat.folder)
    os.utime(chat.folder / "digest-ordered", (NOW, NOW))
    Journal(chat.folder).add(Event(NOW - 60, "done", "exit 0", "fix", 1))
    chat.sync = chat.synced(lambda text: text.replace("hunter2", "[redacted]"))
    for _ in range(2):
        chat.look(NOW, task("fix", "done", title="Rotate hunter2"))
    (entry,) = chat.outbox.entries()
    assert entry.post.key.startswith("digest:") and digest_order.at(chat.folder) is None
    assert "Rotate [redacted]" in accept(entry.post) and "hunter2" not in says_it_all(entry.post.blocks)


RULES = Event(NOW + 10, "policy", "slack approvers: [UANA] -> [UEVE]")


def rules(chat: Chat) -> list[str]:
    return [each.post.channel or "the board's" for each in chat.outbox.entries() if RULES.text in str(each.post.blocks)]


def test_rules_that_changed_are_told_once_though_mux_was_killed_before_it_could(tmp_path: Path) -> None:
    chat = chat_in(tmp_path)
    chat.look(NOW)
    Journal(chat.folder).add(RULES)  # and then it is killed
    chat.restart(NOW + 20)
    assert rules(chat) == ["the board's"]
    for entry in chat.outbox.entries():
        chat.outbox.drop(entry)
    chat.restart(NOW + 30)
    assert rules(chat) == []


def test_what_waits_in_the_journal_is_told_beside_what_changes_now(tmp_path: Path) -> None:
    chat = chat_in(tmp_path)
    Journal(chat.folder).add(RULES)
    chat.restart(NOW + 20)
    chat.sync.policy(Event(NOW + 30, "policy", "more"), NOW + 30)
    assert len(chat.keys) == 2


def test_rules_of_before_the_first_chat_are_no_news(tmp_path: Path) -> None:
    (tmp_path / ".mux").mkdir()
    Journal(tmp_path / ".mux").add(RULES)
    chat = Chat(tmp_path / ".mux", NOW + 20)
    assert rules(chat) == []


@pytest.mark.parametrize("first", ["rules", "rules, killed", "rules, posted", "board"])
def test_when_the_channel_changes_those_in_the_old_one_are_told_and_hear_of_the_rules(
    tmp_path: Path, first: str
) -> None:
    """Whichever of the two the chat sees first."""
    chat = chat_in(tmp_path)
    chat.look(NOW)
    assert chat.keys == []
    elsewhere = SlackSettings(channel="C0NEW")
    if first == "board":
        chat.look(NOW + 19, settings=elsewhere)
    chat.sync.policy(RULES, NOW + 20)
    if first == "rules, killed":
        chat.restart(NOW + 20)
    if first == "rules, posted":
        (entry,) = chat.outbox.entries()
        claimed = chat.outbox.claim(entry, "C0NEW", NOW + 20)
        assert claimed is not None
        chat.outbox.stands(claimed, "1.1", claimed.content, NOW + 20)
    for _ in range(3):
        chat.look(NOW + 20, settings=elsewhere)
        chat.restart(NOW + 20)
    assert sorted(rules(chat)) == ["C0MUX", "the board's"]
    (farewell,) = [each.post for each in chat.outbox.entries() if "<#C0NEW>" in str(each.post.blocks)]
    assert farewell.channel == "C0MUX"
    accept(farewell)
    chat.look(NOW + 30)
    chat.look(NOW + 40, settings=elsewhere)  # back, and away again
    assert len([each for each in chat.outbox.entries() if "<#C0NEW>" in str(each.post.blocks)]) == 2


def test_a_digest_reads_what_came_since_the_last_one_and_knows_how_long_it_took(tmp_path: Path) -> None:
    chat = chat_in(tmp_path)
    hour = NOW - NOW % 3600 + 3600
    keys = 'slack: {channel: C0MUX}\ndigests: [{at: "0 * * * *", timezone: UTC}]'
    chat.board = read_board(f"---\nboard: shop\n{keys}\n---\n")
    journal = Journal(chat.folder)
    chat.look(NOW, task("a", "running"), task("b", "done"))
    journal.add(Event(hour - 7200, "started", "on its branch", "a", 1))
    journal.add(Event(hour - 60, "done", "exit 0", "b", 1))
    chat.look(hour + 1, task("a", "running"), task("b", "done"))
    (chat.folder / "journal-2025-11.jsonl").mkdir()  # a year ago: cannot be read, and need not be
    journal.add(Event(hour + 60, "done", "exit 0", "a", 1))
    chat.look(hour + 3601, task("a", "done"), task("b", "done"))
    newest = [says_it_all(each.post.blocks) for each in chat.outbox.entries() if "digest" in each.post.key][-1]
    assert "a · done in 2h 1m" in newest and "b" not in newest.partition("Done")[2]


def test_a_damaged_request_holds_up_no_other_and_no_alert(tmp_path: Path) -> None:
    chat = chat_in(tmp_path)
    requests = Requests(chat.folder)
    bad, good = (requests.ask("gate", "why", about, ("approve",), NOW) for about in ("one", "two"))
    (chat.folder / "requests" / f"{bad.id}.json").write_text("[]")
    chat.look(NOW, task("a", "running"))
    chat.look(NOW + 1, task("a", "failed"))
    chat.look(NOW + 10, task("a", "failed"))
    assert chat.keys == [f"request:{good.id}", "alert:a:1:failed"]
