"""From messages of the live stream to frames. A message refers to series lists and streams that came before it."""

from collections.abc import Iterator
from dataclasses import dataclass

from bongsu.core.series import Kind, Series
from bongsu.wire.live import ServerMessage, StreamInfo

# The API server keeps the frames of so long for a client that comes back.
_RECENT_MS = 60_000


@dataclass(frozen=True, slots=True)
class StreamFrame:
    """The values of one stream at one time. ``readings``: (series, value, growth per second of a counter or None), in
    the order of the stream; NaN: no value."""

    time_ms: int
    interval_ms: int
    readings: tuple[tuple[Series, float, float | None], ...]


class Frames:
    """Follows the streams of one subscription over all its connections."""

    def __init__(self) -> None:
        self._lists: dict[int, tuple[Series, ...]] = {}
        self._streams: dict[int, StreamInfo] = {}
        # Series of a stream -> the time of its newest frame; numbers of streams differ between connections.
        self._newest_ms: dict[tuple[Series, ...], int] = {}

    def reconnected(self) -> None:
        """Forgets the numbers of the connection before."""
        self._lists.clear()
        self._streams.clear()

    @property
    def since_ms(self) -> int:
        """The time after which frames are wanted again; 0: none came yet.

        The oldest of the streams, since one may have got its newest frame while another had not. Streams that were
        silent for longer than the API server keeps frames do not count.
        """
        newest = max(self._newest_ms.values(), default=0)
        return min((time_ms for time_ms in self._newest_ms.values() if time_ms >= newest - _RECENT_MS), default=0)

    def take(self, message: ServerMessage) -> Iterator[StreamFrame]:
        """The frames of a message that have not been seen, in the order of time."""
        self._lists |= message.series_lists
        self._streams |= message.streams
        for sample in sorted(message.values, key=lambda sample: sample.time_ms):
            info = self._streams.get(sample.stream_id)
            listed = self._lists.get(info.list_id) if info is not None else None
            if info is None or listed is None or sample.time_ms <= self._newest_ms.get(listed, 0):
                continue
            self._newest_ms[listed] = sample.time_ms
            rates = iter(sample.rates)
            yield StreamFrame(
                sample.time_ms,
                info.interval_ms,
                tuple(
                    (series, value, next(rates, None) if series.kind is Kind.COUNTER else None)
                    for series, value in zip(listed, sample.values, strict=False)
                ),
            )
