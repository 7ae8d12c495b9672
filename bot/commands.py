"""Which commands there are and what they take: the one table that help, dispatch and completion are made from."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from board.clock import parse_duration
from board.errors import UsageError
from bot import terminal
from bot.parser import Parser


@dataclass(frozen=True, slots=True)
class Command:
    """`target` is `module:function` below `bot`; `configure` adds what the command takes besides `--board`."""

    name: str
    help: str
    target: str
    configure: Callable[[Parser], object]
    example: str
    worker: bool = False  # a word for workers: whose board it is about is in their environment


def _nothing(parser: Parser) -> None:
    del parser


def _task(parser: Parser) -> None:
    parser.add_argument("task", metavar="TASK", help="the task's id")


def _restart(parser: Parser) -> None:
    _task(parser)
    ways = (
        "resume: its conversation; in-place: anew in its worktree as it is; checkpoint: anew from the last good commit"
    )
    parser.add_argument("--how", choices=("resume", "in-place", "checkpoint"), help=f"{ways} (default: the mildest)")


def _board(parser: Parser) -> None:
    parser.add_argument("board", metavar="BOARD", nargs="?", default=argparse.SUPPRESS, help="the board's file")


def _up(parser: Parser) -> None:
    _board(parser)
    parser.add_argument("--detach", action="store_true", help="go on in the background")
    parser.add_argument("--watch", action="store_true", help="go on in the background, and open: mux watch")
    parser.add_argument("--trust", action="store_true", help="run this board's commands without asking first")


def _status(parser: Parser) -> None:
    parser.add_argument("task", metavar="TASK", nargs="?", help="all about this one")
    parser.add_argument("--all", action="store_true", help="list done tasks too, however many")
    parser.add_argument("--json", action="store_true", help="for programs; the shape is stable")


def _add(parser: Parser) -> None:
    parser.add_argument("title", metavar="TITLE", help="what the task is about, in one line")
    parser.add_argument("--id", help="its id (default: made from the title)")
    parser.add_argument("--ready", action="store_true", help="start it as soon as it can (default: a draft)")
    parser.add_argument("--agent", help="which agent works on it (default: the board's; shell with --run)")
    parser.add_argument("--after", metavar="A,B", help="tasks that must be done first")
    parser.add_argument("--run", metavar="COMMAND", help="what a shell task runs")
    parser.add_argument("--prompt", metavar="TEXT", help="what the worker is told; - reads it from standard input")
    parser.add_argument("--priority", metavar="N", type=int, help="higher starts first (default 0)")


def _logs(parser: Parser) -> None:
    _task(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the attempt ends")
    parser.add_argument("-n", "--lines", metavar="LINES", type=_count, help="only the last ones")
    parser.add_argument("--attempt", metavar="N", type=_count, help="of this attempt (default: the newest)")
    parser.add_argument("--raw", action="store_true", help="byte for byte, with the terminal's control sequences")


def _send(parser: Parser) -> None:
    _task(parser)
    parser.add_argument("text", metavar="TEXT", nargs="*", help="the message; - reads it from standard input")
    parser.add_argument("--choice", metavar="N", help="instead: answer the menu on its screen by this number or letter")


def _optional_task(parser: Parser) -> None:
    parser.add_argument("task", metavar="TASK", nargs="?", help="of this task only")


def _check(parser: Parser) -> None:
    _board(parser)
    parser.add_argument("--json", action="store_true", help="for programs")


def _request(parser: Parser) -> None:
    parser.add_argument("id", metavar="ID", help="as `mux requests` shows it; its first four characters are enough")


def _requests(parser: Parser) -> None:
    parser.add_argument("id", metavar="ID", nargs="?", help="all about this one, also after it was decided")


def _approve(parser: Parser) -> None:
    _request(parser)
    parser.add_argument("--choice", metavar="CHOICE", help="which way, where there is more than one")


def _answer(parser: Parser) -> None:
    _request(parser)
    parser.add_argument("text", metavar="TEXT", nargs="+", help="one of its choices, or what you want to say")


def _message(parser: Parser) -> None:
    parser.add_argument("-m", "--message", metavar="TEXT", help="what there is to say about it, in one line")


def _report(parser: Parser) -> None:
    parser.add_argument("kind", metavar="KIND", choices=("working", "idle", "permission", "question"))
    parser.add_argument("facts", nargs=argparse.REMAINDER)  # what an agent adds


def _blocked(parser: Parser) -> None:
    parser.add_argument("on", metavar="ON", help="what is missing, and from whom")


def _timeout(parser: Parser) -> None:
    parser.add_argument(
        "--timeout", metavar="DURATION", type=_duration, help="wait so long at most, as in 90s, 10m, 2h"
    )


def _ask(parser: Parser) -> None:
    parser.add_argument("question", metavar="QUESTION", help="one line; a person answers it")
    parser.add_argument("--choice", metavar="CHOICE", action="append", help="an answer to choose from; repeat it")
    _timeout(parser)


def _gate(parser: Parser) -> None:
    parser.add_argument("what", metavar="WHAT", help="what is about to be done, in one line")
    _timeout(parser)


def _once(parser: Parser) -> None:
    parser.add_argument("key", metavar="KEY", help="a name for the step, unique in the task")
    parser.add_argument(
        "command", metavar="-- COMMAND", nargs=argparse.REMAINDER, help="what to run, and its arguments"
    )


def _diff(parser: Parser) -> None:
    _task(parser)
    parser.add_argument("--stat", action="store_true", help="only which files changed, and by how much")


def _finish(parser: Parser) -> None:
    _task(parser)
    parser.add_argument("--how", choices=("push", "pr", "merge"), help="instead of the board's key `finish`")


def _restore(parser: Parser) -> None:
    _task(parser)
    number = "its number, as `mux snapshots` shows it (default: the newest)"
    parser.add_argument("snapshot", metavar="SNAPSHOT", nargs="?", type=_count, help=number)


def _clean(parser: Parser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed, with sizes")


def _history(parser: Parser) -> None:
    what = "print a version, compare one with another or with the board, go back to one"
    parser.add_argument("action", nargs="?", choices=("show", "diff", "restore"), help=what)
    number = "a version's number, the first column of `mux history`"
    parser.add_argument("version", metavar="VERSION", nargs="?", type=_count, help=number)
    parser.add_argument("other", metavar="VERSION", nargs="?", type=_count, help="for diff: compare with this one")
    parser.add_argument("-n", "--lines", metavar="N", type=_count, default=20, help="how many (default 20)")


def _journal(parser: Parser) -> None:
    _optional_task(parser)
    parser.add_argument("-n", "--lines", metavar="N", type=_count, default=50, help="how many (default 50)")


def _digest(parser: Parser) -> None:
    parser.add_argument("--post", action="store_true", help="say it in the board's chat")


def _service(parser: Parser) -> None:
    parser.add_argument("action", choices=("install", "uninstall"))
    parser.add_argument("--print", action="store_true", help="only print the unit")


def _redact(parser: Parser) -> None:
    parser.add_argument("--names", action="store_true", help="only list the names of the values that are registered")


def _agents(parser: Parser) -> None:
    parser.add_argument("action", nargs="?", choices=("test",), help="say in one word what a saved screen shows")
    parser.add_argument("name", metavar="AGENT", nargs="?", help="for test: whose screen it is")
    parser.add_argument("file", metavar="FILE", nargs="?", help="for test: the screen's text; - is standard input")
    parser.add_argument("--json", action="store_true", help="for programs; for test, with the reason and the evidence")


def _slack(parser: Parser) -> None:
    parser.add_argument("action", choices=("manifest", "check"), help="print the app's manifest; test the set-up")


def _completion(parser: Parser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def _words(parser: Parser) -> None:
    parser.add_argument("words", nargs=argparse.REMAINDER)


#: The most used first. `mux --help` lists them in this order.
COMMANDS = (
    Command("status", "what runs, what needs you, what waits", "status", _status, "mux status fix-login"),
    Command("up", "run the board: start workers, take saves", "up", _up, "mux up --detach"),
    Command("watch", "the board, live, everything by keys", "watch", _nothing, "mux watch"),
    Command("add", "add a task to the board", "orders:add", _add, 'mux add "Run the tests" --run "make test" --ready'),
    Command("start", "order a task to run, or to run again", "orders:start", _task, "mux start fix-login"),
    Command("stop", "end a task's worker; its work is kept", "orders:stop", _task, "mux stop fix-login"),
    Command("restart", "end a worker and start it anew", "restart", _restart, "mux restart fix-login"),
    Command("logs", "what a worker printed", "logs", _logs, "mux logs fix-login -f"),
    Command("attach", "go into a worker's tmux window", "logs:attach", _optional_task, "mux attach fix-login"),
    Command("send", "type a message into an agent's window", "send", _send, "mux send fix-login 'use the staging key'"),
    Command("requests", "what you are asked, and how to decide it", "requests", _requests, "mux requests 3f2c"),
    Command("approve", "let it go on", "requests:approve", _approve, "mux approve 3f2c --choice in-place"),
    Command("deny", "leave it as it is", "requests:deny", _request, "mux deny 3f2c"),
    Command(
        "answer", "answer a worker's question", "requests:answer", _answer, 'mux answer 3f2c "use the staging key"'
    ),
    Command("diff", "what a task changed", "diff", _diff, "mux diff fix-login --stat"),
    Command("finish", "deliver a task's branch, then remove its worktree", "finish", _finish, "mux finish fix-login"),
    Command("snapshots", "what is kept of a task's uncommitted work", "snapshots", _task, "mux snapshots fix-login"),
    Command("restore", "bring a snapshot's files back", "snapshots:restore", _restore, "mux restore fix-login 3"),
    Command("down", "stop mux; workers go on", "down", _nothing, "mux down"),
    Command("check", "problems on the board, with their lines", "check", _check, "mux check board.md"),
    Command("init", "write a starter board here", "init", _nothing, "mux init"),
    Command("journal", "what happened, and why", "history:journal", _journal, "mux journal fix-login"),
    Command("digest", "what happened in the last day, and what is now", "digest", _digest, "mux digest --post"),
    Command("history", "the board's versions", "history", _history, "mux history restore 12"),
    Command("archive", "move done tasks to board.archive.md", "archive", _nothing, "mux archive"),
    Command("clean", "remove what is no longer needed", "clean", _clean, "mux clean --dry-run"),
    Command("doctor", "is everything here as mux needs it?", "doctor", _nothing, "mux doctor"),
    Command("redact", "standard input as it may leave this machine", "redact", _redact, "mux redact -b . < output.log"),
    Command("agents", "which agents there are; what a screen of one says", "agents", _agents, "mux agents"),
    Command("slack", "set the chat up, and test it", "slack_setup", _slack, "mux slack check"),
    Command("service", "keep mux running after a logout", "service", _service, "mux service install"),
    Command("completion", "a script that completes mux's words", "completion", _completion, "mux completion bash"),
)
#: What a worker says, in its own window.
WORKER_WORDS = (
    Command("done", "say that the task is done; mux checks it", "worker:done", _message, "mux done", True),
    Command("blocked", "say what is missing", "worker:blocked", _blocked, 'mux blocked "on the staging key"', True),
    Command("checkpoint", "mark HEAD as good", "worker:checkpoint", _message, 'mux checkpoint -m "tests pass"', True),
    Command("ask", "ask a person, and wait", "worker:ask", _ask, 'mux ask "Which way?" --choice A --choice B', True),
    Command("gate", "wait for an approval", "worker:gate", _gate, 'mux gate "deploy to production"', True),
    Command("once", "run a command once a task, ever", "once", _once, "mux once deploy -- ./deploy.sh", True),
)
#: For the completion scripts, and for the hooks of agents.
_HIDDEN = (
    Command("__complete", "", "completion:complete", _words, ""),
    Command("report", "", "worker:report", _report, "mux report idle", True),
)


def parser_of(command: Command) -> Parser:
    parser = Parser(
        prog=f"mux {command.name}",
        description=f"{command.help[:1].upper()}{command.help[1:]}".rstrip("?")
        + ("?" if command.help.endswith("?") else "."),
        epilog=f"example: {command.example}",
        allow_abbrev=False,
        formatter_class=_formatter,
    )
    if command.worker:
        parser.set_defaults(board=None)
    else:
        parser.add_argument("-b", "--board", metavar="BOARD", help="the board's file (default: board.md here or above)")
    command.configure(parser)
    return parser


def _formatter(prog: str) -> argparse.HelpFormatter:
    """argparse makes one for each argument, and imports `shutil` to find a width if it is given none."""
    return argparse.HelpFormatter(prog, width=min(terminal.width() or 80, 120))


def command_named(word: str) -> Command:
    """Raises UsageError, with the nearest command."""
    for command in (*COMMANDS, *WORKER_WORDS, *_HIDDEN):
        if command.name == word:
            return command
    if word.startswith("-"):
        raise UsageError(f"{word} goes after a command, as in: mux status --board board.md; see: mux --help")
    from difflib import get_close_matches

    near = get_close_matches(word, [command.name for command in (*COMMANDS, *WORKER_WORDS)], n=1)
    raise UsageError(f"no command '{word}'" + (f": did you mean 'mux {near[0]}'?" if near else "; see: mux --help"))


def _duration(text: str) -> float:
    """Seconds, for argparse."""
    if not (seconds := parse_duration(text)):
        raise argparse.ArgumentTypeError(f"'{text}' is no duration such as 90s, 10m or 2h")
    return seconds


def _count(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1")
    return int(text)
