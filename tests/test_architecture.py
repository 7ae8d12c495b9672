"""What holds the modules together: who may import whom, who may touch the world, and how fast `mux status` starts."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support import PATIENCE

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("board", "runners", "bot")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for layer in LAYERS
    for path in sorted((ROOT / layer).rglob("*.py"))
}
LINES = 350

#: One stands alone: what it cannot import it has to hold itself. One is a table.
LONGER = {
    "runners.wrapper": 460,
}

PURE = (
    *("runners.plan", "runners.standing", "runners.gate", "runners.overlap", "runners.report", "runners.delivery"),
    *("runners.choices", "runners.preamble", "runners.words", "runners.conditions", "runners.draft", "runners.reading"),
    *("runners.loops", "runners.watched", "runners.pace"),
    *(
        "runners.screens",
        "runners.menus",
        "runners.health",
        "runners.limits",
        "runners.until",
        "runners.recovery",
        "runners.case",
        "runners.case_words",
        "runners.outage",
        "runners.asked",
    ),
    *("runners.questions", "runners.asking", "runners.starting", "runners.actions", "runners.evidence"),
    *("runners.policy", "runners.drift", "runners.nudging", "runners.resuming", "runners.kept"),
    *("bot.posts", "bot.mrkdwn", "bot.blocks", "bot.chat_words", "bot.chat_views", "bot.chat_texts"),
    *("bot.chat_requests", "bot.alerts", "bot.quiet", "bot.digests", "bot.slots"),
    *("bot.access", "bot.inbound", "bot.backlog"),
    *(name for name in MODULES if name.startswith(("board.merge", "board.redact"))),
)
#: Effects. `pathlib` is not among them: a path is also a value; that nothing is opened through one is for the reader.
EFFECTS = {
    *("subprocess", "socket", "threading", "time", "os", "shutil", "tempfile", "fcntl", "queue", "random"),
    *("asyncio", "multiprocessing", "secrets", "libtmux", "watchdog", "filelock", "psutil"),
}

#: Who starts programs, besides `runners.sh`, and why not through it.
STARTS_PROGRAMS = {
    "runners.wrapper": "stands alone, and is the parent of a worker",
    "runners.step": "holds its command back until that is written down, and is its parent",
    "bot.up": "starts the control plane that goes on after it",
    "bot.diff": "shows it in the person's pager",
    "bot.watch_acts": "gives the terminal to tmux until the person detaches",
    "bot.logs": "becomes the terminal's tmux client",
    "bot.demo": "plays the person at a terminal, from outside",
}
STARTERS = re.compile(
    r"subprocess(\.\w+)?|os\.(system|popen|fork|forkpty|exec\w+|spawn\w+|posix_spawnp?)|pty\.\w+|asyncio\.create_subprocess\w+"
)

VERSIONS = {"tmux.version", "git.version"}
READS = {"git.open_repository", "git.resolve", "git.current_branch", "git.is_tracked", "git.is_ignored"}
#: Who uses tmux or git past the port, and for what.
PAST_THE_PORT = {
    "bot.up": VERSIONS,
    "runners.tools": VERSIONS,
    "bot.check": READS,  # what is wrong with a board, before there is a host to run it
    "bot.doctor": VERSIONS | READS,
}
#: The modules behind the port.
BEHIND_THE_PORT = {
    f"runners.{name}"
    for name in ("local", "start_order", "judge", "homes", "deliver", "snapshots", "restore", "git", "tmux")
}

#: A process that shows the status of fifty workers has 60 ms.
SLOW = (
    "ruamel",
    "libtmux",
    "watchdog",
    "filelock",
    "psutil",
    "markdown_it",
    "subprocess",
    "asyncio",
    "runners.tmux",
    "textual",
)


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def code_of(name: str) -> Iterator[ast.AST]:
    """Every node of a module that ever runs: not what only a type checker sees."""
    waiting: list[ast.AST] = [tree(name)]
    while waiting:
        node = waiting.pop()
        yield node
        checking = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        waiting += node.orelse if checking and isinstance(node, ast.If) else ast.iter_child_nodes(node)


@cache
def imports(name: str) -> frozenset[str]:
    """The modules that a module imports anywhere, by full name."""
    found: set[str] = set()
    for node in code_of(name):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{name}: no relative imports"
            inner = {f"{node.module}.{each.name}" for each in node.names}
            found |= {each for each in inner if each in MODULES} or {node.module}
    return frozenset(found)


def reached(name: str) -> Iterator[tuple[str, str]]:
    """All that a module imports, also through other modules of the project, with who imports it."""
    waiting, seen = [name], {name}
    while waiting:
        module = waiting.pop()
        for each in imports(module):
            yield module, each
            if each in MODULES and each not in seen:
                seen.add(each)
                waiting.append(each)


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def used(name: str) -> set[str]:
    """Every `a.b.c` that stands in a module's code."""
    return {dotted(node) for node in code_of(name) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name: str) -> None:
    above = LAYERS[LAYERS.index(name.partition(".")[0]) + 1 :]
    assert {each for each in imports(name) if each.partition(".")[0] in (*above, "tests", "benchmarks")} == set()


@pytest.mark.parametrize("name", PURE)
def test_what_decides_touches_nothing(name: str) -> None:
    found = {f"{by} imports {each}" for by, each in reached(name) if each.partition(".")[0] in EFFECTS}
    assert found == set()
    assert not any(isinstance(node, ast.Name) and node.id in ("open", "print", "input") for node in code_of(name))


def test_one_module_starts_programs() -> None:
    found = {
        name
        for name in MODULES
        if any(each.partition(".")[0] == "subprocess" for each in imports(name))
        or any(STARTERS.fullmatch(each) for each in used(name))
    }
    assert found - {"runners.sh"} == set(STARTS_PROGRAMS)


def test_only_the_dashboard_draws_with_textual() -> None:
    found = {name for name in MODULES if any(each.partition(".")[0] in ("textual", "rich") for each in imports(name))}
    assert found and all(name.startswith("bot.watch") for name in found)


def test_no_shell_reads_what_we_say() -> None:
    for name in MODULES:
        assert not used(name) & {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}, name
        keywords = [node for node in code_of(name) if isinstance(node, ast.keyword) and node.arg == "shell"]
        assert keywords == [], name


@pytest.mark.parametrize("program", ["tmux", "git"])
def test_one_module_talks_to_each_program(program: str) -> None:
    """An argument list begins with the program's name, wherever it is put together."""

    def says_it(node: ast.AST) -> bool:
        return isinstance(node, (ast.List, ast.Tuple)) and any(
            isinstance(each, ast.Constant) and each.value == program for each in node.elts
        )

    found = {name for name in MODULES if any(says_it(node) for node in code_of(name))}
    known = {"runners.sh": "says how to install it", "bot.demo": "plays the person", "bot.doctor": "names it"}
    assert found - set(known) == {f"runners.{program}"}


def test_tmux_and_git_stay_behind_the_port() -> None:
    for name in MODULES.keys() - BEHIND_THE_PORT:
        if imports(name) & {"runners.tmux", "runners.git"}:
            calls = {each for each in used(name) if each.startswith(("tmux.", "git."))}
            assert calls <= PAST_THE_PORT.get(name, set()), name


def test_the_port_is_built_by_commands_only() -> None:
    builders = {name for name in MODULES if "runners.local" in imports(name)}
    assert builders and all(name.startswith("bot.") for name in builders)
    for name in builders:  # and nothing but the function that builds it is taken from there
        taken = [node for node in code_of(name) if isinstance(node, ast.ImportFrom) and node.module == "runners.local"]
        assert {each.name for node in taken for each in node.names} == {"local_host"}, name


@pytest.mark.parametrize("name", MODULES)
def test_no_file_grows_without_end(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= LONGER.get(name, LINES)


def test_status_starts_fast(tmp_path: Path) -> None:
    (tmp_path / "board.md").write_text("# Board\n\n## a: A\n\n```yaml\nstatus: draft\n```\n")
    folder = tmp_path / ".mux"
    folder.mkdir()
    (folder / "daemon.lock").write_text('{"pid": 4242, "since": 1800000000.0}')
    state = {"board": "shop", "path": str(tmp_path / "board.md"), "rev": 1, "trouble": None, "max_workers": 4}
    state |= {"problems": [], "tasks": [], "orphans": [], "at": 1_800_000_000.0}
    (folder / "state.json").write_text(json.dumps(state))
    hold = f"import fcntl; lock = open({str(folder / 'daemon.lock')!r}); fcntl.flock(lock, fcntl.LOCK_EX)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{hold}; print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as control_plane:
        assert control_plane.stdout is not None
        control_plane.stdout.readline()
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "bot.cli", "status"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        control_plane.communicate(b"\n")
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "bot.place" in loaded and "shop" in done.stdout
    assert {name for name in loaded if name.startswith(tuple(f"{slow}." for slow in SLOW)) or name in SLOW} == set()


#: The product does not know who made it, or where.
FOREIGN = re.compile(r"/root/|index-url", re.IGNORECASE)


def test_no_word_about_sessions_or_machines() -> None:
    kept = [path for layer in (*LAYERS, "docs", "benchmarks") for path in (ROOT / layer).rglob("*") if path.is_file()]
    kept += [path for path in ROOT.iterdir() if path.is_file() and path.name != "board.md"]
    found = []
    for path in kept:
        if path.suffix in (".py", ".md", ".toml", ".yaml", ".lock", ".txt", "") and "__pycache__" not in path.parts:
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in FOREIGN.finditer(text)]
    assert found == []
