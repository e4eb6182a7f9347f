"""Sends what waits for the clients: at once, and then no more for a moment, so that what arrives meanwhile is one
message.

A message takes some 30 us, however few frames it has. One timer serves all clients; a task for each, with a sleep of
its own, would take as long again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from bongsu.server.live.client import Client

logger = logging.getLogger(__name__)

# With CROWD clients it is twice as long, so that a thousand of them leave the core to what arrives: they take 3,000
# messages a second instead of 5,000.
GATHER_SECONDS = 0.05
CROWD = 333
# How long the timer sleeps at least.
TICK_SECONDS = 0.005
INTERNAL_ERROR = 1011


class Post:
    """One per process. ``messages``: how many were sent."""

    def __init__(self, clients: Callable[[], int]) -> None:
        self.messages = 0
        self._clients = clients
        self._ready: list[Client] = []
        # When the rest of a client ends, by the clock of the event loop; first come, first served.
        self._resting: deque[tuple[float, Client]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def join(self, client: Client) -> None:
        """Sends to a client from now on, until it has left."""
        client.outbox.on_waiting = partial(self._waits, client)
        if client.outbox.waiting:
            self._waits(client)

    def sent(self, client: Client) -> None:
        """A message that there was no room for has been sent after all."""
        self.messages += 1
        client.unsent = b""
        # If it rests, it is looked at when that ends.
        if not client.rests:
            client.is_busy = False
            if client.outbox.waiting:
                self._waits(client)

    def _waits(self, client: Client) -> None:
        if client.is_busy:
            return
        client.is_busy = True
        self._ready.append(client)
        if len(self._ready) == 1:
            asyncio.get_running_loop().call_soon(self._send_ready)

    def _send_ready(self) -> None:
        ready, self._ready = self._ready, []
        for client in ready:
            self._send(client)

    def _send(self, client: Client) -> None:
        if client.has_left:
            return
        try:
            message = client.take()
            if message:
                if client.write(message):
                    self.messages += 1
                else:
                    client.send_later(message)
        except Exception:  # the others must get what waits for them
            logger.exception("a message could not be sent")
            client.close(INTERNAL_ERROR, "This is a bug in the API server; its log has the details.")
        loop = asyncio.get_running_loop()
        rest = GATHER_SECONDS * (1 + self._clients() / CROWD)
        client.rests = True
        self._resting.append((loop.time() + rest, client))
        if self._timer is None:
            self._timer = loop.call_later(rest, self._look)

    def _look(self) -> None:
        """Sends to those whose rest is over, if something waits for them."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._resting and self._resting[0][0] <= now:
            _, client = self._resting.popleft()
            client.rests = False
            if client.unsent:
                continue  # it is slow; ``sent`` goes on
            if client.outbox.waiting:
                self._send(client)
            else:
                client.is_busy = False
        self._timer = None
        if self._resting:
            self._timer = loop.call_later(max(self._resting[0][0] - now, TICK_SECONDS), self._look)
