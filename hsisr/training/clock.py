"""The time of a run, continued over breaks."""

import time


class Clock:
    """Starts from the seconds that earlier parts of a run took."""

    def __init__(self, before: float) -> None:
        """Start now."""
        self._started = time.monotonic() - before

    @property
    def seconds(self) -> float:
        """Seconds of the whole run so far."""
        return time.monotonic() - self._started
