"""Examples of property tests are the same in every run, so that a failure is of the change at hand.

`make test-random` tries new ones. None has a time limit of its own: on a busy machine any may be slow.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("random", print_blob=True, deadline=None)
settings.load_profile("random" if os.environ.get("MUX_RANDOM") else "same")
