"""The real agents from start to end, against a scripted model; `make test-agents` installs and runs them. Not in CI.

Each: started with its prompt, its permission prompt seen and told, answered by `mux send`, the end of its turn seen,
killed, resumed with the same conversation, judged done. What an agent cannot do is left out of its story.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from runners import agents
from runners.menus import find_menu
from runners.screens import classify
from runners.tmux import Tmux
from tests.agents import programs
from tests.agents.model import Model, texts
from tests.e2e.conftest import Desk, make_desk
from tests.support import wait_for

FOLDER = Path(os.environ["MUX_AGENTS"]).resolve()
TOLD_IN = 3.0  # seconds from the screen to the alert
SLOW = 120.0  # seconds: some need half a minute on a busy machine until they ask the model
ASK = 'python3 -c \'open("asked", "w")\''
FINISH = "git add asked && git commit --quiet --message made && mux done"
SCRIPT = (("were interrupted", FINISH), ("Finish it", FINISH), ("Ask for it", ASK))

pytestmark = pytest.mark.timeout(600)


@dataclass
class Play:
    agent: str
    desk: Desk
    model: Model
    own: Path  # its HOME

    def window(self, task: str) -> str:
        def found() -> str | None:
            return next((each.id for each in self.tmux.windows() or () if each.task == task), None)

        return str(wait_for(found, f"a window of {task}"))

    @property
    def tmux(self) -> Tmux:
        return Tmux(self.desk.board, self.desk.folder, self.desk.environment)

    def reason(self, task: str) -> str:
        return str((self.desk.task(task).get("health") or {}).get("reason"))

    def seen(self, reason: str, task: str = "talk") -> None:
        """That it waits, for this reason."""
        window = self.window(task)
        wait_for(
            lambda: self.desk.task(task).get("condition") == "waiting" and self.reason(task) == reason,
            lambda: f"waiting: {reason}, not {self.desk.task(task)}\n{self.tmux.capture(window)}",
            SLOW,
        )

    def told(self, reason: str, task: str = "talk") -> float:
        """Seconds from its screen to the alert."""
        rules = agents.load({})[self.agent].screens
        window = self.window(task)
        wait_for(
            lambda: classify(self.tmux.capture(window), rules).reason == reason,
            lambda: f"{reason} on its screen:\n{self.tmux.capture(window)}",
            SLOW,
        )
        shown = time.time()
        self.seen(reason, task)
        told = [each["at"] for each in self.desk.journal() if each.get("evidence", {}).get("reason") == reason]
        return float(max(told)) - shown

    def answer(self, choice: str, task: str = "talk") -> None:
        self.desk.mux("send", task, "--choice", choice)

    def said(self, kind: str) -> None:
        """What its own hooks told."""
        path = self.desk.folder / "runs" / "talk" / "1" / "signal.json"
        wait_for(lambda: path.exists() and json.loads(path.read_text())["kind"] == kind, f"its hooks say {kind}")

    def answer_until_done(self) -> None:
        """The last command may need a permission, too."""

        def is_over() -> bool:
            if self.desk.task("talk")["status"] == "done":
                return True
            if self.desk.task("talk").get("condition") == "waiting" and self.reason("talk") == "permission":
                self.desk.mux("send", "talk", "--choice", ANSWERS.get(self.agent, "1"), code=None)
            return False

        wait_for(is_over, lambda: f"done: {self.desk.task('talk')}", SLOW)


ANSWERS = {"aider": "y"}


@contextmanager
def play(agent: str) -> Iterator[Play]:
    if shutil.which(agent, path=programs.search_path(FOLDER)) is None:
        pytest.skip(f"{agent} is not in {FOLDER}")
    scratch = Path(tempfile.mkdtemp(prefix="mux-"))
    own = Path(tempfile.mkdtemp(prefix="home-", dir=FOLDER))  # Codex keeps no helpers in a temporary folder
    before = os.environ.get("TMUX_TMPDIR")
    os.environ["TMUX_TMPDIR"] = str(scratch)
    with Model(SCRIPT, fenced=agent == "aider") as model:
        desk = make_desk(scratch, scratch / "shop")
        desk.environment = programs.environment(agent, FOLDER, own, model.url, desk.environment)
        for key in ("name", "email"):  # Gemini CLI hides the global configuration
            desk.git("config", f"user.{key}", "tester@example.org")
        front = f"agent: {agent}\nmode: interactive\nrestart: safe\n"
        desk.write("\n## talk: Talk\n\n```yaml\nstatus: ready\ndone_grace: 1s\n```\n\nAsk for it.\n", keys=front)
        try:
            yield Play(agent, desk, model, own)
        finally:
            desk.close()
            for folder in (scratch, own):
                shutil.rmtree(folder, ignore_errors=True)
            if before is None:
                del os.environ["TMUX_TMPDIR"]
            else:
                os.environ["TMUX_TMPDIR"] = before


def show(agent: str, text: str) -> None:
    print(f"\n  {agent}: {text}", flush=True)


def permission(played: Play) -> None:
    took = played.told("permission")
    show(played.agent, f"permission prompt told {took:.1f} s after its screen")
    assert took <= TOLD_IN
    assert any("attempt 1, started by mux" in text for text in texts(played.model.requests[0])), "the prompt, whole"
    assert played.desk.task("talk")["status"] == "waiting"
    assert not (played.desk.home("talk") / "asked").exists()
    played.answer(ANSWERS.get(played.agent, "1"))
    wait_for((played.desk.home("talk") / "asked").exists, "the answer reached it", SLOW)


def kill_and_resume(played: Play) -> None:
    """The conversation: what the model is asked after the kill holds what was said before it."""
    record = played.desk.start_record("talk")
    asked = len(played.model.requests)
    os.kill(record["pid"], signal.SIGKILL)
    wait_for(lambda: played.desk.task("talk").get("attempt") == 2, "it is resumed", SLOW)
    played.answer_until_done()
    after = [list(texts(body)) for body in played.model.requests[asked:]]
    resumed = next(said for said in after if any("You were interrupted" in text for text in said))
    assert any("attempt 1, started by mux" in text for text in resumed)
    assert any(ASK in text or json.dumps(ASK) in text for text in resumed)


def nothing_left(played: Play) -> None:
    """Neither in the worktree, nor in what the person configured."""
    assert played.desk.git("status", "--porcelain", "--ignored", cwd=played.desk.home("talk")) == ""
    assert played.desk.git("log", "-1", "--format=%s", cwd=played.desk.home("talk")) == "made"
    for name, text in programs.configuration(played.own).items():
        assert "mux" not in text, f"{name}: {text}"


def started(played: Play) -> None:
    version = subprocess.run([played.agent, "--version"], env=played.desk.environment, capture_output=True, text=True)
    show(played.agent, version.stdout.strip() or version.stderr.strip())
    played.desk.up()


def test_claude() -> None:
    with play("claude") as played:
        started(played)
        played.told("trust")
        refused = played.desk.mux("send", "talk", "--choice", "3", code=1)
        assert "nothing was answered" in refused.stderr
        menu = find_menu(played.tmux.capture_styled(played.window("talk")))
        assert menu is not None
        played.answer(str(1 + next(number for number, text in enumerate(menu.options) if "Yes" in text)))
        permission(played)
        played.seen("idle")
        played.said("idle")
        kill_and_resume(played)
        nothing_left(played)
        played.desk.append("\n## second: Second\n\n```yaml\nstatus: ready\n```\n\nAsk for it.\n")
        played.seen("permission", "second")  # its worktree is of a repository that is trusted
        events = [each for each in played.desk.journal() if each.get("task") == "second"]
        assert [each["evidence"]["reason"] for each in events if each["event"] == "condition"] == ["permission"]


def test_codex() -> None:
    with play("codex") as played:
        started(played)
        permission(played)
        played.seen("idle")
        played.said("idle")
        kill_and_resume(played)
        nothing_left(played)


def test_gemini() -> None:
    with play("gemini") as played:
        started(played)
        permission(played)
        played.seen("idle")
        kill_and_resume(played)
        nothing_left(played)


def test_opencode() -> None:
    """Its screen starts afresh after an end, so it is not killed here."""
    with play("opencode") as played:
        beside = played.own / "beside"
        programs.add_opencode_plugin(played.own, beside)
        started(played)
        permission(played)
        played.said("idle")
        played.seen("idle")
        played.desk.mux("send", "talk", "Finish it")
        played.answer_until_done()
        nothing_left(played)
        assert "session.idle" in beside.read_text()  # the person's own plugin ran beside that of mux


def test_aider() -> None:
    """It takes no first prompt on its screen: a person tells it to begin."""
    with play("aider") as played:
        started(played)
        played.seen("idle")
        played.desk.mux("send", "talk", "Ask for it")
        permission(played)
        played.seen("idle")
        asked = len(played.model.requests)
        os.kill(played.desk.start_record("talk")["pid"], signal.SIGKILL)
        wait_for(lambda: played.desk.task("talk").get("attempt") == 2, "it is resumed", SLOW)
        played.seen("idle")
        played.desk.mux("send", "talk", "You were interrupted. Finish it")
        played.answer_until_done()
        assert any(ASK in text for body in played.model.requests[asked:] for text in texts(body))
        nothing_left(played)
