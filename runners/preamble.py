"""What mux tells an agent beside its task: the contract, and after an interruption what is known of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from runners.model import Interruption
from runners.words import quotable

_RULES = {
    "committed": "there is a commit of yours on the branch",
    "clean": "`git status` shows nothing: all is committed, ignored or gone",
    "pushed": "the branch is pushed",
    "merged": "the branch is in its base",
    "check": "the task's check command exits 0",
}


def preamble(task: str, board_name: str, attempt: int, done_when: Sequence[str]) -> str:
    """The contract, to be put before the prompt of a task; `done_when` are the rules of its done gate."""
    rules = [f"  - {_RULES.get(rule, rule)}" for rule in done_when]
    return "\n".join(
        [
            f"You are the worker of the task `{task}` on the board `{board_name}`, attempt {attempt}, started by mux.",
            "The current folder is your own git worktree, on a branch of your own: work in it, and stay on the branch.",
            "Your task follows after these rules. Nobody watches.",
            "Look before you act: an earlier attempt may have done part of the work.",
            "",
            "Tell mux by these commands, in your shell:",
            '- `mux checkpoint -m "what works"` after each commit that is good: you may be started again from it.',
            "- `mux done` when the task is done, then end. mux checks it, whatever you say; it is done when",
            *(rules or ["  - you end with exit 0"]),
            '- `mux blocked "on what, from whom"` when you cannot go on without something. Then end.',
            '- `mux ask "question" --choice A --choice B` when you are unsure what is wanted: it waits for a person',
            "  and prints the answer. Without --choice any text answers it. Do not guess where a guess could do harm.",
            '- `mux gate "what you are about to do"` before anything that cannot be undone or that others notice',
            "  (deploy, publish, send, delete, migrate, force-push): exit 0 is a yes; 1 (no) and 2 (nobody answered)",
            "  mean: do not do it.",
            "- `mux once KEY -- command …` for a command that must not run twice, such as a deploy: it runs once,",
            "  ever; called again it gives the same output and exit code back. Started again, use the same KEY.",
            "`ask`, `gate` and `once` may wait for hours, and give up when they are ended: where your shell has a time",
            "limit, run them in the background, their output in a file outside the worktree, and wait for their end.",
            "Never answer or approve for the person, and do not touch `.mux`, the board or other worktrees.",
            "",
            "",
        ]
    )


def nudge(task: str) -> str:
    """What an agent is told that ended its turn without a word on what became of its task. One line: one message."""
    return (
        f"mux does not know what became of the task `{task}`. Is it done: commit what is left, then run `mux done`. "
        'Can you not go on without something: `mux blocked "on what, from whom"`. Must a person decide: '
        '`mux ask "question"`. Else go on with it. You are told this once.'
    )


def resume_prompt(contract: str, facts: Interruption, task_prompt: str) -> str:
    """What a worker is told that goes on after an interruption: the facts, then its task as it reads now.

    `contract` is what `preamble` gave; empty for an agent whose conversation has it already.
    """
    told = [
        f"You were interrupted: attempt {facts.attempt} of this task ended with {facts.ended}.",
        *_state(facts),
        *_steps(facts),
        "Look before you act: see `git status`, `git log` and what is running, and do not repeat what is done already.",
        "Then go on with the task, which reads as follows now:",
        "",
        "",
    ]
    return contract + "\n".join(told) + task_prompt


def _state(facts: Interruption) -> list[str]:
    marked = f"the last checkpoint is {facts.checkpoint}" if facts.checkpoint else "no checkpoint was marked"
    if facts.checkpoint == facts.head:
        marked = "that is the last checkpoint"
    out = [f"HEAD is {facts.head}; {marked}."]
    if facts.modified or facts.untracked:
        out.append(f"Not committed: {_files(facts.modified)} changed, {_files(facts.untracked)} untracked.")
    else:
        out.append("Nothing is uncommitted.")
    if facts.snapshot is not None:
        out.append(f"Snapshot {facts.snapshot} holds the files as they were then.")
    return out


def _steps(facts: Interruption) -> list[str]:
    out = []
    if facts.finished:
        out.append(f"Steps of `mux once` that are finished, and will not run again: {_keys(facts.finished)}.")
    if facts.unfinished:
        out.append(
            f"Steps that began and did not finish, and may have taken effect: {_keys(facts.unfinished)}. "
            "Call `mux once` for them as before: it asks a person."
        )
    return out


def _keys(keys: Sequence[str]) -> str:
    return ", ".join(f"`{quotable(key)}`" for key in keys)


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"
