"""What an order to start comes to: the commit that its branch starts from, and the command that its wrapper runs."""

from __future__ import annotations

from pathlib import Path

from board.model import Status
from board.storage import write_atomic
from runners import agents, git, homes, signals
from runners.host import StartOrder
from runners.model import How
from runners.preamble import preamble, resume_prompt


class CannotStart(Exception):
    """Carries the outcome of an attempt that cannot start."""

    def __init__(self, status: Status, reason: str, why: str) -> None:
        super().__init__(why)
        self.status, self.reason = status, reason


def start_commit(repository: git.Repository, order: StartOrder) -> str:
    """Where a new branch starts: `base`, or the one predecessor that is not in base yet."""
    base = order.settings.base or git.current_branch(repository.root) or "HEAD"
    commit = git.resolve(repository.root, base)
    if commit is None:
        where = f"does not exist in {repository.root}: set `base:` to one that is there"
        raise CannotStart(Status.FAILED, "base", f"the base branch {base} {where}")
    unmerged = {
        branch: head
        for branch in order.predecessors
        if (head := git.resolve(repository.root, f"refs/heads/{branch}")) is not None
        and not git.is_merged(repository.root, head, commit)
    }
    if len(unmerged) > 1 and not (order.home / ".git").exists():
        names = " and ".join(sorted(unmerged))
        raise CannotStart(Status.BLOCKED, "after", f"starts from several unmerged branches: merge {names} first")
    return next(iter(unmerged.values()), commit)


def command_of(board: Path, order: StartOrder, repository: git.Repository, run: Path, number: int) -> agents.Command:
    """What the wrapper runs. Prompt and script are files of the run folder, never part of a command line's text."""
    prompt = run / "prompt.md"
    text = order.prompt if order.profile.name == "shell" else _agents_prompt(order, number)
    write_atomic(prompt, text.encode(errors="surrogateescape"), durable=False)
    settings = order.settings
    if order.profile.name != "shell":
        signals.write_files(run / agents.FILES, dict(order.profile.files))
        return agents.command(
            order.profile,
            settings.mode,
            order.how is How.RESUME,
            text,
            prompt,
            agents.session_id(board, order.task, order.conversation or number),
            git_dir=homes.private_folder_of(order.home),
            common_dir=repository.common_dir,
            run_dir=run,
            home=order.home,
        )
    script = agents.script(order.prompt, settings.run)
    if script is not None:
        write_atomic(run / "script", script.text.encode(), durable=False)
        return agents.shell_command(order.profile, settings.mode, script, run / "script")
    if not isinstance(settings.run, tuple):
        raise CannotStart(Status.FAILED, "start", "does not start: it has no script to run")
    return agents.shell_command(order.profile, settings.mode, settings.run, run / "script")


def _agents_prompt(order: StartOrder, number: int) -> str:
    """The contract, what there is to say of an attempt before it, and the task."""
    board = order.branch.split("/")[1]
    contract = "" if order.how is How.RESUME else preamble(order.task, board, number, order.done_when)
    if order.interruption is None:
        return contract + order.prompt
    return resume_prompt(contract, order.interruption, order.prompt)
