"""What a person can get wrong on a board: said in one line, nothing lost, nothing run, and the rest goes on."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners import processes
from tests.e2e.conftest import FRONT, Desk, section
from tests.support import PATIENCE, wait_for


@pytest.fixture(autouse=True)
def no_traceback(desk: Desk) -> Iterator[None]:
    yield
    log = desk.folder / "mux.log"
    assert not log.exists() or "Traceback" not in log.read_text(), log.read_text()


def ended(plane: subprocess.Popen[str]) -> str:
    """All that a foreground `mux up` printed."""
    plane.send_signal(signal.SIGTERM)
    said = plane.communicate(timeout=PATIENCE)[0]
    assert plane.returncode == 0
    assert "Traceback" not in said
    return said


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The error of a command that said no."""
    assert done.stderr.startswith("mux: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("mux: ").rstrip("\n")


def without_status(text: str) -> str:
    """A status in a block that cannot be read is no order, and is not kept as one."""
    return re.sub(r"^status: \w+$", "status:", text, flags=re.MULTILINE)


class Waits:
    """A worker that runs until it is told to end: whatever happens to the board, it must not notice."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.go = desk.repository.parent / "go"
        script = f"until test -e '{self.go}'; do sleep 0.05; done"
        self.section = section("waits", desk.counted("waits", script))

    def untouched(self) -> None:
        record = self.desk.start_record("waits")
        assert processes.alive(record["pid"], record["pid_start"])
        wait_for(lambda: self.desk.runs("waits"), "it got to its first line")
        assert self.desk.runs("waits") == 1

    def goes_on(self) -> None:
        self.untouched()
        self.go.touch()
        self.desk.until_on_board("waits", "done")
        assert self.desk.runs("waits") == 1


RUN = "\n```sh\necho bad >> ../../../bad.starts\n```\n"

#: What is wrong, the text on the line that is to be named, and what is to be said.
IN_A_TASK = {
    "unreadable YAML": (
        f"\n## bad: B\n\n```yaml\nstatus: ready\nenv: {{A: 1\n```\n{RUN}",
        "env: {A: 1",
        "a `{` is opened here and not closed, or a comma is missing",
    ),
    "a tab in YAML": (
        f"\n## bad: B\n\n```yaml\nstatus: ready\nenv:\n\tA: b\n```\n{RUN}",
        "\tA: b",
        "a tab indents this line: YAML allows only spaces there",
    ),
    "an unknown key": (
        f"\n## bad: B\n\n```yaml\nstatus: ready\nprioritty: 3\n```\n{RUN}",
        "prioritty: 3",
        "unknown key 'prioritty': did you mean 'priority'?",
    ),
    "an unknown agent": (
        f"\n## bad: B\n\n```yaml\nstatus: ready\nagent: cluade\n```\n{RUN}",
        "agent: cluade",
        "unknown agent 'cluade': did you mean 'claude'?",
    ),
    "one id twice": (
        f"\n## bad: B\n\n```yaml\nstatus: ready\n```\n{RUN}\n## bad: again\n\n```yaml\nstatus: ready\n```\n{RUN}",
        "## bad: again",
        "the id 'bad' is given twice, also on line ",
    ),
    "an id that leads out": (
        f"\n## ../bad: B\n\n```yaml\nstatus: ready\n```\n{RUN}",
        "## ../bad: B",
        "'../bad' is no task id (small letters, digits and -, at most 48, not - first): write `## bad: B`",
    ),
    "an id with a space": (
        f"\n## my bad: B\n\n```yaml\nstatus: ready\n```\n{RUN}",
        "## my bad: B",
        "'my bad' is no task id (small letters, digits and -, at most 48, not - first): write `## my-bad: B`",
    ),
    "a circle": (
        f"\n## bad: B\n\n```yaml\nstatus: ready\nafter: [worse]\n```\n{RUN}"
        f"\n## worse: W\n\n```yaml\nstatus: ready\nafter: [bad]\n```\n{RUN}",
        "after: [worse]",
        "`after` goes in a circle, each waiting for the next: worse -> bad -> worse: remove one of them",
    ),
    "after a task that is not there": (
        f"\n## bad: B\n\n```yaml\nstatus: ready\nafter: [wait]\n```\n{RUN}",
        "after: [wait]",
        "`after` names 'wait', which is no task on the board: did you mean 'waits'?",
    ),
    "nothing to run": (
        "\n## bad: B\n\n```yaml\nstatus: ready\n```\n\nPlease do it.\n",
        "status: ready\n```\n\nPlease do it.",
        "nothing to run: add `run: command`, or a fenced `sh` block below the yaml block",
    ),
    "a value of another kind": (
        f"\n## bad: B\n\n```yaml\nstatus: ready\ntimeout: soon\n```\n{RUN}",
        "timeout: soon",
        "`timeout` must be ",
    ),
}


@pytest.mark.parametrize("wrong", IN_A_TASK)
def test_a_problem_in_a_task_stops_that_task_only(desk: Desk, wrong: str) -> None:
    text, where, said = IN_A_TASK[wrong]
    waits = Waits(desk)
    desk.write(waits.section)
    plane = desk.up()
    desk.until_on_board("waits", "running")
    desk.append(text + section("sound"))
    desk.until_on_board("sound", "done")
    waits.goes_on()

    def line() -> str:
        now = desk.board.read_text()
        return f"board.md:{now[: now.index(where)].count(chr(10)) + 1}: {said}"

    wait_for(lambda: line() in desk.mux("status").stdout, lambda: f"{line()} in\n{desk.mux('status').stdout}")
    assert line() in desk.mux("check", code=1).stdout
    assert without_status(text) in without_status(desk.board.read_text()), "not a byte of it was lost"
    assert not (desk.repository.parent / "bad.starts").exists(), "nothing ran"
    desk.mux("start", "bad" if "## bad" in text else "my-bad", code=1)
    assert said in ended(plane)
    assert line() in desk.mux("status").stdout, "and also with the control plane down"


def test_an_unknown_status_is_put_back_and_said(desk: Desk) -> None:
    desk.write(section("a", desk.counted("a"), status="redy"))
    plane = desk.up()
    desk.until_on_board("a", "draft")
    said = "unknown status 'redy': did you mean 'ready'?"
    assert said in desk.mux("status", "a").stdout
    assert said in desk.mux("journal", "a").stdout
    assert desk.runs("a") == 0
    assert said in ended(plane)


def test_an_unknown_status_of_a_task_that_ran_gives_way_to_what_it_came_to(desk: Desk) -> None:
    desk.write(section("a", "exit 3"))
    desk.up()
    desk.until_on_board("a", "failed")
    desk.order("a", "redy")
    desk.until_on_board("a", "failed")
    assert desk.task("a")["why"] == "exit 3"
    assert "mux put 'failed' back: unknown status 'redy'" in desk.mux("journal", "a").stdout


def test_a_problem_in_the_front_matter_starts_nothing_and_leaves_workers_alone(desk: Desk) -> None:
    waits = Waits(desk)
    desk.write(waits.section)
    plane = desk.up()
    desk.until_on_board("waits", "running")
    desk.edit(lambda text: text.replace("board: shop\n", "board: shop\nmax_wrkers: 2\n") + section("later"))
    said = "board.md:3: unknown key 'max_wrkers': did you mean 'max_workers'?"
    wait_for(lambda: said in desk.mux("status").stdout)
    assert said in desk.mux("check", code=1).stdout
    assert desk.task("later")["why"] == "the board's front matter has a problem"
    waits.goes_on()
    assert desk.on_board("later") == "ready"
    desk.edit(lambda text: text.replace("max_wrkers: 2\n", ""))
    desk.until_on_board("later", "done")
    assert said in ended(plane)


#: What a save turns the board into, the line to be named, and what is to be said.
NO_BOARD = {
    "front matter unreadable": (
        lambda data: data.replace(b"board: shop\n", b"board: [shop\n"),
        "board.md:2: a `[` is opened here and not closed, or a comma is missing",
    ),
    "a tab in the front matter": (
        lambda data: data.replace(b"board: shop\n", b"board: shop\nenv:\n\tA: b\n"),
        "board.md:4: a tab indents this line: YAML allows only spaces there",
    ),
    "front matter never closed": (
        lambda data: b"---\nboard: shop\n\n# Shop\n",
        "board.md:1: the front matter that begins here is never closed: end it with a line `---`",
    ),
    "front matter never opened": (
        lambda data: data.replace(b"---\n", b"--\n", 1),
        "board.md:1: keys without front matter around them: make the first line `---`",
    ),
    "binary": (
        lambda data: data.replace(b"Prose of mine", b"Prose\0of\x01mine"),
        "the file holds binary data: a board is plain text in UTF-8",
    ),
    "another encoding": (
        lambda data: data.replace(b"Prose of mine", "Prösa von mir".encode("latin-1")),
        "the text is not UTF-8: save the file as UTF-8",
    ),
    "50 MB": (lambda data: data + b"x" * 50_000_000, "too large for a board (at most 20 MB)"),
}


@pytest.mark.parametrize("wrong", NO_BOARD)
def test_what_is_no_board_leaves_the_last_good_one_in_force(desk: Desk, wrong: str) -> None:
    change, said = NO_BOARD[wrong]
    waits = Waits(desk)
    desk.write(waits.section)
    plane = desk.up()
    desk.until_on_board("waits", "running")
    good = desk.board.read_bytes()
    bad = change(good + section("later", desk.counted("later")).encode())
    desk.board.write_bytes(bad)
    wait_for(lambda: said in (desk.state()["trouble"] or ""))
    assert "the board in force stays" in desk.state()["trouble"]
    assert said in desk.mux("status").stdout
    assert said in desk.mux("check", code=1).stdout
    assert said in one_line(desk.mux("start", "later", code=1))
    waits.untouched()
    waits.go.touch()
    desk.until("waits", "done")
    assert desk.board.read_bytes() == bad, "mux does not write over what it cannot read"
    assert desk.runs("later") == 0
    desk.board.write_bytes(good + section("later", desk.counted("later")).encode())
    desk.until_on_board("later", "done")
    desk.until_on_board("waits", "done")
    assert (desk.runs("waits"), desk.runs("later")) == (1, 1)
    assert said in ended(plane)


@pytest.mark.parametrize("wrong", NO_BOARD)
def test_what_is_no_board_does_not_come_up(desk: Desk, wrong: str) -> None:
    change, said = NO_BOARD[wrong]
    bad = change(FRONT.format(keys="").encode() + section("a", desk.counted("a")).encode())
    desk.board.write_bytes(bad)
    for words in (("up", "--trust"), ("up", "--trust", "--detach"), ("status",), ("start", "a"), ("add", "More")):
        assert said in one_line(desk.mux(*words, code=1)), words
    assert said in desk.mux("check", code=1).stdout
    assert desk.board.read_bytes() == bad
    assert desk.runs("a") == 0


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf", b"# Only prose\n"])
def test_an_empty_board_is_a_board_without_tasks(desk: Desk, data: bytes) -> None:
    desk.board.write_bytes(data)
    plane = desk.up()
    for word in ("status", "check"):
        assert 'no task yet: write one in the file, or: mux add "What is to be done"' in desk.mux(word).stdout
    assert desk.board.read_bytes() == data
    desk.mux("add", "First", "--run", "true", "--ready")
    desk.until_on_board("first", "done")
    assert desk.board.read_bytes().startswith(data.rstrip()) or b"mux:" in desk.board.read_bytes()
    assert "no task yet" in ended(plane)


def test_a_board_that_is_emptied_while_it_runs_is_held(desk: Desk) -> None:
    waits = Waits(desk)
    desk.write(waits.section)
    desk.up()
    desk.until_on_board("waits", "running")
    good = desk.board.read_bytes()
    desk.board.write_bytes(b"")
    wait_for(lambda: "held" in (desk.state()["trouble"] or ""))
    waits.untouched()
    assert "--choice keep" in desk.mux("requests").stdout
    assert desk.board.read_bytes() == b""
    desk.board.write_bytes(good)
    wait_for(lambda: desk.state()["trouble"] is None)
    waits.goes_on()


IN_THE_REPOSITORY = {
    "no folder": ("repo: ../none\n", "none: there is no such folder; set `repo:` on the board to a git repository"),
    "no repository": ("repo: ../plain\n", "plain: not a git repository; run `git init` there, or set `repo:`"),
    "no commit": ("repo: ../young\n", "young: the repository has no commit yet; make the first one with `git commit`"),
    "no base": ("base: mian\n", ": set `base:` to one that is there"),
}


@pytest.mark.parametrize("wrong", IN_THE_REPOSITORY)
def test_a_repository_that_cannot_be_worked_in(desk: Desk, wrong: str) -> None:
    key, said = IN_THE_REPOSITORY[wrong]
    for name in ("plain", "young"):
        (desk.repository.parent / name).mkdir()
    desk.git("init", "--quiet", cwd=desk.repository.parent / "young")
    desk.write(section("a", desk.counted("a")), keys=key)
    assert re.search(rf"^board\.md:3: .*{re.escape(said)}", desk.mux("check", code=1).stdout, re.MULTILINE)
    plane = desk.up()
    assert said in desk.until("a", "failed")["why"]
    desk.until_on_board("a", "failed")
    assert said in desk.mux("status").stdout
    assert said in desk.board.read_text()
    desk.edit(lambda text: text.replace(key, ""))
    desk.order("a")
    desk.until_on_board("a", "done")
    assert desk.runs("a") == 1
    assert said in ended(plane)


def test_a_worktree_path_that_exists_is_left_alone(desk: Desk) -> None:
    desk.home("a").mkdir(parents=True)
    (desk.home("a") / "mine").write_text("mine\n")
    desk.write(section("a", desk.counted("a")), section("b"))
    desk.up()
    said = "a: exists and is not a home that mux made; move it away, or remove it"
    assert said in desk.until("a", "failed")["why"]
    desk.until("b", "done")
    assert said in desk.mux("status", "a").stdout.replace("\n", "")
    assert [path.name for path in desk.home("a").iterdir()] == ["mine"]
    desk.home("a").rename(desk.home("a").with_name("moved"))
    desk.until_on_board("a", "failed")
    desk.order("a")
    desk.until("a", "done")
    assert desk.runs("a") == 1


def test_a_branch_with_other_work_is_left_alone(desk: Desk) -> None:
    desk.git("checkout", "--quiet", "-b", "mux/shop/a")
    desk.git("commit", "--quiet", "--allow-empty", "-m", "mine")
    mine = desk.git("rev-parse", "HEAD")
    desk.git("checkout", "--quiet", "main")
    desk.write(section("a", desk.counted("a")), section("b"))
    desk.up()
    why = desk.until("a", "failed")["why"]
    assert "branch mux/shop/a already exists with other work (1 commit" in why
    assert "`git branch -m mux/shop/a NEW-NAME`" in why
    desk.until("b", "done")
    assert desk.git("rev-parse", "mux/shop/a") == mine
    desk.git("branch", "-m", "mux/shop/a", "mine")
    desk.until_on_board("a", "failed")
    desk.order("a")
    desk.until("a", "done")
    assert desk.git("rev-parse", "mine") == mine


def test_a_prompt_of_200_kb_runs_nothing_and_arrives_whole(desk: Desk) -> None:
    """Linux takes at most 128 KB in one argument: an agent that gets its prompt there is sent to its file."""
    nasty = "\"quotes\" 'and' $(touch pwned) `touch pwned` \\ \n" * 5_000
    keys = (
        "agents:\n  by-arg: {program: echo, headless: {start: ['{program}', '{prompt}']}, done_when: [clean]}\n"
        "  no-such: {program: no-such-agent, headless: {start: ['{program}', '{prompt}']}, done_when: [clean]}\n"
    )
    assert len(nasty) > 200_000
    desk.write(
        section("script", f"cat > ../../../got <<'E'\n{nasty}E"),
        f"\n## long: L\n\n```yaml\nstatus: ready\nagent: by-arg\n```\n\n{nasty}",
        "\n## gone: G\n\n```yaml\nstatus: ready\nagent: no-such\n```\n\nDo it.\n",
        keys=keys,
    )
    desk.up()
    desk.until("script", "done")
    assert (desk.repository.parent / "got").read_text() == nasty
    desk.until("long", "done")
    told = re.search(r"from the file (\S+) and do it", desk.mux("logs", "long").stdout)
    assert told and Path(told[1]).read_text().endswith(f"\n\n{nasty.strip()}")
    assert "no-such-agent" in desk.until("gone", "failed")["why"] + desk.mux("logs", "gone").stdout
    assert not list(desk.repository.parent.rglob("pwned"))


def test_a_task_deleted_while_it_runs_is_not_lost(desk: Desk) -> None:
    waits = Waits(desk)
    desk.write(waits.section, section("stays", status="draft"))
    desk.up()
    desk.until_on_board("waits", "running")
    desk.edit(lambda text: text[: text.index("## waits")] + text[text.index("## stays") :])
    wait_for(lambda: [orphan["id"] for orphan in desk.state()["orphans"]] == ["waits"])
    waits.untouched()
    assert "its section is gone from the board, its worker goes on" in desk.mux("status").stdout
    assert "its section is gone" in one_line(desk.mux("stop", "waits", code=1))
    waits.go.touch()
    wait_for(lambda: not desk.state()["orphans"])
    # An end is written down first, then said.
    wait_for(lambda: any(event["event"] == "done" and event["task"] == "waits" for event in desk.journal()))


def test_json_says_the_same(desk: Desk) -> None:
    desk.write(IN_A_TASK["an unknown key"][0])
    reply = json.loads(desk.mux("check", "--json", code=1).stdout)
    assert [problem["line"] for problem in reply["problems"]] == [14]
    assert desk.status()["problems"][0]["text"] == "unknown key 'prioritty': did you mean 'priority'?"
