"""What earlier versions wrote is read for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from board.model import Status
from runners.journal import Event, Journal
from runners.model import Cause, Exit, How, Outcome
from runners.records import Records
from runners.requests import Requests

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The records of the first version, in a place where reading may also write."""
    shutil.copytree(FIXTURES / "first-records", tmp_path / ".mux")
    return tmp_path / ".mux"


def test_an_attempt(folder: Path) -> None:
    attempt = Records(folder).attempts()["fix"]
    assert attempt.outcome == Outcome(Status.FAILED, "exit", "exit 1; 1 file untracked", 1795424471.25)
    assert (attempt.exit, attempt.ports) == (Exit(1795424471.0, code=1), (20000, 20009))
    assert (attempt.cause, attempt.how, attempt.conversation) == (Cause.PERSON, How.START, 1)
    assert attempt.checkpoint == attempt.home.start_commit
    assert attempt.reports == () and attempt.judged is None


def test_a_request(folder: Path) -> None:
    (asked,) = Requests(folder).all()
    assert (asked.request.action, asked.request.choices, asked.request.expires) == ("held", ("take", "keep"), None)
    assert asked.answer is not None and (asked.answer.choice, asked.answer.by) == ("keep", "terminal:ana")
    assert asked.closed is not None and not asked.open


def test_the_journal(folder: Path) -> None:
    assert list(Journal(folder).events()) == [Event(1795420871.0, "started", "on branch mux/shop/fix", "fix", 1)]
