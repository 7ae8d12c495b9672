from __future__ import annotations

import time

import pytest

from bot.place import Place
from runners import daemon
from runners.requests import Requests
from tests.bot.conftest import Mux


def ask(place: Place, choices: tuple[str, ...] = ("take", "keep")) -> str:
    return Requests(place.folder).ask("held", "every task vanished", "digest", choices, time.time() - 90).id


def test_nothing_is_asked(mux: Mux, place: Place) -> None:
    assert mux("requests").out == "nothing is asked\n"


def test_lists_what_is_asked_and_how_to_decide(mux: Mux, place: Place) -> None:
    request = ask(place)
    out = mux("requests").out
    assert f"{request}  held, for 1m 30s: every task vanished" in out or f"{request}  held, for 1m" in out
    assert f"decide with: mux answer {request} take|keep" in out


def test_an_answer_is_kept_and_wakes_the_loop(mux: Mux, place: Place) -> None:
    request = ask(place)
    reply = mux("answer", request, "keep")
    assert (reply.code, reply.out) == (0, f"{request}: keep (mux is down; it takes effect with the next: mux up)\n")
    requests = Requests(place.folder)
    answer = requests.answer_to(requests.open()[0])
    assert answer is not None and answer.choice == "keep" and answer.by.startswith("terminal:")
    assert len(list((place.folder / "inbox").iterdir())) == 1
    assert "decided: keep, by terminal:" in mux("requests").out


def test_with_the_control_plane_up_it_says_what_happens_next(mux: Mux, place: Place) -> None:
    request = ask(place)
    with daemon.only_one(place.folder, time.time()):
        assert "mux carries it out now" in mux("answer", request, "take").out


def test_the_second_answer_is_told_who_was_first(mux: Mux, place: Place) -> None:
    request = ask(place)
    mux("answer", request, "keep")
    reply = mux("answer", request, "take")
    assert reply.code == 1 and "was decided already: keep, by terminal:" in reply.err


@pytest.mark.parametrize(("words", "said"), [(("nope", "take"), "no request nope"), ((None, "maybe"), "takes take or")])
def test_what_cannot_be_meant(mux: Mux, place: Place, words: tuple[str | None, str], said: str) -> None:
    request = ask(place)
    reply = mux("answer", words[0] or request, words[1])
    assert reply.code == 1 and said in reply.err and reply.err.count("\n") == 1
    assert Requests(place.folder).answer_to(Requests(place.folder).open()[0]) is None


def test_a_worker_decides_nothing(mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ask(place)
    monkeypatch.setenv("MUX_TASK", "fix")
    reply = mux("answer", request, "take")
    assert reply.code == 1 and "only a person decides" in reply.err
    assert Requests(place.folder).answer_to(Requests(place.folder).open()[0]) is None


def test_a_user_id_without_a_name(mux: Mux, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert mux("answer", ask(place), "keep").code == 0
