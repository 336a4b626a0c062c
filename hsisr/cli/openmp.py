"""Where other programs keep cores busy, threads that wait for each other sleep soon.

A network is hundreds of short steps, and after each the threads of torch wait for the last one.
They do so by asking again and again (libgomp does, for a while), which is the quickest way as long
as every thread has a core. If it has not, the one that is waited for may be
without a core because another one asks.
"""

import os
import sys
from typing import Final

_WATCHED_S: Final = 0.05
_BUSY_PERCENT: Final = 50
SETTINGS: Final = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""By which users say how threads wait."""
TIMES_ASKED: Final = "1000"
"""Before a thread sleeps; libgomp's own number is 300 times as large."""


def sleep_beside_others() -> bool:
    """Have torch's threads sleep soon if others keep one of this program's cores busy.

    Changes no result; it takes a twentieth of a second, and effect only before torch is loaded.
    What the user has set in the environment stays as it is.

    Returns:
        True if they were told to.
    """
    if sys.platform != "linux" or "torch" in sys.modules or os.environ.keys() & {*SETTINGS}:
        return False
    own = os.sched_getaffinity(0)
    if len(own) < 2 or not _is_shared(own):
        return False
    os.environ["GOMP_SPINCOUNT"] = TIMES_ASKED
    return True


def _is_shared(cores: set[int]) -> bool:
    """Whether others are at work on one of these cores while this program sleeps for a moment."""
    import psutil

    try:
        busy = psutil.cpu_percent(_WATCHED_S, percpu=True)
    except OSError:  # a system that does not tell
        return False
    return any(percent >= _BUSY_PERCENT for core, percent in enumerate(busy) if core in cores)
