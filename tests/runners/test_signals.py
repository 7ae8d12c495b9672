"""What an agent says of its turn by its own hooks."""

from __future__ import annotations

import os
from pathlib import Path

from runners.model import Signal
from runners.signals import Signals, keep


def test_two_words_of_one_tick_of_the_clock_are_told_apart(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "fix" / "1"
    (tmp_path / "inbox").mkdir()
    run.mkdir(parents=True)
    signals = Signals(tmp_path)
    said = []
    for number, kind in enumerate(("working", "idle")):
        keep(run, Signal(kind, 1000.0 + number))
        os.utime(run / "signal.json", ns=(10**18, 10**18))
        said.append(signals.newest("fix", 1))
    assert said == [Signal("working", 1000.0), Signal("idle", 1001.0)]
    assert signals.newest("fix", 2) is None
