"""Which servers are down, and the events when that changes. Between late and down, a server stays what it was."""

from collections.abc import Collection

import numpy as np

from bongsu.alerts.fleet import Fleet
from bongsu.alerts.measure import down_after
from bongsu.core.events import Event, EventType
from bongsu.core.liveness import LATE_AFTER


class Presence:
    """``down``: the servers of which the last event is that they are down, also those that are retired since."""

    def __init__(self) -> None:
        self.down: set[int] = set()

    def restore(self, down: Collection[int]) -> None:
        """Takes over what is stored."""
        self.down = set(down)

    def look(self, fleet: Fleet, now_ms: int) -> list[Event]:
        """The events since the last look."""
        if fleet.deaf:
            return []
        silences = now_ms - fleet.alive
        silent, present = silences > down_after(fleet.steps), fleet.heard & (silences <= LATE_AFTER * fleet.steps)
        if not self.down and not silent.any():
            return []
        server_ids = np.array(list(fleet.servers), np.int64)
        gone = [server_id for server_id in server_ids[silent].tolist() if server_id not in self.down]
        back = self.down.intersection(server_ids[present].tolist())
        self.down = self.down.union(gone) - back
        return [
            Event(kind, now_ms, server_id, fleet.servers[server_id].name)
            for kind, changed in ((EventType.SERVER_DOWN, gone), (EventType.SERVER_UP, sorted(back)))
            for server_id in changed
        ]
