"""What it costs to see how 200 workers are, and how soon a question on a screen is in `mux status`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.crowd import crowd, join
from benchmarks.desk import Desk, wait_for
from benchmarks.figures import Figure, median
from benchmarks.idle import count_tmux, cpu_seconds, lines_of

_LONG, _SHORT = 30.0, 4.0  # seconds to look

#: A screen as Claude Code draws it, anew five times a second, with a question on it while there is a file `ask`.
_TALKER = r"""#!/bin/sh
tick=0
while [ -e "$GATE" ]; do
  tick=$((tick + 1))
  printf '\033[H\033[2J'
  for line in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo "● Read(part$line.py) in round $tick"; done
  if [ -e "$ASK" ]; then
    printf '%s\n' ──────────── ' Bash command' ' Do you want to proceed?' ' ❯ 1. Yes' '   2. No' ' Esc to cancel'
    date +%s.%N > "$ASK.shown"
    while [ -e "$ASK" ]; do sleep 0.02; done
  fi
  printf '%s\n' "✻ Thinking… (${tick}s)" ──────────── '❯ ' ──────────── '  esc to interrupt'
  sleep 0.2
done
read -r go < "$GATE.end"
"""


def health(quick: bool) -> Iterator[Figure]:
    idle, active, rounds = (6, 3, 2) if quick else (180, 20, 10)
    seconds = _SHORT if quick else _LONG
    with crowd(idle + active) as desk:
        calls = count_tmux(desk)
        plane = psutil.Process(desk.up().pid)
        join(desk, 0, idle)
        quiet = _calls_a_second(calls, seconds)
        _talkers(desk, active)
        before, begin = cpu_seconds(plane), time.monotonic()
        time.sleep(seconds)
        share = (cpu_seconds(plane) - before) / (time.monotonic() - begin)
        what = f"health of {idle + active} workers, {active} of them active"
        how = f"over {seconds:.0f} s, the programs it calls included"
        yield Figure(f"{what}, CPU", share * 100, 3, "% of a core", how)
        how = f"of {idle} workers that print nothing: `list-panes` every 5 s, as without health"
        yield Figure("health of silent workers, tmux processes", quiet * 2, 1, "in 2 s", how)
        delays = [_delay(desk, f"talk-{number % active}") for number in range(rounds)]
        how = f"{rounds} questions, p50 {median(delays):.2f} s, the slowest {max(delays):.2f} s"
        yield Figure("a question on a screen -> in mux status", max(delays), 2, "s", how)
        (desk.scratch / "talk").unlink()  # from then on they wait as the others do


def _calls_a_second(calls: Path, seconds: float) -> float:
    before, begin = lines_of(calls), time.monotonic()
    time.sleep(seconds)
    return (lines_of(calls) - before) / (time.monotonic() - begin)


def _talkers(desk: Desk, count: int) -> None:
    (desk.scratch / "talk").touch()
    (desk.scratch / "talk.end").symlink_to("gate")
    program = desk.scratch / "talker"
    program.write_text(_TALKER)
    program.chmod(0o755)
    front, _, rest = desk.board.read_text().partition("---\n\n")
    desk.save(f"{front}agents: {{claude: {{program: {json.dumps(str(program))}}}}}\n---\n\n{rest}")
    names = [f"talk-{number}" for number in range(count)]
    desk.append(*(_section(desk, name) for name in names))
    desk.until(names, "running")


def _section(desk: Desk, name: str) -> str:
    variables = f"{{GATE: {desk.scratch}/talk, ASK: {desk.scratch}/{name}}}"
    keys = f"status: ready\nagent: claude\nmode: interactive\nenv: {variables}"
    return f"\n## {name}: Talk\n\n```yaml\n{keys}\n```\n\nTalk.\n"


def _delay(desk: Desk, name: str) -> float:
    """From a question on the screen to the state that `mux status` shows."""
    ask, shown = desk.scratch / name, desk.scratch / f"{name}.shown"
    shown.unlink(missing_ok=True)
    ask.touch()
    wait_for(lambda: _condition(desk, name) == "waiting", f"{name} waits")
    seen = time.time()
    ask.unlink()
    wait_for(lambda: _condition(desk, name) == "working", f"{name} works again")
    return seen - float(shown.read_text())


def _condition(desk: Desk, name: str) -> str:
    tasks = json.loads((desk.folder / "state.json").read_text())["tasks"]
    return next((str(task["condition"]) for task in tasks if task["id"] == name), "")
