"""Time as an argument, so that tests can turn the clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now_ms(self) -> int:
        """UTC wall-clock time in Unix milliseconds; may jump."""

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps; only differences mean something."""


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()
