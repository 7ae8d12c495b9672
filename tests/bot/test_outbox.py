"""The outbox: what should stand, in which order, and what is known of what was sent."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot import outbox as outbox_module
from bot.outbox import Outbox
from bot.posts import Post

NOW = 1_800_000_000.0


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path)


def keys(outbox: Outbox) -> list[str]:
    return [entry.post.key for entry in outbox.waiting()]


def send(outbox: Outbox, key: str, ts: str, root: str | None = None) -> None:
    entry = outbox.get(key)
    assert entry is not None
    claimed = outbox.claim(entry, "C1", NOW)
    assert claimed is not None
    outbox.stands(claimed, ts, entry.content, NOW, root)


def test_the_newest_of_a_key_counts_and_keeps_its_turn(outbox: Outbox) -> None:
    assert outbox.put(Post("a", "one"), NOW)
    assert outbox.put(Post("b", "one"), NOW)
    assert outbox.put(Post("a", "two"), NOW)
    assert not outbox.put(Post("a", "two"), NOW + 5)
    assert [(entry.post.key, entry.post.text) for entry in outbox.waiting()] == [("a", "two"), ("b", "one")]


def test_another_process_reads_the_same(outbox: Outbox, tmp_path: Path) -> None:
    post = Post("a", "text", ({"type": "divider"},), "C2", "task:a")
    outbox.put(post, NOW)
    other = Outbox(tmp_path)
    assert [entry.post for entry in other.waiting()] == [post]
    other.put(Post("a", "newer"), NOW)
    assert [entry.post.text for entry in outbox.waiting()] == ["newer"]


def test_what_was_sent_waits_no_more_until_something_else_should_stand(outbox: Outbox, tmp_path: Path) -> None:
    outbox.put(Post("a", "one"), NOW)
    send(outbox, "a", "1.0")
    assert keys(outbox) == [] and not outbox.put(Post("a", "one"), NOW)
    assert outbox.put(Post("a", "two"), NOW) and keys(outbox) == ["a"]
    entry = Outbox(tmp_path).get("a")
    assert entry is not None and (entry.sent.ts, entry.sent.channel) == ("1.0", "C1")


def test_an_edit_takes_its_turn_behind_what_waited_before(outbox: Outbox) -> None:
    outbox.put(Post("a", "one"), NOW)
    send(outbox, "a", "1.0")
    outbox.put(Post("b", "one"), NOW)
    outbox.put(Post("a", "two"), NOW)
    assert keys(outbox) == ["b", "a"]


def test_a_claim_stays_the_same_until_its_message_is_known(outbox: Outbox, tmp_path: Path) -> None:
    outbox.put(Post("a", "one"), NOW)
    (entry,) = outbox.waiting()
    first = outbox.claim(entry, "C1", NOW)
    (again,) = Outbox(tmp_path).waiting()
    second = outbox.claim(again, "C1", NOW + 9)
    assert first and second and first.sent.claim == second.sent.claim and second.sent.claimed_at == NOW


def test_the_first_of_a_thread_is_its_root(outbox: Outbox) -> None:
    for key in ("a", "b"):
        outbox.put(Post(key, "one", thread="task:x"), NOW)
    assert outbox.root("task:x", "C1") is None
    send(outbox, "a", "1.0")
    send(outbox, "b", "2.0", root="1.0")
    assert outbox.root("task:x", "C1") == "1.0" and outbox.root("task:x", "C2") is None
    outbox.end_thread("task:x", "C1")
    assert outbox.root("task:x", "C1") is None


def test_what_slack_refuses_is_not_tried_again_but_its_next_content_is(outbox: Outbox) -> None:
    outbox.put(Post("a", "bad"), NOW)
    outbox.refuse(outbox.waiting()[0], NOW)
    assert keys(outbox) == []
    outbox.put(Post("a", "good"), NOW)
    assert keys(outbox) == ["a"]


def test_several_are_folded_into_one(outbox: Outbox) -> None:
    for number in range(3):
        outbox.put(Post(f"alert:{number}", "one"), NOW)
    outbox.fold(outbox.waiting(), Post("storm", "three"), NOW)
    assert keys(outbox) == ["storm"]
    assert not outbox.put(Post("alert:1", "over"), NOW) and keys(outbox) == ["storm"]


def test_withdrawn_only_while_nobody_can_have_seen_it(outbox: Outbox) -> None:
    outbox.put(Post("a", "one"), NOW)
    (entry,) = outbox.waiting()
    assert outbox.withdraw("a") and outbox.get("a") is None
    assert outbox.claim(entry, "C1", NOW) is None  # the poster was about to
    outbox.put(Post("b", "one"), NOW)
    outbox.claim(outbox.waiting()[0], "C1", NOW)
    assert not outbox.withdraw("b") and keys(outbox) == ["b"]


def test_what_is_over_by_the_time_it_could_be_sent_again_is_not_sent(outbox: Outbox) -> None:
    """The way of Slack's refusal and the last word may cross."""
    outbox.put(Post("a", "asks"), NOW)
    claimed = outbox.claim(outbox.waiting()[0], "C1", NOW)
    assert claimed is not None and not outbox.withdraw("a")
    before = outbox.forget(claimed)
    outbox.put(Post("a", "decided"), NOW, last=True)
    assert outbox.claim(before, "C1", NOW) is None and outbox.entries() == []


def test_of_what_was_dropped_on_its_way_nothing_is_kept(outbox: Outbox, tmp_path: Path) -> None:
    outbox.put(Post("a", "one"), NOW)
    claimed = outbox.claim(outbox.waiting()[0], "C1", NOW)
    assert claimed is not None
    outbox.drop(claimed)
    outbox.stands(claimed, "1.0", claimed.content, NOW)
    assert list((tmp_path / "outbox").iterdir()) == []


def test_pruned_by_age_and_by_number(outbox: Outbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    outbox.put(Post("old", "never sent"), NOW - 100)
    for number in range(5):
        outbox.put(Post(f"k{number}", "x"), NOW + number)
        if number < 4:
            send(outbox, f"k{number}", f"{number}.0")
    assert outbox.prune(NOW - 50) == 1
    monkeypatch.setattr(outbox_module, "MOST", 2)
    assert outbox.prune(NOW - 50) == 0
    assert [entry.post.key for entry in outbox.entries()] == ["k3", "k4"]
    assert len(list((tmp_path / "outbox").iterdir())) == 3  # two wanted, one sent


def test_files_are_private_and_a_damaged_one_is_passed_over(outbox: Outbox, tmp_path: Path) -> None:
    outbox.put(Post("a", "one"), NOW)
    outbox.put(Post("b", "one"), NOW)
    folder = tmp_path / "outbox"
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    broken = next(path for path in folder.iterdir() if json.loads(path.read_text())["key"] == "a")
    broken.write_text("{")
    assert keys(outbox) == ["b"]
    outbox.put(Post("a", "one"), NOW)
    assert sorted(keys(outbox)) == ["a", "b"]


def test_a_clock_that_is_set_back_changes_no_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = 86400 * 10**9
    clock = iter([3 * day, 2 * day, day])
    monkeypatch.setattr(outbox_module, "time", SimpleNamespace(time_ns=lambda: next(clock)))  # nobody else's
    for key in ("a", "b", "c"):
        Outbox(tmp_path).put(Post(key, "text"), NOW)  # each time by another run
    assert keys(Outbox(tmp_path)) == ["a", "b", "c"]
