"""From messages to frames."""

from bongsu.core.series import Kind, Series
from bongsu.watch.frames import Frames
from bongsu.wire.live import Sample, ServerMessage, StreamInfo

CPU = Series("cpu_usage_ratio", (), "ratio")
RECEIVED = Series("network_receive_bytes_total", (("interface", "eth0"),), "bytes", Kind.COUNTER)
CONTAINER = Series("container_cpu_ratio", (("name", "db"),), "ratio")


def described(first: int = 7) -> ServerMessage:
    return ServerMessage(
        series_lists={first: (CPU, RECEIVED), first + 1: (CONTAINER,)},
        streams={first: StreamInfo(1, first, 10_000), first + 1: StreamInfo(1, first + 1, 10_000)},
    )


def times(frames: Frames, *samples: Sample) -> list[int]:
    return [frame.time_ms for frame in frames.take(ServerMessage(values=list(samples)))]


def test_values_and_rates_belong_to_their_series() -> None:
    frames = Frames()
    assert list(frames.take(described())) == []
    (frame,) = frames.take(ServerMessage(values=[Sample(7, 1_000, (0.5, 10.0), (3.0,))]))
    assert frame.readings == ((CPU, 0.5, None), (RECEIVED, 10.0, 3.0))
    assert (frame.time_ms, frame.interval_ms) == (1_000, 10_000)


def test_frames_come_in_the_order_of_time_and_once() -> None:
    frames = Frames()
    list(frames.take(described()))
    assert times(frames, Sample(7, 2_000, (0, 0), (0,)), Sample(7, 1_000, (0, 0), (0,))) == [1_000, 2_000]
    frames.reconnected()
    list(frames.take(described(first=50)))
    again = [Sample(50, time_ms, (0, 0), (0,)) for time_ms in (1_000, 2_000, 3_000)]
    assert times(frames, *again) == [3_000]


def test_values_of_a_stream_that_was_not_described_are_left_out() -> None:
    frames = Frames()
    assert times(frames, Sample(7, 1_000, (0,), ())) == []


def test_since_is_the_newest_time_that_all_streams_have() -> None:
    frames = Frames()
    assert frames.since_ms == 0
    list(frames.take(described()))
    times(frames, Sample(7, 1_000, (0, 0), (0,)), Sample(8, 1_000, (0,), ()))
    times(frames, Sample(7, 11_000, (0, 0), (0,)))
    assert frames.since_ms == 1_000, "the other stream's frame of 11 s may have been lost"
    times(frames, Sample(7, 71_000, (0, 0), (0,)))
    assert frames.since_ms == 71_000, "a stream that ended a minute ago does not count"
