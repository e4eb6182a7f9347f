"""A client: one open connection, what it subscribes to, and what it may see."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bongsu.server.auth.principal import Principal
from bongsu.server.fleet.selection import Selection
from bongsu.server.live.outbox import Outbox
from bongsu.server.live.streams import Stream
from bongsu.wire import live


@dataclass(slots=True, eq=False)
class Subscription:
    """What a client asked for, and what that is at present."""

    id: int
    client: "Client"
    selection: Selection
    min_interval_ms: int = 0
    values: bool = True
    states: bool = False
    events: bool = False
    watch: bool = False
    server_ids: frozenset[int] = frozenset()
    streams: dict[int, Stream] = field(default_factory=dict)


class Client:
    """One open connection."""

    def __init__(self, principal: Principal, token: str) -> None:
        self.principal = principal
        self.token = token
        self.outbox = Outbox()
        self.subscriptions: dict[int, Subscription] = {}
        # Held while its subscriptions change.
        self.changing = asyncio.Lock()
        # Why the connection must be closed; empty: it need not.
        self.closing: tuple[int, str] | None = None
        # Stream id -> the least interval among its subscriptions.
        self._intervals: dict[int, int] = {}
        self._sent_ms: dict[int, int] = {}
        self._defined_lists: set[int] = set()
        self._changed: dict[int, Subscription] = {}
        # Of ``post.py``: it waits for its turn or rests; it rests; a message that there was no room for.
        self.is_busy = False
        self.rests = False
        self.unsent = b""
        self.has_left = False
        # Sends a message if there is room. Returns whether it did.
        self.write: Callable[[bytes], bool] = lambda _: False
        # Set when there is something to do for the task of the connection.
        self.attention = asyncio.Event()

    def send_later(self, message: bytes) -> None:
        """Has the task of the connection send a message, which waits until there is room."""
        self.unsent = message
        self.attention.set()

    def close(self, code: int, reason: str) -> None:
        """Has the connection closed."""
        if self.closing is None:
            self.closing = (code, reason)
        self.attention.set()

    def define(self, stream: Stream) -> None:
        """Tells the client what a stream is."""
        if stream.series_list.id not in self._defined_lists:
            self._defined_lists.add(stream.series_list.id)
            self.outbox.put(stream.series_list.definition)
        self.outbox.put(stream.definition)

    def changed(self, subscription: Subscription) -> None:
        """Has the client told of the present streams and servers of a subscription; several changes at once."""
        self._changed[subscription.id] = subscription
        self.outbox.wake()

    def settle(self, *, keep_waiting: bool = False) -> tuple[set[int], set[int]]:
        """Counts again which streams it watches. Returns the ids of those that are new, and of those that it does not
        watch any more. ``keep_waiting``: frames of these that wait are still sent."""
        before, self._intervals = self._intervals, {}
        for subscription in self.subscriptions.values():
            least_ms = subscription.min_interval_ms
            for stream_id in subscription.streams:
                self._intervals[stream_id] = min(self._intervals.get(stream_id, least_ms), least_ms)
        ended = before.keys() - self._intervals.keys()
        for stream_id in ended:
            if not keep_waiting:
                self.outbox.forget(stream_id)
            self._sent_ms.pop(stream_id, None)
        return self._intervals.keys() - before.keys(), ended

    def send(self, stream: Stream, time_ms: int, part: bytes) -> None:
        """Sends a frame, unless it comes too soon after the previous one or was sent before."""
        sent_ms = self._sent_ms.get(stream.id, 0)
        if time_ms - sent_ms < (self._intervals.get(stream.id, 0) or 1):
            return
        self._sent_ms[stream.id] = time_ms
        self.outbox.put_frame(stream.id, stream.server_id, time_ms, part)

    def take(self) -> bytes:
        """The next message to send; empty if there is none."""
        if self._changed:
            changed, self._changed = self._changed, {}
            for subscription in changed.values():
                if self.subscriptions.get(subscription.id) is subscription:
                    streams, servers = sorted(subscription.streams), sorted(subscription.server_ids)
                    self.outbox.put(live.subscription(subscription.id, streams, servers))
        return self.outbox.take()
