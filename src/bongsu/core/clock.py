"""The clock is an argument, so that tests can set it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """UTC wall-clock time in Unix milliseconds; may jump."""

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps; only differences are meaningful."""


class SystemClock:
    """The clocks of the machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()
