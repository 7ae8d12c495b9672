"""What people are asked, and what each answer does, in words: for the terminal and for chat. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from runners.asked import AGAIN, FINISHED, Request

#: What a request is about, by its action.
ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "held": "a save that mux holds back",
        "recover": "how to go on after a bad end",
        "outage": "how to go on after an outage",
        "restart": "end its worker if it runs, and start it anew?",
        "orphan": "its section is gone, and its worker goes on",
        "rerun": "run it again? It is destructive, and ran before",
        "once": "a step that may have taken effect",
        "ask": "a worker asks",
        "gate": "a worker needs an approval",
    }
)

#: What each way to go on does. A worker may offer others of its own (`ask`): nothing but the worker acts on those.
CHOICES: Mapping[str, str] = MappingProxyType(
    {
        "in-place": "start it again in its home, with all that is in it",
        "resume": "go on with the agent's own conversation, in its home as it is",
        "checkpoint": "start it again from its checkpoint: what came after is only in the snapshot then",
        AGAIN: "run the step again, although it may have taken effect",
        FINISHED: "you have seen that it took effect: it counts as finished with exit 0, and never runs again",
        "stop": "end its worker; its home is kept",
        "approve": "let the worker go on",
        "take": "make what is in the file the board",
        "keep": "put the board in force back into the file",
    }
)

#: What they do to a worker that ended in the middle of steps of `mux once`.
_AFTER_STEPS: Mapping[str, str] = MappingProxyType(
    {
        AGAIN: "its worker starts again, and what did not finish runs once more when it comes to it, although it may "
        "have taken effect",
        FINISHED: "you have seen that all of it took effect: it counts as finished with exit 0, and never runs again",
        "in-place": "start it again in its home; you are asked about each step when its worker comes to it",
        "resume": "go on with the agent's own conversation; you are asked about each step when it comes to it",
    }
)

#: What a no does, by the request's action. It is always possible, but for a save that is held back.
DENIALS: Mapping[str, str] = MappingProxyType(
    {
        "recover": "start nothing; its home is kept as it is",
        "outage": "start none of them; their homes are kept as they are",
        "restart": "leave it as it is",
        "orphan": "let its worker go on",
        "rerun": "do not run it again",
        "once": "run nothing; the worker is told so, and may ask again",
        "ask": "the worker is told that it gets no answer",
        "gate": "the worker is told no",
    }
)

#: What the typed values of a request's evidence are called, in the order in which a person wants them.
EVIDENCE: Mapping[str, str] = MappingProxyType(
    {
        "exit": "it ended with",
        "tasks": "tasks",
        "dirty": "of those, with uncommitted work",
        "destructive": "of those, destructive",
        "home": "its home",
        "head": "HEAD",
        "commits": "commits on its branch",
        "unpushed": "commits not pushed",
        "modified": "files changed and not committed",
        "untracked": "files untracked",
        "checkpoint": "checkpoint",
        "beyond_checkpoint": "commits after the checkpoint",
        "snapshot": "snapshot that keeps what is uncommitted",
        "left_out": "paths that it does not hold",
        "no_snapshot": "without a snapshot, as git cannot make one",
        "run": "times that it was begun",
        "step_began": "it began",
        "step_ended": "it ended with exit",
    }
)
#: What mux needs to remember beside it: nothing for people.
_INNER = frozenset({"live", "bound", "attempt", "word", "then"})


def does(choice: str, request: Request) -> str:
    """What a way to go on does; empty for a worker's own."""
    if request.action != "recover" or AGAIN not in request.choices:
        return CHOICES.get(choice, "")
    then = f"; {request.evidence['then']}" if choice == FINISHED and "then" in request.evidence else ""
    return _AFTER_STEPS.get(choice, "") + then


def shown(evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a person is shown of a request's evidence: names and values, in order."""
    order = [*(name for name in EVIDENCE if name in evidence), *(name for name in evidence if name not in EVIDENCE)]
    typed = (name for name in order if name not in _INNER and isinstance(evidence[name], str | int))
    return [(EVIDENCE.get(name, name.replace("_", " ")), str(evidence[name])) for name in typed]
