"""A request as it stands in a chat: what is asked, from what, what each answer does; later, who decided. Pure.

It stands the same until something happens to the request, so that it is edited only then: there are no ages in it.
A button carries the request's id and nothing else; which answer it gives is in its action id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from board.model import NOTHING
from bot.blocks import (
    BUTTONS_IN_BLOCK,
    FALLBACK,
    MODAL_TITLE,
    actions,
    button,
    confirm,
    header,
    plain_text,
    small,
    words,
)
from bot.chat_words import ITS_OWN_WORDS, TITLE, WHY, WORKERS_WORDS, counted, evidence_words
from bot.mrkdwn import Redact, code, escape, plain, shown, when
from bot.posts import Block, Post
from runners.asked import DENY, EXPIRED, Answer, Asked, Request
from runners.choices import ACTIONS, DENIALS, does
from runners.evidence import lost_by

ANSWER = "answer"
#: Before an action id's choice: `request:in-place`.
PREFIX = "request:"
MODAL = f"{PREFIX}{ANSWER}"
_LONGEST_ANSWER = 2000
_MEMBERS_SHOWN = 20
_CHOICES_SHOWN = BUTTONS_IN_BLOCK - 2  # beside them stand a no and an answer in one's own words

_LABELS = {
    "in-place": "Restart in place",
    "resume": "Resume in place",
    "checkpoint": "Restart from the checkpoint",
    "again": "Run the step again",
    "finished": "It took effect: skip it",
    "stop": "End its worker",
    "approve": "Approve",
    "take": "Take the file",
    "keep": "Put the board back",
}
_DENY_LABELS = {
    "recover": "Leave it stopped",
    "outage": "Leave them stopped",
    "rerun": "Leave it stopped",
    "restart": "Let it go on",
    "orphan": "Let it go on",
}
#: A worker that is to be restarted need not run any more.
_QUESTIONS = {"restart": "restart it?"}
#: These discard work, repeat an effect, end something, or let something happen out there.
_GRAVE = frozenset({"checkpoint", "again", "stop", "take", "approve"})
#: The choices are the worker's own words, and nothing but the worker acts on them.
_OF_WORKER = frozenset({"ask"})
#: Whatever is chosen here repeats what a task does.
_GRAVE_ACTIONS = frozenset({"rerun", "restart"})


def request_post(
    asked: Asked,
    title: str,
    now: float,
    redact: Redact,
    *,
    destructive: bool = False,
    names: Mapping[str, str] = NOTHING,
) -> Post:
    """`title` and `destructive`: of its task. `names`: what users are called, by id, where it is known."""
    request = asked.request
    waits = asked.waits and (request.expires is None or now < request.expires)
    subject = _subject(request)
    question = _QUESTIONS.get(request.action) or ACTIONS.get(request.action, request.action)
    blocks: list[Block] = [header(f"{subject}: {question}")]
    blocks.append(words("\n".join(_lines(asked, title, redact, waits))))
    if waits:
        blocks += actions(list(_buttons(request, redact, destructive)))
        blocks.append(small(_footer(request)))
        text = f"{subject}: {question}"
    else:
        state = outcome(asked, redact, names)
        blocks.append(small(state))
        text = f"{subject}: {question} – {_plain_outcome(asked, redact)}"
    return Post(f"request:{request.id}", escape(text[:FALLBACK]), tuple(blocks))


def outcome(asked: Asked, redact: Redact, names: Mapping[str, str] = NOTHING) -> str:
    """Who decided what, and when, as mark-up; of a request that waits no more."""
    answer, request = asked.answer, asked.request
    if answer is None and asked.closed is None:
        return f"Expired {when(request.expires or request.at)}: nothing is done."
    if answer is None:
        closed = f" {when(asked.closed.at)}" if asked.closed else ""
        if (ordered := asked.ordered) is not None:
            return f"*{escape(ordered['what'])}* by {person(ordered['by'], names)},{closed}: nothing is left to decide."
        return f"Closed{closed}: nobody has to decide it any more."
    if answer.choice == EXPIRED:
        return f"Expired {when(answer.at)}: nothing is done."
    carried = "" if asked.closed or answer.denies else " Being carried out."
    if any(step.startswith("void-") for step in asked.steps):
        carried = " It did not hold any more: what it is about had changed, and is asked about anew."
    return f"*{escape(_decision(answer, request, redact))}* by {person(answer.by, names)}, {when(answer.at)}.{carried}"


def person(by: str, names: Mapping[str, str] = NOTHING) -> str:
    """Who decided, as mark-up that pings nobody. Who sits at the terminal is not named: the name is this machine's."""
    where, _, who = by.partition(":")
    if where == "slack":
        return f"{escape(plain(names[who]))} ({code(who)})" if who in names else code(who) or "somebody"
    return "somebody at the terminal" if where == "terminal" else "mux"


def answer_modal(asked: Asked, redact: Redact) -> Mapping[str, Any]:
    """Takes any text; it comes back under `state.values.answer.text.value`, the request's id in `private_metadata`."""
    request = asked.request
    says = shown(request.says or request.why, WORKERS_WORDS, redact)
    text = {"type": "plain_text_input", "action_id": "text", "multiline": True, "max_length": _LONGEST_ANSWER}
    return {
        "type": "modal",
        "callback_id": MODAL,
        "private_metadata": request.id,
        "title": plain_text("Answer a worker", MODAL_TITLE),
        "submit": plain_text("Answer", MODAL_TITLE),
        "close": plain_text("Cancel", MODAL_TITLE),
        "blocks": [
            words(f"{_subject(request)} asks: “{says}”"),
            {"type": "input", "block_id": ANSWER, "label": plain_text("Your answer", TITLE), "element": text},
        ],
    }


def _subject(request: Request) -> str:
    if request.task is not None:
        return request.task
    return counted(len(request.members), "task") if request.members else "the board"


def _lines(asked: Asked, title: str, redact: Redact, waits: bool) -> Iterator[str]:
    request = asked.request
    if title:
        yield shown(title, TITLE, redact)
    if request.attempt is not None and request.attempt > 1:
        yield f"attempt {request.attempt}"
    if request.members:
        names = [task for task, _ in request.members]
        more = len(names) - _MEMBERS_SHOWN
        yield ", ".join(names[:_MEMBERS_SHOWN]) + (f" and {more} more" if more > 0 else "")
    why = shown(request.why, WHY, redact)
    if not request.says or request.action not in ITS_OWN_WORDS:
        yield why
    if request.says:
        yield f"its worker says: “{shown(request.says, WORKERS_WORDS, redact)}”"
    if facts := evidence_words(request.evidence, why):
        yield facts
    if waits:
        yield from _effects(request, redact)


def _effects(request: Request, redact: Redact) -> Iterator[str]:
    """What each answer does, and what it takes away."""
    yield ""
    for choice in _offered(request, redact) if request.action not in _OF_WORKER else ():
        lost = _lost(choice, request.evidence)
        yield f"{_label(choice, request)}: {does(choice, request)}{f' – {lost}' if lost else ''}"
    if request.deniable:
        yield f"{_denial(request)}: {DENIALS.get(request.action, 'nothing is done')}"
    if hidden := len(request.choices) - len(_offered(request, redact)):
        yield f"{counted(hidden, 'answer is', 'answers are')} not shown here: mux requests {request.id}"


def _lost(choice: str, evidence: Mapping[str, Any]) -> str:
    """The blast radius, in words, with what the snapshot keeps."""
    lost = lost_by(choice, evidence)
    if not lost:
        return "nothing is lost" if choice == "checkpoint" else ""
    unpushed = evidence.get("unpushed")
    parts = [f"{lost} (of its commits {unpushed} are not pushed)" if unpushed else lost]
    if evidence.get("snapshot"):
        parts.append(f"snapshot {evidence['snapshot']} keeps what is not committed")
    if evidence.get("left_out"):
        parts.append(f"{counted(int(evidence['left_out']), 'path is', 'paths are')} in no snapshot")
    return "; ".join(parts)


def _offered(request: Request, redact: Redact) -> tuple[str, ...]:
    """The choices that get a button: not one whose words may not leave, or that means something else as an action."""
    fit = (each for each in request.choices if redact(each) == each and each not in (DENY, EXPIRED, ANSWER))
    return tuple(fit)[:_CHOICES_SHOWN]


def _buttons(request: Request, redact: Redact, destructive: bool) -> Iterator[Mapping[str, Any]]:
    for choice in _offered(request, redact):
        label = _label(choice, request)
        grave = request.action not in _OF_WORKER and (choice in _GRAVE or _is_grave(request, destructive))
        asks = _sure(label, choice, request) if grave else None
        style = "primary" if request.action == "gate" else "danger" if grave else None
        yield button(label, f"{PREFIX}{choice}", request.id, style, asks)
    if request.free:
        yield button("Answer…", MODAL, request.id, "primary")
    if request.deniable:
        yield button(_denial(request), f"{PREFIX}{DENY}", request.id)


def _is_grave(request: Request, destructive: bool) -> bool:
    return destructive or request.action in _GRAVE_ACTIONS or bool(request.evidence.get("destructive"))


def _sure(label: str, choice: str, request: Request) -> Mapping[str, Any]:
    """The last question before something that cannot be taken back."""
    says = [_lost(choice, request.evidence), does(choice, request)]
    return confirm(
        f"{_subject(request)}: {label}?", "; ".join(filter(None, says)) or "It is done at once.", "Yes, do it"
    )


def _label(choice: str, request: Request) -> str:
    return choice if request.action in _OF_WORKER else _LABELS.get(choice, choice)


def _denial(request: Request) -> str:
    return _DENY_LABELS.get(request.action, "Deny")


def _footer(request: Request) -> str:
    parts = [f"request {code(request.id)}", f"asked {when(request.at)}"]
    if request.expires is not None:
        parts.append(f"expires {when(request.expires)}: then nothing is done")
    return " · ".join(parts)


def _decision(answer: Answer, request: Request, redact: Redact) -> str:
    if answer.denies:
        return _denial(request)
    if answer.text is not None:  # to the worker, not to everybody
        return "Answered"
    if request.action in _OF_WORKER:
        return f"Answered “{shown(answer.choice, TITLE, redact)}”"
    return _label(answer.choice, request)


def _plain_outcome(asked: Asked, redact: Redact) -> str:
    if asked.answer is None or asked.answer.choice == EXPIRED:
        ordered = asked.ordered["what"] if asked.ordered else "closed"
        return str(ordered).lower() if asked.closed and asked.answer is None else "expired"
    return _decision(asked.answer, asked.request, redact).lower()
