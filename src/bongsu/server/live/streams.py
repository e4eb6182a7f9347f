"""A stream: what subscriptions take of one layout of one server. Each frame is encoded once for all clients."""

from collections import deque

import numpy as np

from bongsu.arrays import Values, growth
from bongsu.core.samples import Frame
from bongsu.core.series import Kind, Layout, Series
from bongsu.wire import live

# A client that was away for less gets what it missed.
RECENT_MS = 60_000

_DOUBLE = np.dtype("<f8")


class SeriesList:
    """The series of a stream, in order. Streams of many servers share one."""

    def __init__(self, list_id: int, series: tuple[Series, ...]) -> None:
        self.id = list_id
        self.definition = live.series_list(list_id, series)


class Stream:
    """One stream. ``definition``: the part of a message that says what it is."""

    def __init__(
        self,
        stream_id: int,
        series_list: SeriesList,
        server_id: int,
        layout: Layout,
        positions: tuple[int, ...],
        interval_ms: int,
    ) -> None:
        self.id = stream_id
        self.series_list = series_list
        self.server_id = server_id
        self.positions = positions
        self.definition = live.stream(stream_id, server_id, series_list.id, interval_ms)
        self.newest_ms = 0
        # (time, encoded) of the last frames, oldest first.
        self.recent: deque[tuple[int, bytes]] = deque()
        self._all = len(positions) == len(layout.series)
        self._positions = np.array(positions, np.intp)
        kinds = [layout.series[position].kind for position in positions]
        self._counters = np.array([index for index, kind in enumerate(kinds) if kind is Kind.COUNTER], np.intp)
        self._before: Values | None = None

    def take(self, frame: Frame) -> bytes:
        """Encodes a frame that is newer than all before it."""
        values = np.frombuffer(frame.values, _DOUBLE)
        if not self._all:
            values = values[self._positions]
        rates = b""
        if len(self._counters):
            counters = values[self._counters]
            if self._before is None:
                per_second = np.full(len(counters), np.nan)
            else:
                seconds = (frame.time_ms - self.newest_ms) / 1000
                with np.errstate(invalid="ignore", over="ignore"):  # agents may send infinity
                    per_second = np.maximum(growth(self._before, counters), 0.0) / seconds
            self._before = counters
            rates = per_second.astype(_DOUBLE, copy=False).tobytes()
        part = live.values(self.id, frame.time_ms, frame.values if self._all else values.tobytes(), rates)
        self.newest_ms = frame.time_ms
        self.recent.append((frame.time_ms, part))
        while self.recent[0][0] < frame.time_ms - RECENT_MS:
            self.recent.popleft()
        return part

    def since(self, time_ms: int) -> tuple[list[tuple[int, bytes]], int]:
        """The frames after a time, and where they begin: what lies before that may have been missed."""
        frames = [(at, part) for at, part in self.recent if at > time_ms]
        complete = bool(self.recent) and self.recent[0][0] <= time_ms
        return frames, time_ms if complete or not frames else frames[0][0]
