"""States: whether each server is up, late, down or retired, as those who watch it are told."""

from collections.abc import Callable, Iterable

from bongsu.core.clock import Clock
from bongsu.server.fleet.registry import Registry, ServerState
from bongsu.server.live.client import Client
from bongsu.wire import live

_STATES = {"up": live.State.UP, "late": live.State.LATE, "down": live.State.DOWN, "retired": live.State.RETIRED}


class States:
    """The last known state of each server, once somebody wants to know."""

    def __init__(self, registry: Registry, clock: Clock, watching: Callable[[int], Iterable[Client]]) -> None:
        """``watching``: the clients that want to know the state of a server."""
        self._registry = registry
        self._clock = clock
        self._watching = watching
        self._known: dict[int, live.State] = {}

    def sends(self, state: ServerState) -> None:
        """A frame of a server has arrived."""
        if self._known.get(state.record.id, live.State.UP) is not live.State.UP:
            self.look_at(state)

    def look_at_all(self) -> None:
        """Tells what has changed."""
        for state in list(self._registry.by_id.values()):
            self.look_at(state)

    def look_at(self, state: ServerState) -> None:
        """Tells the state of a server if it has changed."""
        now = _STATES[state.state_at(self._clock.now_ms())]
        server_id = state.record.id
        before = self._known.get(server_id)
        if before is now:
            return
        self._known[server_id] = now
        if before is None:
            return
        part = live.status(server_id, now, state.last_seen_ms)
        for client in self._watching(server_id):
            client.outbox.put(part)

    def tell(self, client: Client, server_ids: Iterable[int]) -> None:
        """Tells a client the states of servers that it has just begun to watch."""
        for server_id in sorted(server_ids):
            state = self._registry.by_id.get(server_id)
            if state is not None:
                self.look_at(state)
                client.outbox.put(live.status(server_id, self._known[server_id], state.last_seen_ms))

    def forget(self) -> None:
        """Nobody wants to know any more."""
        self._known.clear()
