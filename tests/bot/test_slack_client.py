"""Tokens, the API's address, and what a failure means."""

from __future__ import annotations

import os
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import RemoteDisconnected
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import pytest
from slack_sdk.errors import SlackApiError

from board.errors import MuxError
from bot.chat_start import HANDED, handed_over, named, taken_over, tokens_of
from bot.slack_client import SLACK, TIMEOUT, Api, Failed, Tokens, Trouble, api_url, failure_of, take_tokens
from runners import processes

BOT, APP = "xoxb-1-abc", "xapp-1-def"


def test_taken_out_of_the_environment(tmp_path: Path) -> None:
    environment = {"SLACK_BOT_TOKEN": BOT, "SLACK_APP_TOKEN": APP, "SLACK_SIGNING_SECRET": "s", "HOME": "/h"}
    assert take_tokens(environment | {}, tmp_path) == Tokens(BOT, APP)
    take_tokens(environment, tmp_path)
    assert environment == {"HOME": "/h"}


def test_nobody_sees_them_printed() -> None:
    assert BOT not in repr(Tokens(BOT, APP)) and APP not in f"{Tokens(BOT, APP)}"


def test_none_is_no_mistake(tmp_path: Path) -> None:
    assert take_tokens({}, tmp_path) is None


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"SLACK_BOT_TOKEN": BOT}, "has no SLACK_APP_TOKEN"),
        ({"SLACK_APP_TOKEN": APP}, "has no SLACK_BOT_TOKEN"),
        ({"SLACK_BOT_TOKEN": APP, "SLACK_APP_TOKEN": BOT}, "is no token of that kind"),
        ({"SLACK_BOT_TOKEN": f"{BOT}\nX-Header: 1", "SLACK_APP_TOKEN": APP}, "a character that no token has"),
        ({"SLACK_TOKENS_FILE": "/nowhere/slack.env"}, "cannot be read"),
    ],
)
def test_mistakes_are_one_line_without_the_token(environment: dict[str, str], why: str, tmp_path: Path) -> None:
    values = [value for value in environment.values() if value.startswith("x")]
    with pytest.raises(MuxError, match=why) as error:
        take_tokens(environment, tmp_path)
    assert not any(value in str(error.value) for value in values) and "\n" not in str(error.value)
    assert environment == {}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_may_read_is_not_used(mode: int, tmp_path: Path) -> None:
    file = tmp_path / ".config" / "mux" / "slack.env"
    file.parent.mkdir(parents=True)
    file.write_text(f"# mine\nexport SLACK_BOT_TOKEN=\"{BOT}\"\nSLACK_APP_TOKEN = '{APP}'\n")
    file.chmod(mode)
    with pytest.raises(MuxError, match="chmod 600"):
        take_tokens({}, tmp_path)
    file.chmod(0o600)
    assert take_tokens({}, tmp_path) == Tokens(BOT, APP)


SECRET = {"SLACK_SIGNING_SECRET": "grey-Lantern_4471", "SLACK_V2_KEY": "two\nlines = 4471\n"}


@pytest.mark.parametrize(
    "of_slack",
    [
        {"SLACK_BOT_TOKEN": BOT, "SLACK_APP_TOKEN": APP} | SECRET,
        {"SLACK_BOT_TOKEN": BOT, "SLACK_APP_TOKEN": ""},
        SECRET,
        SECRET | {"SLACK_TOKENS_FILE": "/h/slack.env", "SLACK_API_URL": "https://proxy.example/"},
    ],
)
def test_all_that_is_of_slack_is_handed_over_and_none_of_it_seen(of_slack: dict[str, str]) -> None:
    with handed_over({"HOME": "/h"} | of_slack) as (environment, files):
        assert len(files) == 1 and environment["HOME"] == "/h"
        assert not any(value in str(environment) for value in (BOT, APP, "4471"))
        received(environment)
    assert environment == {"HOME": "/h"} | of_slack


def received(environment: dict[str, str]) -> None:
    """As the process that is started does, which has that file as its own."""
    environment[HANDED] = str(os.dup(int(environment[HANDED])))
    taken_over(environment)


def test_a_secret_that_is_handed_over_hides_no_file_of_tokens(tmp_path: Path) -> None:
    file = tmp_path / "slack.env"
    file.write_text(f"SLACK_BOT_TOKEN={BOT}\nSLACK_APP_TOKEN={APP}\nSLACK_CLIENT_SECRET=grey-Lantern_4472\n")
    file.chmod(0o600)
    with handed_over(SECRET | {"SLACK_TOKENS_FILE": str(file)}) as (environment, _):
        received(environment)
    tokens = take_tokens(environment, tmp_path)
    assert tokens == Tokens(BOT, APP) and environment == {} and "grey-Lantern_4472" not in repr(tokens)
    assert named(tokens)["SLACK_CLIENT_SECRET"] == "grey-Lantern_4472"


def test_where_nothing_is_of_slack_nothing_is_handed_over() -> None:
    kept = {"HOME": "/h", "SLACK_API_URL": "https://proxy.example/"}
    with handed_over(kept) as (environment, files):
        assert (environment, files) == (kept, ())
        taken_over(environment)
    assert environment == kept


@pytest.mark.parametrize(
    ("environment", "filed", "hidden"),
    [
        ({"SLACK_BOT_TOKEN": BOT, "SLACK_APP_TOKEN": APP}, False, True),
        ({"SLACK_BOT_TOKEN": BOT}, False, True),
        ({"SLACK_SIGNING_SECRET": "grey-Lantern_4471"}, False, True),
        ({}, True, True),
        ({"SLACK_API_URL": "https://proxy.example/"}, False, False),
    ],
)
def test_who_was_given_anything_of_slack_is_closed_to_others(
    environment: dict[str, str], filed: bool, hidden: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".config" / "mux" / "slack.env"
    file.parent.mkdir(parents=True)
    if filed:
        file.write_text(f"SLACK_BOT_TOKEN={BOT}\nSLACK_APP_TOKEN={APP}\n")
        file.chmod(0o600)
    calls: list[str] = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(processes, "hide_memory", lambda: calls.append("hidden"))
    tokens_of(environment)
    assert calls == ["hidden"] * hidden


def test_where_the_api_is() -> None:
    assert api_url(None, {}) == SLACK
    assert api_url("https://proxy.example/api", {}) == "https://proxy.example/api/"
    assert api_url(None, {"SLACK_API_URL": "http://127.0.0.1:8065/api/"}) == "http://127.0.0.1:8065/api/"
    for url in ("http://slack.com/api/", "ftp://127.0.0.1/", "http://127.0.0.1.example.org/"):
        with pytest.raises(MuxError, match="must be https"):
            api_url(url, {})


def answer(status: int, data: Any, **headers: str) -> SlackApiError:
    response = SimpleNamespace(status_code=status, data=data, headers=headers)
    return SlackApiError("xoxb-in-the-message", response)


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (answer(429, {"ok": False, "error": "ratelimited"}), Trouble.LIMITED),
        (answer(500, {"ok": False, "error": "internal_error"}), Trouble.AWAY),
        (answer(503, "<html>"), Trouble.AWAY),
        (answer(200, {"ok": False, "error": "fatal_error"}), Trouble.AWAY),
        (SlackApiError("no JSON", {"status": 200, "headers": {}, "body": "<html>"}), Trouble.AWAY),
        (SlackApiError("no JSON", {"status": 404, "headers": {}, "body": "<html>"}), Trouble.AWAY),
        (answer(200, {"ok": False, "error": "invalid_auth"}), Trouble.FATAL),
        (answer(200, {"ok": False, "error": "missing_scope", "needed": "chat:write"}), Trouble.FATAL),
        (answer(200, {"ok": False, "error": "not_in_channel"}), Trouble.CHANNEL),
        (answer(200, {"ok": False, "error": "message_not_found"}), Trouble.GONE),
        (answer(200, {"ok": False, "error": "invalid_blocks"}), Trouble.REFUSED),
        (URLError(ConnectionRefusedError()), Trouble.NOT_SENT),
        (URLError(socket.gaierror()), Trouble.NOT_SENT),
        (URLError(TimeoutError()), Trouble.AWAY),
        (TimeoutError(), Trouble.AWAY),
        (RemoteDisconnected(), Trouble.AWAY),
        (ssl.SSLError(), Trouble.AWAY),
        (ValueError("what slack-sdk did not expect"), Trouble.AWAY),
    ],
)
def test_what_a_failure_means(error: Exception, trouble: Trouble) -> None:
    failed = failure_of(error)
    assert failed.trouble is trouble and "xoxb" not in str(failed)


@pytest.mark.parametrize(("value", "seconds"), [("77", 77.0), ("", 30.0), ("soon", 30.0)])
def test_how_long_to_wait(value: str, seconds: float) -> None:
    failed = failure_of(answer(429, {"ok": False, "error": "ratelimited"}, **{"Retry-After": value}))
    assert failed.retry_after == seconds


def test_who_waits_for_slack_waits_no_longer_than_the_end_says() -> None:
    """Against a server that takes the call and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        api = Api(Tokens("xoxb-1", "xapp-1"), f"http://127.0.0.1:{server.getsockname()[1]}/api/")
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(api, "auth.test")
            connection, _ = server.accept()
            with connection:
                connection.recv(1)
                api.close(0.2)
                api.close(60)  # nothing prolongs it
                begun = time.monotonic()
                assert isinstance(failed := waiting.exception(), Failed)
                with pytest.raises(Failed):  # who comes later waits no longer either
                    api.respond(f"http://127.0.0.1:{server.getsockname()[1]}/respond", {})
    assert failed.trouble is Trouble.AWAY and time.monotonic() - begun < TIMEOUT / 2
