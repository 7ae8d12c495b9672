"""Examples of property tests are the same in every run, so that a failure is of the change at hand.

`make test-random` tries new ones. None has a time limit of its own: on a busy machine any may be slow.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

#: How long an example takes says more of what else the machine does.
settings.register_profile("base", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("base"), derandomize=True)
settings.register_profile("random", settings.get_profile("base"), print_blob=True)
settings.load_profile("random" if os.environ.get("MUX_RANDOM") else "same")
