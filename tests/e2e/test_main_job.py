"""A person edits the board, saves, and workers start in windows and worktrees; the board says how they ended."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.e2e.conftest import Desk, section
from tests.support import PATIENCE, wait_for


def test_from_ready_to_done(desk: Desk) -> None:
    desk.write(section("add-file", 'echo hello > new.txt\ngit add new.txt\ngit commit --quiet -m "add new.txt"'))
    desk.up()
    task = desk.until("add-file", "done")
    desk.until_on_board("add-file", "done")
    assert task["why"] == "exit 0; 1 commit, tree clean"
    assert desk.git("show", "mux/shop/add-file:new.txt") == "hello"
    assert (desk.home("add-file") / "new.txt").read_text() == "hello\n"
    assert not (desk.repository / "new.txt").exists()


def test_every_other_byte_of_the_file_stays(desk: Desk) -> None:
    body = (
        "\ufeff---\r\nboard: shop   # ours\r\nmax_workers: 1\r\n---\r\n\r\n# Shop\r\n\r\nProse\twith tabs  \r\n"
        "\r\n## one: First\r\n\r\n```yaml\r\n# why: comments stay\r\nstatus: 'ready'  # now\r\nagent:   shell\r\n"
        "```\r\n"
        "\r\n```sh\r\ntrue\r\n```\r\n\r\n## Notes\r\n\r\nno final newline: ünï"
    )
    desk.save(body)
    desk.up()
    desk.until_on_board("one", "done")
    after = desk.board.read_bytes().decode().splitlines(keepends=True)
    before = body.splitlines(keepends=True)
    mine = [line for line in after if line not in before]
    kept = [line for line in after if line in before]
    assert kept == [line for line in before if "status:" not in line]
    assert [line.split(":")[0].strip() for line in mine] == [
        *("mux", "rev", "status"),
        *("mux", "attempt", "worker", "since", "checkpoint", "why"),
    ]
    assert all(line.endswith("\r\n") for line in mine)
    assert "status: done  # now\r\n" in mine or "status: 'done'  # now\r\n" in mine


def test_failed_blocked_and_the_way_on(desk: Desk) -> None:
    desk.write(section("fails", desk.counted("fails", "exit 3")), section("dirty", "echo x > left.txt"))
    desk.up()
    assert desk.until("fails", "failed")["why"] == "exit 3"
    assert desk.until("dirty", "blocked")["why"] == "claimed done, but 1 file untracked"
    assert desk.runs("fails") == 1
    desk.until_on_board("fails", "failed")
    desk.order("fails")
    wait_for(lambda: desk.runs("fails") == 2, "ready runs it again")
    wait_for(lambda: desk.task("fails")["attempt"] == 2, "the second attempt")
    desk.until("fails", "failed")


def test_order_slots_priority_and_predecessors(desk: Desk) -> None:
    order = desk.repository.parent / "order"
    say = f'echo "$MUX_TASK" >> "{order}"'
    desk.write(
        section("low", say),
        section("high", say, priority=5),
        section("second", f"test -f from-first && {say}", after=["first"]),
        section("first", f"{say}; touch from-first; git add .; git commit --quiet -m first", priority=1),
        keys="max_workers: 1\n",
    )
    desk.up()
    desk.until("second", "done")
    desk.until("low", "done")
    ran = order.read_text().split()
    assert ran[:2] == ["high", "first"]
    assert sorted(ran) == ["first", "high", "low", "second"]
    assert ran.index("second") > ran.index("first")


def test_several_unmerged_predecessors_name_what_to_merge(desk: Desk) -> None:
    commit = "touch $MUX_TASK; git add .; git commit --quiet -m $MUX_TASK"
    desk.write(section("a", commit), section("b", commit), section("c", "true", after=["a", "b"]))
    desk.up()
    assert "merge mux/shop/a and mux/shop/b first" in desk.until("c", "blocked")["why"]
    desk.mux("finish", "a")
    desk.until_on_board("c", "blocked")
    desk.order("c")
    desk.until("c", "done")
    assert desk.git("rev-parse", "mux/shop/c") == desk.git("rev-parse", "mux/shop/b")


def test_tasks_on_the_same_files_do_not_run_together(desk: Desk) -> None:
    marker = desk.repository.parent / "busy"
    script = f'test ! -e "{marker}" || exit 9\ntouch "{marker}"\nsleep 0.3\nrm "{marker}"'
    desk.write(section("a", script, touches=["src/*.py"]), section("b", script, touches=["src/"]))
    desk.up()
    desk.until("a", "done", "failed")
    desk.until("b", "done", "failed")
    assert (desk.task("a")["status"], desk.task("b")["status"]) == ("done", "done")


def test_a_home_gets_setup_copies_ports_and_a_clean_environment(desk: Desk) -> None:
    desk.environment |= {"SLACK_BOT_TOKEN": "xoxb-secret", "GIT_DIR": "/nowhere", "MY_KEY": "kept"}
    (desk.repository / ".env").write_text("A=1\n")
    out = desk.repository.parent / "seen"
    look = f'env > "{out}"; cat .env >> "{out}"; test -f .setup-ran && exit 1; exit 0'
    desk.write(section("a", look, env={"COLOUR": "blue it is"}), keys="setup: [touch ../setup-ran]\ncopy: [.env]\n")
    desk.up()
    desk.until("a", "done")
    seen = dict(line.split("=", 1) for line in out.read_text().splitlines() if "=" in line)
    assert seen["A"] == "1"
    assert seen["COLOUR"] == "blue it is"
    assert seen["MY_KEY"] == "kept"
    assert (seen["MUX_TASK"], seen["MUX_ATTEMPT"], seen["MUX_PORTS"]) == ("a", "1", "10")
    assert 20000 <= int(seen["MUX_PORT"]) < 32000
    assert not [name for name in seen if name.startswith(("SLACK_", "GIT_DIR"))]
    assert (desk.home("a").parent / "setup-ran").exists()
    first = int(seen["MUX_PORT"])
    assert desk.task("a")["ports"] == [first, first + 9]


def test_failed_setup_says_so_and_setup_runs_once_a_home(desk: Desk) -> None:
    count = desk.repository.parent / "setups"
    desk.write(section("bad", "true", setup=["exit 7"]), section("good", "false", setup=[f"echo x >> {count}"]))
    desk.up()
    assert desk.until("bad", "failed")["why"].startswith("setup: exit 7")
    assert "setup failed: exit 7" in desk.mux("logs", "bad").stdout
    desk.until_on_board("good", "failed")
    desk.order("good")
    wait_for(lambda: desk.task("good")["attempt"] == 2, "the second attempt")
    desk.until("good", "failed")
    assert count.read_text() == "x\n"


def test_timeout_ends_the_worker_and_is_a_failure(desk: Desk) -> None:
    desk.write(section("slow", "sleep 1000", timeout="1s"))
    desk.up()
    assert desk.until("slow", "failed")["why"] == "timeout: ended after 1s"


@pytest.mark.parametrize("way", ["board", "command"])
def test_stop_keeps_the_home(desk: Desk, way: str) -> None:
    desk.write(section("slow", "echo half > work.txt; sleep 1000"))
    desk.up()
    desk.until_on_board("slow", "running")
    work = desk.home("slow") / "work.txt"
    wait_for(lambda: work.exists() and work.read_text() == "half\n", "it got to its work")
    if way == "board":
        desk.order("slow", "stopped")
    else:
        desk.mux("stop", "slow")
    wait_for(lambda: "stopped by a person" in desk.task("slow")["why"], "it is stopped")
    assert desk.task("slow")["status"] == "stopped"
    assert work.read_text() == "half\n"


def test_restart_by_command_keeps_the_home_and_what_is_in_it(desk: Desk) -> None:
    desk.write(section("dirty", desk.counted("dirty", "echo x >> work; sleep 1000")))
    desk.up()
    desk.until_on_board("dirty", "running")
    work = desk.home("dirty") / "work"
    wait_for(lambda: work.exists() and work.read_text() == "x\n", "it got to its work")
    desk.mux("restart", "dirty")
    wait_for(lambda: desk.runs("dirty") == 2, "the restart")
    wait_for(lambda: work.read_text() == "x\nx\n", "in its home as it was")
    wait_for(lambda: desk.task("dirty")["attempt"] == 2, "the second attempt")
    assert "in-place, by terminal:" in desk.until("dirty", "running")["why"]
    assert "when it ended" in desk.mux("snapshots", "dirty").stdout


def test_a_deleted_section_leaves_its_worker_alone(desk: Desk) -> None:
    desk.write(
        section("gone", "while ! test -e ../go; do sleep 0.05; done; echo late > late.txt"),
        section("stays", "sleep 1000"),
    )
    desk.up()
    desk.until_on_board("gone", "running")
    desk.until_on_board("stays", "running")
    desk.edit(lambda text: text[: text.index("## gone")] + text[text.index("## stays") :])
    wait_for(lambda: [orphan["id"] for orphan in desk.state()["orphans"]] == ["gone"], "it is shown as an orphan")
    assert "gone" in desk.mux("status").stdout
    (desk.home("gone").parent / "go").touch()
    wait_for(lambda: any(event["task"] == "gone" and event["event"] == "blocked" for event in _of_tasks(desk)))
    assert (desk.home("gone") / "late.txt").exists()


def _of_tasks(desk: Desk) -> list[dict[str, str]]:
    return [event for event in desk.journal() if event.get("task")]


def test_agents_get_their_prompt_whole(desk: Desk) -> None:
    """Quotes, `$(…)`, newlines and 200 KB reach a stand-in agent by argument and by standard input, and run nothing."""
    tool = desk.repository.parent / "agent"
    tool.write_text('#!/bin/sh\nif [ $# -gt 0 ]; then printf %s "$1"; else cat; fi > "$OUT"\n')
    tool.chmod(0o755)
    nasty = "Say \"hi\" and 'ho' $(touch pwned) `touch pwned` \\ $HOME {prompt} ünï\n\nmore"
    long = "x" * 200_000
    keys = (
        f"agents:\n  by-arg: {{program: {json.dumps(str(tool))}, headless: {{start: ['{{program}}', '{{prompt}}']}}, "
        f"done_when: [clean]}}\n  by-stdin: {{program: {json.dumps(str(tool))}, "
        "headless: {start: ['{program}'], stdin: prompt}, done_when: [clean]}\n"
    )

    def agent_task(name: str, agent: str, prompt: str) -> str:
        out = json.dumps(str(desk.repository.parent / f"{name}.out"))
        return f"\n## {name}: T\n\n```yaml\nstatus: ready\nagent: {agent}\nenv: {{OUT: {out}}}\n```\n\n{prompt}\n"

    desk.write(
        agent_task("a", "by-arg", nasty),
        agent_task("b", "by-stdin", nasty),
        agent_task("c", "by-stdin", long),
        keys=keys,
    )
    desk.up()
    for name, expected in (("a", nasty), ("b", nasty), ("c", long)):
        assert desk.until(name, "done", "failed", "blocked")["status"] == "done"
        told = (desk.repository.parent / f"{name}.out").read_text().strip()
        assert told.startswith(f"You are the worker of the task `{name}` on the board `shop`, attempt 1")
        assert told.endswith(f"\n\n{expected}")
    assert not list(desk.repository.parent.rglob("pwned"))


def test_a_missing_agent_is_named_before_anything_is_made(desk: Desk) -> None:
    keys = "agents:\n  mine: {program: no-such-agent, headless: {start: ['{program}', '{prompt}']}, install: get it}\n"
    desk.write(section("a", agent="mine"), keys=keys)
    desk.up()
    assert "no program no-such-agent on PATH; get it" in desk.until("a", "failed")["why"]
    assert not desk.home("a").exists()


VIM = ["vim", "-u", "NONE", "-es", "-c", "set nobackup", "-c"]


@pytest.mark.parametrize("editor", ["vim", "vim-rename", "nano", "sed", "truncate", "git"])
def test_saves_of_real_editors_are_noticed(desk: Desk, editor: str) -> None:
    program = editor.partition("-")[0]
    if program in ("vim", "nano") and not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    desk.write(section("a", "true", status="draft"))
    if editor == "git":  # a version with `ready` in it, to check out later
        desk.order("a")
        desk.git("add", "-f", "board.md")
        desk.git("commit", "--quiet", "-m", "board")
        desk.order("a", "draft")
    desk.up()
    match editor:
        case "vim" | "vim-rename":
            how = "set backupskip= backupcopy=no writebackup" if editor == "vim-rename" else "set backupcopy=yes"
            command = [*VIM, how, "-c", "%s/draft/ready/", "-c", "wq", str(desk.board)]
            subprocess.run(command, check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
        case "nano":
            _type_into_nano(desk, [*("C-w", "draft", "Enter"), *["C-d"] * 5, "ready", *("C-o", "Enter", "C-x")])
        case "sed":
            subprocess.run(["sed", "-i", "s/draft/ready/", str(desk.board)], check=True)
        case "truncate":
            text = desk.board.read_text()
            with desk.board.open("w") as file:
                file.write(text.replace("status: draft", "status: ready"))
        case "git":
            desk.git("checkout", "board.md")
    desk.until("a", "done")


def _type_into_nano(desk: Desk, keys: list[str]) -> None:
    socket = ["tmux", "-S", str(desk.repository.parent / "editor"), "-f", "/dev/null"]

    def tmux(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*socket, *words], capture_output=True, text=True, timeout=PATIENCE, check=False)

    try:
        assert tmux("new-session", "-d", "nano", "-I", str(desk.board)).returncode == 0
        wait_for(lambda: "draft" in tmux("capture-pane", "-p").stdout, "nano shows the board")
        for key in keys:
            tmux("send-keys", key)
        wait_for(lambda: tmux("has-session").returncode != 0, lambda: tmux("capture-pane", "-p").stdout)
    finally:
        tmux("kill-server")
