"""Which lines are the same failure again, with texts as agents and their tools print them."""

from __future__ import annotations

import pytest

from runners.health import Thresholds
from runners.loops import find_loop, locate_failures, repeats

LIMITS = Thresholds()


def find_failures(lines: tuple[str, ...], begun: int = 0) -> tuple[str, ...]:
    return tuple(failure for failure, _ in locate_failures(lines, begun))


def loop_in(text: str) -> str:
    failures = find_failures(tuple(line for line in text.splitlines() if line.strip()))
    return find_loop(failures, LIMITS.same_failure, LIMITS.same_line, LIMITS.alternating)


@pytest.mark.parametrize(
    "line",
    [
        "12 passed, 0 failed",
        "3 failed, 9 passed in 2.04s",
        "Found 7 errors in 3 files (checked 12 source files)",
        "no errors found",
        "Compiling error-chain",
        "ok",
        "0 errors, 3 warnings",
        "def on_error():",
        "Traceback (most recent call last):",
        "curl: (7) connection refused, retrying in 5 s",
        "    except ValueError:",
        "      12 +    raise ValueError(name) from error",
        "   12→class NotFound(Exception): pass  # error: none",
        "} catch (error) {",
        "[1840/2012] Building CXX object src/exceptions.o",
    ],
)
def test_what_is_no_failure(line: str) -> None:
    assert find_failures((line,)) == ()


CLAUDE = """
● Bash(npm test)
  ⎿  Error: Exit code 1
     FAIL src/cart.test.ts > redirects once
"""
CODEX = """
• Ran make
  └ cc -c a.c
    a.c:{0}:1: fatal error: nope.h: No such file or directory
"""
GEMINI = """
╭──────────────────────────────────────╮
│ ✗  Shell make                        │
│ make: *** No rule to make target 'x' │
╰──────────────────────────────────────╯
"""
PLAIN = "12:0{0}:07 error: cannot open /tmp/run-{0}/a.c (0x7ff{0})\n"
TURNS = "Error: port 80{0} is in use\nError: no process on port 80{0}\n"


JEST = """
• Ran npm test
  └ FAIL src/cart.test.ts
    Expected: 1, received: {0}
"""
STEPS = [(JEST, 5), (CLAUDE, 3), (GEMINI, 3), (CODEX, 5), (PLAIN, 5), (TURNS, 3)]
STEPS += [("Error: no such module\n", 5), ("import error: no such module\n", 5)]


@pytest.mark.parametrize(("step", "times"), STEPS)
def test_the_same_failure_of_one_step_after_another(step: str, times: int) -> None:
    steps = [step.format(number) for number in range(times)]
    assert loop_in("".join(steps[:-1])) == ""
    assert loop_in("".join(steps)) != ""


TEST_RUN = """
● Bash(npm test)
  ⎿  Error: Exit code 1
      ✕ renders item 1 (3 ms)
      ✕ renders item 2 (2 ms)
      ✕ renders item 3 (2 ms)
      ✕ renders item 4 (9 ms)
     Error: connect ECONNREFUSED 127.0.0.1:5432
     Error: connect ECONNREFUSED 127.0.0.1:5432
     Error: connect ECONNREFUSED 127.0.0.1:5432
     Error: connect ECONNREFUSED 127.0.0.1:5432
     Error: connect ECONNREFUSED 127.0.0.1:5432
     Error: connect ECONNREFUSED 127.0.0.1:5432
"""
PYTEST = "\n".join(f"FAILED tests/test_cart.py::test_price[{number}] - AssertionError" for number in range(9))
COMPILER = "\n".join(
    f"src/cart.c:{number}:5: error: 'total' undeclared (first use in this function)\n  {number} | total = 3;\n     | ^"
    for number in range(10, 19)
)
TYPES = "\n".join(f"src/cart.ts({number},5): error TS2304: Cannot find name 'total'." for number in range(9))
POLL = "● Bash(until curl -sf localhost:8080; do sleep 5; done)\n  ⎿  starting\n" + "\n".join(
    f"     request {number} failed: connection refused, retrying" for number in range(12)
)
BOXED = "╭─────────╮\n│ ✓  Shell make check │\n" + "│ FAILED test_1 │\n" * 8 + "╰─────────╯"
TALLIES = "\n".join(
    f"running the tests again\n{9 - number} failed, {number} passed in 1.{number}s" for number in range(8)
)
TRACEBACKS = "\n".join(
    f'Traceback (most recent call last):\n  File "a.py", line {number}, in main\nKeyError: {word!r}'
    for number, word in enumerate(("cart", "price", "total", "user", "shop", "item"))
)


FILES = "\n".join(f"FAIL src/{name}.test.ts\n  Expected: 1\nPASS src/{name}s.test.ts" for name in "abcdefgh")
CALLED = "● Bash(npm test)\n" + "\n".join(f"     {line}" for line in FILES.splitlines())


@pytest.mark.parametrize("text", [FILES, CALLED, TEST_RUN, PYTEST, COMPILER, TYPES, POLL, BOXED, TALLIES, TRACEBACKS])
def test_what_one_step_prints_many_times_is_no_loop(text: str) -> None:
    assert loop_in(text) == ""


def test_what_is_printed_below_the_same_call_later_is_no_further_failure() -> None:
    lines = tuple(POLL.splitlines())
    assert find_failures(lines, 5) == ()
    again = (*lines, "● Bash(again)", "     request 1 failed: connection refused, retrying")
    assert len(find_failures(again, len(lines))) == 1


def test_a_report_line_counts_again_when_it_is_printed_later() -> None:
    lines = tuple(PYTEST.splitlines())
    assert len(find_failures(lines)) == 1
    assert len(find_failures(lines, 4)) == 1


def test_two_failures_in_turns_are_a_loop() -> None:
    def found(failures: tuple[str, ...]) -> str:
        return find_loop(failures, LIMITS.same_failure, LIMITS.same_line, LIMITS.alternating)

    turns = ("error: a is missing", "error: b is not allowed")
    assert found(turns * 2) == ""
    assert found((*turns * 2, "error: a is missing")) == ""
    assert found(turns * 3).startswith("two failures in turns: error: a is missing;")
    assert found((*turns * 2, "error: c", "error: d")) == ""


def test_what_may_become_a_loop() -> None:
    assert not repeats(()) and not repeats(("a",)) and not repeats(("a", "b"))
    assert repeats(("a", "a")) and repeats(("a", "b", "a"))
