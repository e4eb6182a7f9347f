"""Sends what waits for the clients: at once, and then no more for a moment, so that what arrives meanwhile is one
message.

A message takes some 30 us, however few frames it has. One timer serves all clients; a task for each, with a sleep of
its own, would take as long again.
"""

import asyncio
import logging
import time
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
# Ingest comes first: from this share of a core on, which this process uses, clients rest longer; where it uses as much
# as one that computes can get, MOST_STRETCH times as long.
BUSY_SHARE, FULL_SHARE = 0.6, 0.9
MOST_STRETCH = 5.0
SHARE_SECONDS = 1.0
INTERNAL_ERROR = 1011


class Load:
    """How busy this process is. ``stretch``: how many times longer clients rest because of that."""

    def __init__(self, cpu_seconds: Callable[[], float]) -> None:
        """``cpu_seconds``: the CPU time of this process so far."""
        self.stretch = 1.0
        self._cpu_seconds = cpu_seconds
        # When it was last measured, and the CPU time then.
        self._measured = (0.0, 0.0)

    def look(self, now: float) -> None:
        """Measures, if SHARE_SECONDS have passed. ``now``: by a clock that never jumps, in s."""
        since, before = self._measured
        if now - since < SHARE_SECONDS:
            return
        cpu_seconds = self._cpu_seconds()
        self._measured = now, cpu_seconds
        busy = ((cpu_seconds - before) / (now - since) - BUSY_SHARE) / (FULL_SHARE - BUSY_SHARE)
        self.stretch = 1.0 + (MOST_STRETCH - 1.0) * min(max(busy, 0.0), 1.0)


class Post:
    """One per process. ``messages``: how many were sent."""

    def __init__(self, clients: Callable[[], int], cpu_seconds: Callable[[], float] = time.process_time) -> None:
        """``clients``: how many there are. ``cpu_seconds``: the CPU time of this process so far."""
        self.messages = 0
        self._load = Load(cpu_seconds)
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
        rest = GATHER_SECONDS * (1 + self._clients() / CROWD) * self._load.stretch
        client.rests = True
        self._resting.append((loop.time() + rest, client))
        if self._timer is None:
            self._timer = loop.call_later(rest, self._look)

    def _look(self) -> None:
        """Sends to those whose rest is over, if something waits for them."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._load.look(now)
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
