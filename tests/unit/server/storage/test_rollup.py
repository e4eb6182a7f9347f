"""Rollups say of the samples what the samples say of themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.history.aggregation import Aggregation, aggregate, present
from bongsu.server.history.rollups import SeriesRollup, aggregate_rollup
from bongsu.server.storage.blocks import CorruptBlock, Head
from bongsu.server.storage.rollup import Rollup, coarser, combined, more_complete, of_frames
from bongsu.server.storage.rollup_blocks import decode_rollup, encode_rollup

NAN = float("nan")
COUNTERS = np.array([False, True])
START = 1_749_600_000_000  # a full hour


@st.composite
def frames(draw: st.DrawFn, most: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Times within three hours and values of a gauge and of a counter that resets now and then, some of them missing."""
    offsets = sorted(draw(st.sets(st.integers(0, 3 * HOUR_MS - 1), min_size=1, max_size=most)))
    gauge = draw(st.lists(st.sampled_from([NAN, 0.0, 1.0, 2.5, 7.0]), min_size=len(offsets), max_size=len(offsets)))
    steps = draw(st.lists(st.sampled_from([NAN, -1.0, 0.0, 3.0, 10.0]), min_size=len(offsets), max_size=len(offsets)))
    counter, now = [], 100.0
    for step in steps:
        if step == -1.0:
            now = 2.0
        elif step == step:
            now += step
        counter.append(NAN if step != step else now)
    return START + np.array(offsets, np.int64), np.stack([gauge, counter], axis=1)


def same(one: Rollup, other: Rollup) -> None:
    for name in ("times", "first_ms", "last_ms", "frames", "count"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    some = (one.count > 0)[None]
    np.testing.assert_allclose(np.where(some, one.stats, 0), np.where(some, other.stats, 0), rtol=1e-12)


def test_a_minute_by_hand() -> None:
    times = START + np.array([0, 20_000, 40_000, 60_000, 80_000], np.int64)
    values = np.array([[1.0, 100.0], [5.0, 110.0], [NAN, 3.0], [2.0, 4.0], [NAN, NAN]])
    found = of_frames(times, values, COUNTERS, MINUTE_MS)
    assert found.times.tolist() == [START, START + 60_000]
    assert found.frames.tolist() == [3, 2]
    assert found.count.tolist() == [[2, 3], [1, 1]]
    # sum, min, max, last
    assert found.stats[:, 0, 0].tolist() == [6.0, 1.0, 5.0, 5.0]
    # first, resets (it had 110 when it fell), -, last: it grew by 3 - 100 + 110 = 13
    assert found.stats[[0, 1, 3], 0, 1].tolist() == [100.0, 110.0, 3.0]


@given(frames())
def test_hours_of_minutes_are_hours_of_samples(given_frames: tuple[np.ndarray, np.ndarray]) -> None:
    minutes = of_frames(*given_frames, COUNTERS, MINUTE_MS)
    same(coarser(minutes, COUNTERS, HOUR_MS), of_frames(*given_frames, COUNTERS, HOUR_MS))


@given(frames())
def test_what_is_stored_is_what_was_made(given_frames: tuple[np.ndarray, np.ndarray]) -> None:
    made = of_frames(*given_frames, COUNTERS, MINUTE_MS)
    packed = encode_rollup(made, COUNTERS)
    again = decode_rollup(Head.open(packed.head, packed.checksum), packed.data, COUNTERS)
    same(again, made)
    assert encode_rollup(again, COUNTERS) == packed, "made again from itself, it is the same row"


@given(frames(), st.data())
def test_late_frames_are_added_to_what_is_left_of_the_others(
    given_frames: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    """Exact unless they alternate within a bucket: they may be copies, so the fuller of the two buckets stays."""
    times, values = given_frames
    late = np.array(data.draw(st.lists(st.booleans(), min_size=len(times), max_size=len(times))))
    if late.all() or not late.any():
        return
    old, new = (of_frames(times[rows], values[rows], COUNTERS, MINUTE_MS) for rows in (~late, late))
    found, whole = combined(old, new, COUNTERS), of_frames(times, values, COUNTERS, MINUTE_MS)
    np.testing.assert_array_equal(found.times, whole.times)
    for bucket_ms in whole.times.tolist():
        kept, added = (rollup.part(rollup.times == bucket_ms) for rollup in (old, new))
        result, exact = (rollup.part(rollup.times == bucket_ms) for rollup in (found, whole))
        if (
            not len(kept.times)
            or not len(added.times)
            or kept.first_ms > added.last_ms
            or added.first_ms > kept.last_ms
        ):
            same(result, exact)
        else:
            same(result, added if added.frames > kept.frames else kept)
    same(combined(found, new, COUNTERS), found)  # the same frames once more change nothing
    cut = data.draw(st.integers(1, len(times) - 1))
    old, new = (of_frames(times[rows], values[rows], COUNTERS, MINUTE_MS) for rows in (slice(cut), slice(cut, None)))
    same(combined(new, old, COUNTERS), whole)
    same(combined(old, new, COUNTERS), whole)


def test_of_two_buckets_of_one_time_the_fuller_stays() -> None:
    times = START + np.arange(12, dtype=np.int64) * 10_000
    values = np.stack([np.arange(12.0), np.arange(12.0)], axis=1)
    whole = of_frames(times, values, COUNTERS, MINUTE_MS)
    same(more_complete(whole, of_frames(times[3:], values[3:], COUNTERS, MINUTE_MS)), whole)
    same(more_complete(of_frames(times[3:], values[3:], COUNTERS, MINUTE_MS), whole), whole)
    same(more_complete(whole.part(slice(0, 1)), whole.part(slice(1, 2))), whole)


AGGREGATIONS = ("avg", "min", "max", "sum", "last", "count", "rate", "increase")


@given(frames(), st.sampled_from(AGGREGATIONS), st.booleans(), st.sampled_from([MINUTE_MS, 5 * MINUTE_MS, HOUR_MS]))
def test_points_from_a_rollup_are_points_from_the_samples(
    given_frames: tuple[np.ndarray, np.ndarray], name: str, counter: bool, step_ms: int
) -> None:
    how = Aggregation(name)
    if counter and name in ("avg", "min", "max", "sum"):
        return  # needs the samples
    times, values = given_frames
    column = values[:, int(counter)]
    start_ms, end_ms = START + HOUR_MS, START + 2 * HOUR_MS
    exact = aggregate(times, column, how, start_ms, end_ms, step_ms, counter=counter)
    times, column = present(times, column)
    if not len(times):
        assert not len(exact.times)
        return
    rolled = SeriesRollup.of_samples(times, column, MINUTE_MS, counter=counter)
    found = aggregate_rollup(rolled, how, start_ms, end_ms, step_ms, counter=counter)
    np.testing.assert_array_equal(found.times, exact.times)
    np.testing.assert_allclose(found.values, exact.values, rtol=1e-12)
    if name in ("avg", "min", "max"):
        np.testing.assert_array_equal(found.low, exact.low)
        np.testing.assert_array_equal(found.high, exact.high)


def test_a_damaged_rollup_is_noticed() -> None:
    times = START + np.arange(60, dtype=np.int64) * 10_000
    values = np.stack([np.sin(np.arange(60.0)), np.arange(60.0)], axis=1)
    packed = encode_rollup(of_frames(times, values, COUNTERS, MINUTE_MS), COUNTERS)
    head = Head.open(packed.head, packed.checksum)
    for place in range(len(packed.data)):
        damaged = bytearray(packed.data)
        damaged[place] ^= 1
        with pytest.raises(CorruptBlock):
            decode_rollup(head, bytes(damaged), COUNTERS)


@pytest.mark.parametrize("percent", [50, 95, 99])
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-100, 100)), min_size=1, max_size=50))
def test_percentiles_are_those_of_numpy(percent: int, samples: list[tuple[int, float]]) -> None:
    samples.sort(key=lambda one: one[0])
    buckets = np.array([bucket for bucket, _ in samples], np.int64)
    times = buckets * 1_000 + np.arange(len(samples))
    values = np.array([value for _, value in samples])
    found = aggregate(times, values, Aggregation(f"p{percent}"), 0, 10_000, 1_000)
    expected = [np.percentile(values[buckets == bucket], percent) for bucket in np.unique(buckets)]
    np.testing.assert_allclose(found.values, expected, rtol=1e-9, atol=1e-9)


def test_a_tiny_fall_of_a_counter_is_no_reset() -> None:
    """CPU time less guest time on KVM: it stands still, but runs back and forth by a tick."""
    times = START + np.arange(0, 3 * HOUR_MS, 10_000, dtype=np.int64)
    still = 32_251.0 + np.where(np.arange(len(times)) % 2, 0.0, 0.01)
    values = np.stack([still, still], axis=1)
    assert (
        aggregate(times, values[:, 1], Aggregation.INCREASE, START + 1, START + 3 * HOUR_MS, HOUR_MS).values.max()
        < 0.02
    )
    minutes = of_frames(times, values, COUNTERS, MINUTE_MS)
    hours = coarser(minutes, COUNTERS, HOUR_MS)
    for rollup in (minutes, hours, combined(minutes.part(slice(0, 90)), minutes.part(slice(90, None)), COUNTERS)):
        grown = rollup.stats[3, :, 1] - rollup.stats[0, :, 1] + rollup.stats[1, :, 1]
        assert abs(grown).max() < 0.02
    for step_ms in (MINUTE_MS, HOUR_MS):
        series = SeriesRollup.of_samples(times, values[:, 1], MINUTE_MS, counter=True)
        points = aggregate_rollup(series, Aggregation.INCREASE, START, START + 3 * HOUR_MS, step_ms, counter=True)
        assert 0 <= points.values.min() <= points.values.max() < 0.02
    # A real reset still is one.
    fallen = np.array([100.0, 110.0, 3.0])
    assert aggregate(times[:3], fallen, Aggregation.INCREASE, START, START + HOUR_MS, HOUR_MS).values.tolist() == [13.0]
