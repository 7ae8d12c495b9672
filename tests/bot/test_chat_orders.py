"""`/mux start` and `/mux stop` of an operator: what an approver is to decide stays an approver's."""

from __future__ import annotations

from contextlib import suppress

import pytest

from board.errors import MuxError
from board.model import Status
from board.storage import write_json
from bot import boards, orders
from bot.chat_orders import started, stopped
from bot.place import Place
from runners.asked import DENY, Asked
from runners.model import Next, Outcome
from runners.records import Records
from runners.requests import Requests
from tests.bot.conftest import BOARD, record, working

OPERATOR, APPROVER = "slack:U0BEN", "slack:U0ANA"
WORD = "status: draft  # mine"


def on_board(place: Place, word: str) -> None:
    place.path.write_text(BOARD.replace(WORD, f"status: {word}\nmux:\n  attempt: 1"))


def crashed(place: Place, follows: Next | None) -> None:
    """Its worker ended badly; `follows`: what mux decided."""
    write_json(record(place, "one") / "exit.json", {"at": 1010.0, "code": 3, "signal": None, "phase": "run"})
    Records(place.folder).conclude("one", 1, Outcome(Status.BLOCKED, "dirty", "exit 3", 1010.0, next=follows))
    on_board(place, "blocked")


def ask(place: Place, action: str = "recover", **more: object) -> str:
    about = {"task": "one", "attempt": 1, **more}
    return Requests(place.folder).ask(action, "exit 3", "x", ("in-place",), 1011.0, **about).id  # type: ignore[arg-type]


def found(place: Place, request: str) -> Asked:
    return Requests(place.folder).find(request)


def word(place: Place) -> Status:
    return boards.load(place).by_id["one"].status


ASKS = Next("ask", 1010.0, ("in-place",))


def test_an_operator_neither_starts_nor_stops_what_approvers_are_asked_about(place: Place) -> None:
    crashed(place, ASKS)
    request = ask(place)
    for order in (started, stopped):
        with pytest.raises(MuxError, match=f"an approver decides that: request {request}"):
            order(place, "one", OPERATOR, False)
    assert word(place) is Status.BLOCKED and found(place, request).waits and found(place, request).by is None


def test_nor_one_of_several_that_are_asked_about_together(place: Place) -> None:
    crashed(place, ASKS)
    request = ask(place, "outage", task=None, attempt=None, members=(("one", 1), ("two", 1)))
    for order in (started, stopped):
        with pytest.raises(MuxError, match="an approver decides that"):
            order(place, "one", OPERATOR, False)
    stopped(place, "one", APPROVER, True)
    assert found(place, request).by is None, "it goes on for the others"


@pytest.mark.parametrize("over", ["not asked yet", "denied", "stopped by an approver"])
def test_nor_starts_it_before_it_is_asked_or_when_that_is_over(place: Place, over: str) -> None:
    crashed(place, ASKS)
    if over != "not asked yet":
        Requests(place.folder).answer(ask(place), DENY, APPROVER, 1012.0)
    if over == "stopped by an approver":
        stopped(place, "one", APPROVER, True)
    before = word(place)
    with pytest.raises(MuxError, match="an approver's to decide; it is asked anew with: mux restart one"):
        started(place, "one", OPERATOR, False)
    assert word(place) is before


def test_nor_while_it_is_not_known_yet_how_it_ended(place: Place) -> None:
    write_json(record(place, "one") / "exit.json", {"at": 1010.0, "code": 3, "signal": None, "phase": "run"})
    write_json(record(place, "one") / "start.json", {"at": 1001.0, "pid": 1, "session": 1, "wrapper_start": "1@x"})
    on_board(place, "running")
    with pytest.raises(MuxError, match="its worker has ended"):
        started(place, "one", OPERATOR, False)


def test_what_is_nobodys_to_decide_an_operator_starts_and_stops(place: Place) -> None:
    crashed(place, Next("restart", 1010.0, after="exit 3"))
    assert stopped(place, "one", OPERATOR, False).startswith("one: stopped")
    assert started(place, "one", OPERATOR, False).startswith("one: ready")


def test_what_lives_an_operator_may_end_whatever_is_asked_about_it(place: Place) -> None:
    on_board(place, "running")
    with working(place, "one"):
        request = ask(place, "restart", evidence={"live": 1})
        assert "to end" in stopped(place, "one", OPERATOR, False)
    Requests(place.folder).close(found(place, request).request, "'stopped' was written at one", 1020.0)
    assert found(place, request).by == OPERATOR


def test_a_new_task_with_the_id_of_one_that_is_gone_is_started(place: Place) -> None:
    crashed(place, ASKS)
    Records(place.folder).retire("one", 1)
    place.path.write_text(BOARD)
    assert started(place, "one", OPERATOR, False).startswith("one: ready")


@pytest.mark.parametrize(
    ("order", "what", "end"),
    [(started, "Started", "attempt 2 of one started"), (stopped, "Stopped", "'stopped' was written at one")],
)
def test_who_ordered_what_leaves_nothing_to_decide_is_noted(place: Place, order: object, what: str, end: str) -> None:
    crashed(place, ASKS)
    request = ask(place)
    order(place, "one", APPROVER, True)  # type: ignore[operator]
    assert found(place, request).waits
    Requests(place.folder).close(found(place, request).request, end, 1020.0)
    asked = found(place, request)
    assert asked.by == APPROVER and asked.ordered is not None and asked.ordered["what"] == what


def test_an_order_that_came_to_nothing_is_not_taken_for_the_next_ones(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed(place, ASKS)
    request = ask(place)
    with monkeypatch.context() as broken, pytest.raises(MuxError, match="the disk is full"):
        broken.setattr(orders.edit, "set_status", fail)
        started(place, "one", "slack:U0EVE", True)
    started(place, "one", APPROVER, True)
    Requests(place.folder).close(found(place, request).request, "attempt 2 of one started", 1020.0)
    assert found(place, request).by == APPROVER


def fail(*_: object) -> str:
    raise MuxError("the disk is full")


def test_an_order_that_cannot_be_is_noted_nowhere(place: Place) -> None:
    crashed(place, None)
    request = ask(place)
    on_board(place, "done")
    with suppress(MuxError):
        stopped(place, "one", APPROVER, True)
    assert found(place, request).by is None
