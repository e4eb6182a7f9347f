"""The audience of each server that somebody watches: its subscriptions, and the streams that they have in common.

A stream is made when the first subscription wants it, and ends a while after the last one left.
"""

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from bongsu.core.series import Series
from bongsu.server.fleet.registry import Registry, ServerState
from bongsu.server.fleet.selection import Selection
from bongsu.server.live.client import Client, Subscription
from bongsu.server.live.followed import Followed
from bongsu.server.live.streams import RECENT_MS, SeriesList, Stream

# A stream that nobody watches stays so long, for a client that comes back.
LINGER_SECONDS = RECENT_MS / 1000
# Streams that nobody watches any more: some 5 KB each. With more of them, none stays.
IDLE_STREAMS = 20_000


@dataclass(slots=True)
class Audience:
    """Of one server. ``streams``: by layout id; an empty list where nobody wants anything of it."""

    subscriptions: dict[Subscription, None] = field(default_factory=dict)
    streams: dict[int, list[Followed]] = field(default_factory=dict)


class Audiences:
    """Of all servers. One per hub."""

    def __init__(self, registry: Registry, monotonic: Callable[[], float]) -> None:
        self.by_server: dict[int, Audience] = {}
        # All streams, by id.
        self.followed: dict[int, Followed] = {}
        self._registry = registry
        self._monotonic = monotonic
        self._numbers = itertools.count(1)
        # Equal lists of series have one number, as long as a stream has them.
        self._lists: WeakValueDictionary[tuple[Series, ...], SeriesList] = WeakValueDictionary()

    def of(self, server_id: int) -> Audience:
        """The audience of a server, from now on if it had none."""
        return self.by_server.setdefault(server_id, Audience())

    def subscriptions(self, server_id: int) -> Collection[Subscription]:
        """Those that have a server."""
        audience = self.by_server.get(server_id)
        return audience.subscriptions if audience is not None else ()

    def streams_of(self, state: ServerState, selection: Selection) -> Iterator[Stream]:
        """The streams of what a server sends at present, made as needed."""
        watched = self.of(state.record.id).streams
        for layout_id in list(state.newest):
            layout = state.layouts.get(layout_id)
            if layout is None or not (layout_id in watched or state.is_current(layout_id)):
                continue
            positions = selection.positions(layout)
            if positions:
                yield self._stream(state, layout_id, positions)

    def new_layout(self, audience: Audience, state: ServerState, layout_id: int) -> tuple[list[Followed], list[Client]]:
        """A server sends a layout that nobody has watched yet: its streams, and the clients that now have more."""
        streams = audience.streams.setdefault(layout_id, [])
        clients: dict[Client, None] = {}
        layout = state.layouts.get(layout_id)
        for subscription in audience.subscriptions if layout is not None else ():
            positions = subscription.selection.positions(layout) if layout is not None and subscription.values else ()
            if positions:
                stream = self._stream(state, layout_id, positions)
                subscription.streams[stream.id] = stream
                subscription.client.changed(subscription)
                clients[subscription.client] = None
        return streams, list(clients)

    def _stream(self, state: ServerState, layout_id: int, positions: tuple[int, ...]) -> Stream:
        streams = self.of(state.record.id).streams.setdefault(layout_id, [])
        for followed in streams:
            if followed.stream.positions == positions:
                return followed.stream
        layout = state.layouts[layout_id]
        series_list = self._list(tuple(layout.series[position] for position in positions))
        interval_ms = state.interval_of(layout_id)
        stream = Stream(next(self._numbers), series_list, state.record.id, layout, positions, interval_ms)
        newest = state.newest.get(layout_id)
        if newest is not None:
            for frame in (newest.before, newest.frame):
                if frame is not None:
                    stream.take(frame)
        followed = self.followed[stream.id] = Followed(stream, idle_since=self._monotonic())
        streams.append(followed)
        return stream

    def _list(self, series: tuple[Series, ...]) -> SeriesList:
        found = self._lists.get(series)
        if found is None:
            found = self._lists[series] = SeriesList(next(self._numbers), series)
        return found

    def end_streams(self) -> None:
        """Ends streams of layouts that are not sent any more, and those that nobody has watched for a while."""
        idle = sum(followed.idle_since is not None for followed in self.followed.values())
        due = self._monotonic() - (LINGER_SECONDS if idle <= IDLE_STREAMS else 0.0)
        for server_id, audience in list(self.by_server.items()):
            state = self._registry.by_id.get(server_id)
            for layout_id, streams in list(audience.streams.items()):
                gone = state is None or not state.is_current(layout_id)
                for followed in list(streams):
                    if gone or (followed.idle_since is not None and followed.idle_since < due):
                        streams.remove(followed)
                        self._end(audience, followed)
                if not streams and (gone or not audience.subscriptions):
                    del audience.streams[layout_id]
            if not audience.streams and not audience.subscriptions:
                del self.by_server[server_id]

    def _end(self, audience: Audience, followed: Followed) -> None:
        del self.followed[followed.stream.id]
        for subscription in audience.subscriptions:
            if subscription.streams.pop(followed.stream.id, None) is not None:
                subscription.client.changed(subscription)
        for client in followed.clients:
            client.settle(keep_waiting=True)
