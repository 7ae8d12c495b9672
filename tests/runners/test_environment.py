from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.environment import git_environment, worker_environment

NAMES = st.sampled_from(["PATH", "LANG", "LC_ALL", "LC_CTYPE", "SLACK_BOT_TOKEN", "MUX_TASK", "GIT_DIR", "TMUX", "X"])


@pytest.mark.parametrize(
    "name",
    [
        *(
            "SLACK_BOT_TOKEN",
            "SLACK_APP_TOKEN",
            "MUX_TASK",
            "MUX_ATTEMPT",
            "GIT_DIR",
            "GIT_INDEX_FILE",
            "GIT_WORK_TREE",
        ),
        *("GIT_CONFIG_PARAMETERS", "TMUX", "TMUX_PANE", "PWD", "NOTIFY_SOCKET", "CLAUDECODE"),
    ],
)
def test_secrets_and_leftovers_do_not_reach_workers(name: str) -> None:
    assert name not in worker_environment({name: "x"})
    assert name not in git_environment({name: "x"})


@pytest.mark.parametrize(
    "name",
    ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "HOME", "VIRTUAL_ENV", "PYTHONPATH", "GIT_AUTHOR_NAME", "GIT_SSH_COMMAND"],
)
def test_what_workers_need_stays(name: str) -> None:
    assert worker_environment({name: "x"})[name] == "x"


def test_mux_stays_reachable_and_shadows_nothing() -> None:
    own = str(Path(sys.executable).parent)
    assert worker_environment({"PATH": "/a:/b"})["PATH"] == f"/a:/b:{own}"
    assert worker_environment({"PATH": f"{own}:/b"})["PATH"] == f"{own}:/b"


@pytest.mark.parametrize(
    ("given_", "changed"),
    [
        ({}, True),
        ({"LANG": "C"}, True),
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, True),
        ({"LC_ALL": "", "LANG": "de_DE.UTF-8"}, False),
        ({"LC_CTYPE": "C.utf8", "LANG": "C"}, False),
        ({"LC_ALL": "POSIX"}, True),
    ],
)
def test_a_locale_that_cannot_show_utf8_is_replaced(given_: dict[str, str], changed: bool) -> None:
    assert (worker_environment(given_).get("LC_ALL") == "C.UTF-8") == changed


def test_git_asks_nothing_locks_nothing_and_speaks_english() -> None:
    seen = git_environment({"LANG": "de_DE.UTF-8", "LANGUAGE": "de"})
    assert (seen["GIT_TERMINAL_PROMPT"], seen["GIT_OPTIONAL_LOCKS"], seen["LC_ALL"]) == ("0", "0", "C.UTF-8")
    assert "LANGUAGE" not in seen


@given(st.dictionaries(NAMES, st.text(max_size=20)))
def test_twice_is_once(base: dict[str, str]) -> None:
    once = worker_environment(base)
    assert worker_environment(once) == once
