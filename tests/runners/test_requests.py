from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from board.errors import MuxError
from board.model import TASK_ID
from runners.requests import Answer, Request, Requests

CHOICES = ("take", "keep")


@pytest.fixture
def requests(tmp_path: Path) -> Requests:
    return Requests(tmp_path)


def ask(requests: Requests, about: str = "digest", now: float = 1.0, expires: float | None = None) -> Request:
    return requests.ask("held", "the file is empty", about, CHOICES, now, expires=expires)


def test_nothing_is_asked_yet(requests: Requests) -> None:
    assert requests.open() == []


def test_a_question_is_on_disk_before_anybody_is_told(requests: Requests, tmp_path: Path) -> None:
    asked = ask(requests)
    assert Requests(tmp_path).open() == [asked]
    assert (asked.action, asked.why, asked.about, asked.choices, asked.at) == (
        *("held", "the file is empty", "digest"),
        *(CHOICES, 1.0),
    )
    assert asked != ask(Requests(tmp_path / "other"))  # ids are not to be guessed


def test_the_same_question_is_asked_once(requests: Requests) -> None:
    first = ask(requests)
    assert ask(requests, now=9.0) == first
    other = ask(requests, "another digest", now=2.0)
    assert requests.open() == [first, other]  # the oldest first
    requests.close(first, "over", 3.0)
    assert ask(requests, now=4.0).id != first.id


def test_an_answer_is_kept_until_it_is_carried_out(requests: Requests) -> None:
    asked = ask(requests)
    assert requests.answer_to(asked) is None
    assert requests.answer(asked.id, "take", "me", 2.0) == asked
    assert requests.answer_to(asked) == Answer("take", "me", 2.0)
    assert requests.open() == [asked]
    requests.close(asked, "take, by me", 3.0)
    assert requests.open() == []


def test_the_first_answer_wins_and_the_second_is_told(requests: Requests) -> None:
    asked = ask(requests)
    requests.answer(asked.id, "take", "me", 0.0)
    with pytest.raises(MuxError, match="decided already: take, by me, at 1970-01-01T00:00:00Z"):
        requests.answer(asked.id, "keep", "you", 1.0)
    assert requests.answer_to(asked) == Answer("take", "me", 0.0)


def test_of_many_at_once_one_decides(requests: Requests) -> None:
    asked = ask(requests)

    def decide(number: int) -> bool:
        try:
            requests.answer(asked.id, CHOICES[number % 2], f"p{number}", float(number))
        except MuxError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(decide, range(16)))
    assert won.count(True) == 1
    answer = requests.answer_to(asked)
    assert answer is not None and answer.by == f"p{won.index(True)}"


def test_a_closed_question_takes_no_answer(requests: Requests) -> None:
    asked = ask(requests)
    requests.close(asked, "it ended by itself", 2.0)
    with pytest.raises(MuxError, match="is closed: it ended by itself"):
        requests.answer(asked.id, "take", "me", 3.0)


def test_only_a_choice_that_was_offered(requests: Requests) -> None:
    asked = ask(requests)
    with pytest.raises(MuxError, match="takes take or keep, not 'burn'"):
        requests.answer(asked.id, "burn", "me", 2.0)
    assert requests.answer_to(asked) is None


@pytest.mark.parametrize("name", ["", "nope", "0123456789ab", "../../etc/passwd", "0123456789ab.answer", "*"])
def test_an_unknown_id(requests: Requests, name: str) -> None:
    ask(requests)
    with pytest.raises(MuxError, match="there is no request"):
        requests.answer(name, "take", "me", 2.0)


def test_other_files_in_the_folder_are_passed_over(requests: Requests, tmp_path: Path) -> None:
    asked = ask(requests)
    (tmp_path / "requests" / "notes.json").write_text("mine")
    (tmp_path / "requests" / f".{asked.id}.json.0a1b.tmp").write_text("torn")
    assert requests.open() == [asked]


def test_a_record_of_the_first_version_loads(requests: Requests, tmp_path: Path) -> None:
    record = {"id": "0123456789ab", "action": "held", "why": "w", "about": "d", "choices": ["take", "keep"], "at": 1.0}
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "0123456789ab.json").write_text(json.dumps(record))
    assert requests.open() == [Request("0123456789ab", "held", "w", "d", CHOICES, 1.0)]


def test_two_who_ask_at_once_ask_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda _: ask(Requests(tmp_path)).id, range(16)))
    assert len(set(asked)) == 1


def test_what_was_decided_is_found_by_the_beginning_of_its_id_and_says_who_was_first(requests: Requests) -> None:
    asked = ask(requests)
    requests.answer(asked.id[:4], "take", "me", 0.0)
    requests.close(asked, "take, by me", 1.0)
    with pytest.raises(MuxError, match="decided already: take, by me, at 1970-01-01T00:00:00Z"):
        requests.answer(asked.id[:4], "keep", "you", 2.0)


@settings(max_examples=25, deadline=None)  # each waits for the disk
@given(st.from_regex(TASK_ID, fullmatch=True).filter(lambda task: "\n" not in task))
def test_every_step_is_read_back_whatever_its_task_is_called(task: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        requests = Requests(Path(name))
        request = requests.ask("recover", "why", "about", ("in-place",), 1.0, task=task, attempt=1)
        assert requests.begin_step(request, f"void-{task}", 2.0, why="changed")
        (asked,) = requests.all()
        assert asked.steps[f"void-{task}"]["why"] == "changed"


@pytest.mark.parametrize("part", ["", ".answer", ".step-stop", ".closed"])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"at": "x'])
def test_a_damaged_file_takes_its_request_away_and_no_other(
    requests: Requests, tmp_path: Path, part: str, content: str
) -> None:
    broken, whole = ask(requests), ask(requests, "another digest", now=2.0)
    path = tmp_path / "requests" / f"{broken.id}{part}.json"
    path.write_text(content)
    again = Requests(tmp_path)
    if (part, content) == (".step-stop", "{}"):
        return  # a step that says nothing but that it was begun
    assert again.open() == [whole]
    ((request_id, why),) = again.damaged().items()
    assert request_id == broken.id and str(path) in why and "mv " in why
    with pytest.raises(MuxError, match="is damaged"):
        again.find(broken.id[:6])
    assert ask(again).id != broken.id, "it is asked anew"
    path.unlink()
    again.all()
    assert again.damaged() == {}


def test_one_whose_time_is_over_is_asked_anew_also_before_it_is_closed(requests: Requests) -> None:
    first = ask(requests, now=1.0, expires=10.0)
    assert ask(requests, now=9.0, expires=19.0) == first
    again = ask(requests, now=10.0, expires=20.0)
    assert again.id != first.id and requests.answer(again.id, "take", "ana", 11.0) == again
    assert ask(requests, now=25.0) == again  # decided in time, and not carried out yet
