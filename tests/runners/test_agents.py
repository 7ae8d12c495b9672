from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from board.errors import MuxError
from board.model import NOTHING
from runners import agents
from runners.agents import Command, Script
from runners.profiles import PLACEHOLDER
from tests.support import PATIENCE

RUN = Path("/runs/fix login/1")
AGENTS = sorted(agents.BUILT_IN - {"shell"})


def command(
    name: str,
    mode: str = "headless",
    resume: bool = False,
    prompt: str = "do it",
    board: Mapping[str, Any] = NOTHING,
) -> Command:
    return agents.command(
        agents.load(board)[name],
        mode,
        resume,
        prompt,
        RUN / "prompt.md",
        "0000-session",
        git_dir=Path("/shop/.git/worktrees/fix"),
        common_dir=Path("/shop/.git"),
        run_dir=Path("/shop/.mux/runs/a/1"),
    )


def test_the_names_are_those_of_the_file() -> None:
    assert set(agents.load({})) == agents.BUILT_IN == agents.names({})
    assert agents.names({"mine": {}}) == agents.BUILT_IN | {"mine"}


def test_the_names_need_no_yaml() -> None:
    code = (
        "import sys; from runners.agents import names; names({'x': {}}); "
        "sys.exit(any(m.split('.')[0] in ('ruamel', 'markdown_it', 'difflib', 'uuid') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=PATIENCE, check=False).returncode == 0


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("mode", ["headless", "interactive"])
@pytest.mark.parametrize("resume", [False, True])
def test_every_built_in_gets_its_prompt_whole(name: str, mode: str, resume: bool) -> None:
    prompt = "--help 'quotes' $(touch /tmp/x) `y` {session}\n\n{prompt_file}\nlast"
    made = command(name, mode, resume, prompt)
    carried = [item for item in made.argv if prompt in item or str(RUN / "prompt.md") in item]
    assert (made.stdin == RUN / "prompt.md") ^ (len(carried) == 1)
    assert made.argv[0] == name
    assert not any(PLACEHOLDER.search(item) for item in made.argv if item not in carried)


@pytest.mark.parametrize("name", AGENTS)
def test_headless_never_puts_the_prompt_into_an_argument(name: str) -> None:
    assert not any("do it" in item for item in command(name).argv)


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("mode", ["headless", "interactive"])
def test_no_built_in_bypasses_every_question(name: str, mode: str) -> None:
    bypasses = ("dangerous", "bypass", "yolo", "danger-full-access", "--auto", "--trust")
    assert not [item for item in command(name, mode).argv if any(word in item for word in bypasses)]


def test_claude_resumes_the_session_it_was_started_with() -> None:
    assert "--session-id=0000-session" in command("claude").argv
    assert "--resume=0000-session" in command("claude", resume=True).argv
    assert command("claude", "interactive").argv[-2:] == ("--", "do it")


def test_codex_may_write_what_a_commit_writes_and_not_the_hooks() -> None:
    writable = {item.removeprefix("--add-dir=") for item in command("codex").argv if item.startswith("--add-dir=")}
    git = "/shop/.git"
    spoken = "/shop/.mux/runs/a/1"  # for what it says to mux
    assert writable == {f"{git}/worktrees/fix", f"{git}/objects", f"{git}/refs", f"{git}/logs", spoken}
    assert command("codex", resume=True).argv[-3:] == ("resume", "--last", "-")


@pytest.mark.parametrize("resume", [False, True])
def test_codex_works_in_the_worker_s_own_processes(resume: bool) -> None:
    assert "--no-daemon" in command("codex", "interactive", resume).argv


def test_a_long_prompt_in_an_argument_becomes_a_pointer_to_its_file() -> None:
    made = command("claude", "interactive", prompt="ä" * 60_000)
    assert made.argv[-1] == f"Read your task from the file {RUN / 'prompt.md'} and do it."
    assert command("claude", "interactive", prompt="x" * 90_000).argv[-1] == "x" * 90_000
    assert max(len(item.encode()) for item in made.argv) < 131_072


def test_the_board_changes_one_key_and_keeps_the_rest() -> None:
    made = command("claude", board={"claude": {"options": ["--model", "opus"], "program": "/opt/claude"}})
    assert made.argv[0] == "/opt/claude"
    assert made.argv[-2:] == ("--model", "opus")
    assert made.argv[1:-2] == command("claude").argv[1:]
    kept = agents.load({"claude": {"headless": {"start": ["{program}", "-p"]}}})["claude"]
    before = agents.load({})["claude"]
    assert kept.headless and before.headless
    assert (kept.headless.stdin, kept.headless.resume) == (True, before.headless.resume)
    assert kept.interactive == before.interactive


def test_the_board_adds_an_agent() -> None:
    board = {"mine": {"headless": {"start": ["{program}", "--n", 3, "{options}", "{prompt}"]}, "options": ["-v"]}}
    assert command("mine", board=board) == Command(("mine", "--n", "3", "-v", "do it"))
    assert command("mine", resume=True, board=board) == command("mine", board=board)
    assert agents.load(board)["mine"].done_when == ("committed", "clean")
    assert agents.load({})["shell"].done_when == ("clean",)
    with pytest.raises(MuxError, match="agent 'mine' has no interactive commands: set mode: headless"):
        command("mine", "interactive", board=board)


@pytest.mark.parametrize(
    ("name", "written", "says"),
    [
        ("claude", {"progam": "x"}, "agents.claude: unknown key 'progam': did you mean 'program'?"),
        ("claude", {"headless": {"strat": []}}, "agents.claude.headless: unknown key 'strat': did you mean 'start'?"),
        ("claude", {"headless": "claude -p"}, "agents.claude.headless: must be a mapping"),
        ("claude", {"headless": {"start": "claude -p"}}, "agents.claude.headless.start: must be a list of texts"),
        ("claude", {"options": [True]}, "agents.claude.options: must be a list of texts"),
        ("claude", {"options": [None]}, "agents.claude.options: must be a list of texts"),
        ("claude", {"options": ["a\0b"]}, "agents.claude.options: an argument cannot hold a NUL"),
        ("claude", {"headless": {"stdin": "file"}}, "agents.claude.headless.stdin: must be 'prompt'"),
        ("claude", {"done_when": ["tests"]}, "agents.claude.done_when: unknown rule 'tests': there are committed, "),
        ("claude", {"done_when": ["chek"]}, "agents.claude.done_when: unknown rule 'chek': did you mean 'check'?"),
        ("claude", {"program": 3}, "agents.claude.program: must be a text"),
        ("claude", None, "agents.claude: must be a mapping"),
        ("mine", {"program": "mine"}, "agents.mine: needs a start command"),
        ("mine", {"headless": {"resume": ["m", "{prompt}"]}}, "agents.mine.headless: has no start"),
        ("mine", {"headless": {"start": ["m"]}}, "agents.mine.headless.start: the agent never gets its prompt"),
        ("mine", {"headless": {"start": ["{promt}"]}}, "unknown placeholder '{promt}': did you mean 'prompt'?"),
        ("mine", {"headless": {"start": ["-o{options}", "{prompt}"]}}, "{options} must be an item of its own"),
        ("mine", {"headless": {"start": ["m", "{prompt}"]}, "options": ["-v"]}, "agents.mine.options: no command"),
        ("../x", {}, "agents: '../x' is no agent name"),
        ("claude", {"headless": {"environment": ["A=1"]}}, "headless.environment: must be a mapping"),
        (
            "claude",
            {"headless": {"environment": {"A": 1}}},
            "headless.environment: 'A': must be a plain name with a text",
        ),
        ("claude", {"headless": {"environment": {"A=B": "1"}}}, "headless.environment: 'A=B': must be a plain name"),
        ("claude", {"headless": {"environment": {"A": "{promt}"}}}, "environment.A: no '{promt}' can stand there"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(name: str, written: Any, says: str) -> None:
    found = agents.problems({name: written, "codex": {"options": ["-m", "o"]}}, 7)
    assert [(problem.line, problem.task, problem.severity) for problem in found] == [(7, None, "error")]
    assert says in found[0].text and "\n" not in found[0].text
    with pytest.raises(MuxError):
        agents.load({name: written})


def test_variables_of_a_mode_stand_beside_those_that_are_there() -> None:
    board = {
        "mine": {"headless": {"start": ["m", "{prompt}"], "environment": {"A": "{files}/a {x-y}", "B": "{run_dir}"}}}
    }
    mine = agents.load(board)["mine"]
    assert agents.environment(mine, "headless", RUN, {"PATH": "/bin"}) == {"A": f"{RUN}/agent/a {{x-y}}", "B": str(RUN)}
    assert agents.environment(mine, "headless", RUN, {"A": "the person's"}) == {"B": str(RUN)}


def test_opencode_gets_its_plugin_beside_the_person_s_configuration() -> None:
    opencode = agents.load({})["opencode"]
    added = agents.environment(opencode, "interactive", RUN, ())
    assert added == {"OPENCODE_CONFIG": f"{RUN}/agent/opencode.json"}
    files = dict(opencode.files)
    assert json.loads(files["opencode.json"]) == {"plugin": ["./mux.js"]} and "mux report" in files["mux.js"]
    assert agents.environment(opencode, "headless", RUN, ()) == {}


def test_braces_that_are_no_placeholder_stay() -> None:
    board = {"mine": {"headless": {"start": ["m", '--settings={"a": {"b": 1}}', "{prompt}"]}}}
    assert command("mine", board=board).argv[1] == '--settings={"a": {"b": 1}}'


def test_a_session_is_the_same_for_the_same_start_and_no_other() -> None:
    one = agents.session_id(Path("/b/board.md"), "fix", 1)
    assert one == agents.session_id(Path("/b/board.md"), "fix", 1)
    assert uuid.UUID(one).version == 5
    others = [("/b/board.md", "fix", 2), ("/b/board.md", "fiy", 1), ("/c/board.md", "fix", 1)]
    assert len({one, *(agents.session_id(Path(path), task, number) for path, task, number in others)}) == 4


@pytest.mark.parametrize(
    ("prompt", "run", "expected"),
    [
        ("```sh\na\n```\ntext\n```sh\nb\n```", None, Script("a\nb\n", "sh")),
        ("```sh\na\n```\n```bash\nb\n```", None, Script("a\nb\n", "bash")),
        ("```sh\na\n```", "make\n", Script("make\n", "sh")),
        ("```sh\na\n```", ("make", "all"), None),
        ("no block", None, None),
    ],
)
def test_the_script_of_a_shell_task(prompt: str, run: str | tuple[str, ...] | None, expected: Script | None) -> None:
    assert agents.script(prompt, run) == expected


def test_a_shell_task_runs_its_script_or_its_list() -> None:
    shell = agents.load({})["shell"]
    file = RUN / "script"
    assert agents.shell_command(shell, "headless", Script("x\n", "bash"), file).argv == ("bash", "-e", str(file))
    assert agents.shell_command(shell, "interactive", Script("x\n", "sh"), file).argv == ("sh", "-e", str(file))
    assert agents.shell_command(shell, "headless", ["echo", "$(x) {script}"], file).argv == ("echo", "$(x) {script}")
    traced = agents.load({"shell": {"options": ["-x"]}})["shell"]
    assert agents.shell_command(traced, "headless", Script("x\n", "sh"), file).argv == ("sh", "-e", "-x", str(file))


def test_a_script_stops_at_its_first_failure(tmp_path: Path) -> None:
    found = agents.script("```sh\necho one\nfalse\n```\n```sh\necho two\n```", None)
    assert found
    file = tmp_path / "a script"
    file.write_text(found.text)
    made = agents.shell_command(agents.load({})["shell"], "headless", found, file)
    done = subprocess.run(made.argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (1, "one\n")
