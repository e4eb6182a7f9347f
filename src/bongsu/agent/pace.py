"""How often the agent samples at present: as configured, or more often while somebody looks at this server.

The API server asks for it in the answers to pushes: an answer that asks for nothing ends it, and so do LAPSE_SECONDS
without an answer. If it costs more CPU than the agent may use, or a tick takes longer than the interval, the agent
samples half as often, and for REST_SECONDS not more often than that.
"""

import time
from collections.abc import Callable

LAPSE_SECONDS = 15.0
REST_SECONDS = 600.0


class Pace:
    """The sender's thread calls ``asked``, the scheduler's the rest. ``own_ms``: the configured interval;
    ``fastest_ms``: the shortest that the API server may ask for; 0: it may not."""

    def __init__(self, own_ms: int, fastest_ms: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.own_ms = own_ms
        # Ends the scheduler's wait for its next tick.
        self.hurry: Callable[[], None] = lambda: None
        self._fastest_ms = fastest_ms or own_ms
        self._monotonic = monotonic
        self._asked_ms = own_ms
        self._until = 0.0
        # What is too short at present, and until when.
        self._least_ms = 0
        self._rests_until = 0.0

    @property
    def interval_ms(self) -> int:
        """The interval now."""
        return self._asked_ms if self._monotonic() < self._until else self.own_ms

    @property
    def is_fast(self) -> bool:
        """Whether it is shorter than configured."""
        return self.interval_ms < self.own_ms

    def asked(self, interval_ms: int) -> None:
        """An answer of the API server asks for this interval; 0: for none."""
        now, before_ms = self._monotonic(), self.interval_ms
        wanted_ms = max(interval_ms, self._fastest_ms) if interval_ms else self.own_ms
        if now < self._rests_until:
            wanted_ms = max(wanted_ms, self._least_ms)
        self._asked_ms, self._until = min(wanted_ms, self.own_ms), now + LAPSE_SECONDS
        if self._asked_ms < before_ms:
            self.hurry()

    def slow_down(self) -> None:
        """It costs too much."""
        self._least_ms = 2 * self.interval_ms
        self._rests_until = self._monotonic() + REST_SECONDS
        self._asked_ms = min(self._least_ms, self.own_ms)
