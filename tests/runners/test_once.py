from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from board.errors import MuxError, UsageError
from runners import once, once_questions, processes
from runners.asked import AGAIN, FINISHED
from runners.once import End, How, Said, State
from runners.requests import Requests

GONE = ((999_999_999, "1@another-boot"),)


def me() -> tuple[tuple[int, str], ...]:
    started = processes.start_time(os.getpid())
    assert started is not None
    return ((os.getpid(), started),)


def begin(
    folder: Path,
    running: tuple[tuple[int, str], ...],
    key: str = "deploy",
    after: once.Step | None = None,
    request: str | None = None,
    at: float = 1.0,
) -> once.Step | None:
    return once.begin(folder, "fix", key, ("make", "it so"), 1, at, running, after, request)


def seen(folder: Path) -> once.Step:
    step = once.look(folder, "fix", "deploy")
    assert step is not None
    return step


def test_nothing_was_begun(tmp_path: Path) -> None:
    assert once.look(tmp_path, "fix", "deploy") is None
    assert (once.steps(tmp_path, "fix"), once.unfinished(tmp_path, "fix"), once.finished(tmp_path, "fix")) == ((),) * 3


def test_a_step_runs_while_a_process_of_it_lives(tmp_path: Path) -> None:
    begin(tmp_path, (*GONE, *me()))
    step = seen(tmp_path)
    assert (step.state, step.key, step.command, step.number) == (State.RUNNING, "deploy", "make 'it so'", 1)
    assert once.unfinished(tmp_path, "fix") == ()


def test_it_is_unfinished_once_nothing_of_it_lives(tmp_path: Path) -> None:
    begin(tmp_path, GONE, "b\nkey ä", at=2.0)
    begin(tmp_path, GONE)
    begin(tmp_path, me(), "other", at=3.0)
    assert once.unfinished(tmp_path, "fix") == ("deploy", "b\nkey ä")
    assert once.unfinished(tmp_path, "other") == ()


def test_a_process_number_used_again_is_another_process(tmp_path: Path) -> None:
    begin(tmp_path, ((os.getpid(), "1@another-boot"),))
    assert seen(tmp_path).state is State.UNFINISHED


@pytest.mark.parametrize(
    ("how", "state"),
    [(How.EXITED, State.FINISHED), (How.INTERRUPTED, State.UNFINISHED), (How.NEVER_RAN, State.NEVER_RAN)],
)
def test_how_it_ended(tmp_path: Path, how: How, state: State) -> None:
    begin(tmp_path, me())
    end = End(how, 3, 5.0)
    once.record_end(seen(tmp_path), end)
    assert (seen(tmp_path).state, seen(tmp_path).end) == (state, end)
    assert once.finished(tmp_path, "fix") == (("deploy",) if state is State.FINISHED else ())
    assert once.unfinished(tmp_path, "fix") == (("deploy",) if state is State.UNFINISHED else ())


def test_an_end_is_never_changed(tmp_path: Path) -> None:
    begin(tmp_path, me())
    once.record_end(seen(tmp_path), End(How.EXITED, 3, 5.0))
    once.record_end(seen(tmp_path), End(How.EXITED, 0, 6.0))
    assert seen(tmp_path).end == End(How.EXITED, 3, 5.0)


def test_a_person_says_that_it_took_effect(tmp_path: Path) -> None:
    begin(tmp_path, GONE)
    said = Said("ana", 7.0, "0123456789ab")
    once.record_said(seen(tmp_path), said)
    assert (seen(tmp_path).state, seen(tmp_path).said) == (State.FINISHED, said)


def test_of_many_at_once_one_begins(tmp_path: Path) -> None:
    for after in (None, *[begin(tmp_path, GONE, "again")]):
        with ThreadPoolExecutor(8) as pool:
            key = "again" if after else "deploy"
            begun = list(pool.map(lambda _, key=key, after=after: begin(tmp_path, me(), key, after), range(16)))
        assert sum(step is not None for step in begun) == 1


def test_the_newest_run_counts(tmp_path: Path) -> None:
    for number in range(1, 12):
        begin(tmp_path, GONE, after=once.look(tmp_path, "fix", "deploy"), request=f"r{number}")
        assert (seen(tmp_path).number, seen(tmp_path).request) == (number, f"r{number}")


def test_one_question_for_each_run(tmp_path: Path) -> None:
    requests = Requests(tmp_path)
    begin(tmp_path, GONE)
    first = once_questions.ask(requests, "fix", seen(tmp_path), 2.0, 99.0)
    assert once_questions.ask(requests, "fix", seen(tmp_path), 3.0, 100.0) == first
    assert (first.choices, first.expires, first.task, first.attempt, first.says) == (
        *(("again", "finished"), 99.0),
        *("fix", 1, "deploy"),
    )
    begin(tmp_path, GONE, after=seen(tmp_path), request=first.id)
    assert once_questions.ask(requests, "fix", seen(tmp_path), 4.0, 99.0).id != first.id


def test_the_last_word_about_an_unfinished_run_counts(tmp_path: Path) -> None:
    """An `again` that nobody used, and a `finished` after it: the step took effect, and does not run once more."""
    begin(tmp_path, GONE)
    requests = Requests(tmp_path)
    first = once_questions.ask(requests, "fix", seen(tmp_path), 10.0, 99.0)
    requests.answer(first.id, AGAIN, "terminal:ana", 11.0)
    requests.close(first, "its worker ended", 12.0)
    second = once_questions.ask(requests, "fix", seen(tmp_path), 20.0, 99.0)
    assert second.id != first.id
    requests.answer(second.id, FINISHED, "terminal:ana", 21.0)
    found = once_questions.answered(requests, "fix", seen(tmp_path))
    assert found is not None and found.answer is not None and found.answer.choice == FINISHED


def test_what_nobody_has_decided(tmp_path: Path) -> None:
    """An `again` is there for the next worker, and is not asked about once more; what began since it was asked is."""
    begin(tmp_path, GONE)
    begin(tmp_path, GONE, "late", at=9.0)
    assert [(each.key, each.command, each.at) for each in once_questions.undecided(tmp_path, "fix")] == [
        ("deploy", "make 'it so'", 1.0),
        ("late", "make 'it so'", 9.0),
    ]
    once_questions.decide(tmp_path, "fix", AGAIN, "ana", 5.0)
    assert [each.key for each in once_questions.undecided(tmp_path, "fix")] == ["late"]
    assert once.unfinished(tmp_path, "fix") == ("deploy", "late")
    once_questions.decide(tmp_path, "fix", FINISHED, "ana", 10.0)
    assert (once.unfinished(tmp_path, "fix"), once.finished(tmp_path, "fix")) == (("deploy",), ("late",))
    begin(tmp_path, GONE, after=seen(tmp_path), request="r", at=11.0)
    assert [each.number for each in once_questions.undecided(tmp_path, "fix")] == [2]


@pytest.mark.parametrize("key", ["", " \n", "k" * 201])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(UsageError, match="1 to 200 characters"):
        once.check_key(key)


@pytest.mark.parametrize("name", ["begin-1.json", "end-1.json", "said-1.json"])
@pytest.mark.parametrize("text", ["", "{}", '{"how": "sideways", "code": 0, "at": 1}'])
def test_a_damaged_record_is_said_with_its_path(tmp_path: Path, name: str, text: str) -> None:
    step = begin(tmp_path, GONE)
    assert step is not None
    (step.folder / name).write_text(text)
    with pytest.raises(MuxError) as raised:
        once.unfinished(tmp_path, "fix")
    said = str(raised.value)
    assert "\n" not in said and f"mv {step.folder / name} {step.folder / name}.damaged" in said
    subprocess.run(["sh", "-c", said.rpartition(": ")[2]], check=True)
    assert seen(tmp_path).state is State.UNFINISHED


@pytest.mark.parametrize("aside", ["begin-1.json.damaged", ""])
def test_a_run_whose_begin_record_was_set_aside_is_for_a_person(tmp_path: Path, aside: str) -> None:
    """As the message about it says: what it printed, or the record beside it, shows that it was begun."""
    step = begin(tmp_path, GONE)
    assert step is not None
    once.record_end(step, End(How.EXITED, 0, 5.0))
    step.printed[0].touch()
    record = step.folder / "begin-1.json"
    record.rename(step.folder / aside) if aside else record.unlink()
    lost = seen(tmp_path)
    assert (lost.state, lost.number, lost.key, lost.argv) == (State.UNFINISHED, 1, "deploy", ())
    assert [each.number for each in once_questions.undecided(tmp_path, "fix")] == [1]
    once_questions.decide(tmp_path, "fix", AGAIN, "ana", lost.at)
    found = once_questions.answered(Requests(tmp_path), "fix", lost, ("make", "it so"))
    assert found is not None and "its record is lost" in found.request.why
    once.record_said(lost, Said("ana", 7.0, found.request.id))
    assert seen(tmp_path).state is State.FINISHED
