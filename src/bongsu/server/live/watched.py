"""Which servers somebody looks at: their agents are asked to sample more often, in the answers to their pushes."""

import time
from collections import Counter
from collections.abc import Callable, Iterable

from bongsu.core.liveness import SHORTEST_INTERVAL_MS

# Other API servers say every few seconds which servers are looked at through them.
HEARD_SECONDS = 15.0


class Watched:
    """One per process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        # Called when somebody begins to look at a server that nobody looked at here.
        self.on_begin: Callable[[], None] = lambda: None
        self._monotonic = monotonic
        self._here: Counter[int] = Counter()
        # Server id -> until when others look at it, by the clock that never jumps.
        self._elsewhere: dict[int, float] = {}

    @property
    def here(self) -> list[int]:
        """The servers that somebody looks at through this process."""
        return sorted(self._here)

    def begin(self, server_id: int) -> None:
        """Somebody looks at a server; ``end`` must follow."""
        self._here[server_id] += 1
        if self._here[server_id] == 1:
            self.on_begin()

    def end(self, server_id: int) -> None:
        """Somebody does not look at a server any more."""
        self._here[server_id] -= 1
        if self._here[server_id] <= 0:
            del self._here[server_id]

    def heard(self, server_ids: Iterable[int]) -> None:
        """Another API server says which servers are looked at through it."""
        now = self._monotonic()
        self._elsewhere = {server_id: until for server_id, until in self._elsewhere.items() if until > now}
        self._elsewhere |= dict.fromkeys(server_ids, now + HEARD_SECONDS)

    def interval_ms(self, server_id: int) -> int:
        """The interval to ask the agent of a server for; 0: the one that it is configured for."""
        if server_id in self._here:
            return SHORTEST_INTERVAL_MS
        until = self._elsewhere.get(server_id)
        return SHORTEST_INTERVAL_MS if until is not None and until > self._monotonic() else 0
