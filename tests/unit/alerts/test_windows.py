"""Functions over windows, in memory and over stored history."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.alerts.conditions import Function
from bongsu.alerts.windows import Ring, rolling

START = 1_750_000_000_000


def a_ring(samples: list[tuple[int, float]], slots: int = 16, spacing_ms: int = 0, interval_ms: int = 10_000) -> Ring:
    """A ring with one track of these (second, value) samples."""
    ring = Ring(slots, spacing_ms)
    track = np.array([ring.add(interval_ms)])
    for second, value in samples:
        ring.push(track, np.array([START + second * 1000]), np.array([float(value)]), START)
    return ring


def reduced(ring: Ring, function: Function, window: int, second: int) -> float:
    return float(ring.reduce(np.array([0]), function, window * 1000, np.array([START + second * 1000]))[0])


FIVE = [(0, 3.0), (10, 5.0), (20, 1.0), (30, 2.0), (40, 4.0)]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        pytest.param("avg", 7 / 3, id="avg of 1, 2, 4"),
        pytest.param("min", 1.0, id="min"),
        pytest.param("max", 4.0, id="max"),
        pytest.param("last", 4.0, id="last"),
        pytest.param("sum", 7.0, id="sum"),
        pytest.param("increase", 1 + 1 + 2, id="from 5 to 1 is a reset, so it grew by 1; then by 1 and 2"),
        pytest.param("rate", 4 / 30, id="4 in 30 s"),
    ],
)  # fmt: skip
def test_functions(function: str, expected: float) -> None:
    # (10, 40]: the sample at 10 s is not in the window, but increase and rate count from it.
    assert reduced(a_ring(FIVE), Function(function), 30, 40) == pytest.approx(expected)


@pytest.mark.parametrize("function", list(Function))
def test_an_empty_window_has_no_value(function: Function) -> None:
    assert np.isnan(reduced(a_ring(FIVE), function, 30, 100))
    assert np.isnan(reduced(a_ring([]), function, 30, 100))


def test_rate_needs_two_samples() -> None:
    assert np.isnan(reduced(a_ring([(0, 5.0)]), Function.RATE, 30, 0))


def test_a_window_that_is_longer_than_the_ring_counts_what_is_kept() -> None:
    ring = a_ring([(0, 1.0), (10, 2.0), (20, 4.0), (30, 8.0), (40, 16.0), (50, 32.0)], slots=4)
    assert reduced(ring, Function.INCREASE, 500, 50) == 32.0 - 4.0, "the oldest that is kept is no reset of the newest"
    assert reduced(ring, Function.AVG, 500, 50) == 15.0


def test_late_and_missing_samples_are_ignored() -> None:
    ring = a_ring(FIVE)
    for second, value in ((20, 100.0), (40, 100.0), (50, float("nan"))):
        ring.push(np.array([0]), np.array([START + second * 1000]), np.array([value]), START)
    assert reduced(ring, Function.MAX, 60, 50) == 5.0
    assert ring.newest[0] == START + 40_000


def test_stored_samples_are_put_before_newer_ones() -> None:
    ring = a_ring([(40, 4.0), (50, 6.0)])
    times = np.array([START + 1000 * second for second in (0, 10, 20, 30, 40)])
    ring.fill(0, times, np.array([3.0, 5.0, float("nan"), 2.0, 99.0]), START)
    assert ring.ready[0]
    assert reduced(ring, Function.SUM, 1000, 50) == 3 + 5 + 2 + 4 + 6
    ring.push(np.array([0]), np.array([START + 60_000]), np.array([1.0]), START)
    assert reduced(ring, Function.LAST, 1000, 60) == 1.0


def test_a_ring_keeps_the_newest_samples_of_the_history() -> None:
    ring = a_ring([], slots=8, interval_ms=1_000)
    times = START + 1000 * np.arange(100)
    ring.fill(0, times, np.arange(100.0), START)
    assert reduced(ring, Function.MIN, 1000, 99) == 92.0
    ring.push(np.array([0]), np.array([START + 100_000]), np.array([1.0]), START)
    assert reduced(ring, Function.SUM, 1000, 100) == sum(range(93, 100)) + 1


def test_a_ring_with_a_spacing_keeps_one_sample_per_spacing() -> None:
    ring = a_ring([(second, second) for second in range(0, 600, 10)], spacing_ms=60_000)
    times, values = ring.in_order(np.array([0]))
    assert values[times > 0].tolist() == [0.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0, 420.0, 480.0, 540.0]


def test_while_somebody_looks_the_ring_reaches_as_far_back_as_ever() -> None:
    as_ever = [(second, second) for second in range(0, 300, 10)]
    looked_at = [(second, second) for second in range(300, 601)]
    ring = a_ring(as_ever + looked_at, slots=32)
    times, values = ring.in_order(np.array([0]))
    kept = values[times > 0]
    assert kept[0] <= 600 - 29 * 10, "as many intervals as a window in a ring of 32 may have"
    assert np.diff(kept).max() <= 10
    assert kept[-1] == 600, "the newest"
    assert reduced(ring, Function.INCREASE, 200, 600) == pytest.approx(200, abs=9)
    assert reduced(ring, Function.AVG, 200, 600) == pytest.approx(505, abs=10)


def test_while_somebody_looks_and_there_is_room_all_samples_count() -> None:
    ring = a_ring([(second, second) for second in (0, 10, 20, 30, 31, 32, 33, 34)], slots=16)
    assert reduced(ring, Function.SUM, 1000, 34) == 190


def test_the_history_of_a_server_that_somebody_looked_at_fills_its_windows_as_ever() -> None:
    ring = a_ring([], slots=32)
    times = START + 1000 * np.arange(601)
    ring.fill(0, times, np.arange(601.0), START)
    stored, values = ring.in_order(np.array([0]))
    assert values[stored > 0].tolist() == list(range(290, 601, 10))


samples = st.lists(st.tuples(st.integers(1, 30), st.floats(0, 1e6)), max_size=40)


@given(samples, st.sampled_from(Function), st.integers(1, 200), st.integers(0, 100))
def test_rolling_over_history_equals_the_ring(
    steps: list[tuple[int, float]], function: Function, window: int, first_end: int
) -> None:
    seconds = np.cumsum([step for step, _ in steps], dtype=np.int64)
    values = np.array([value for _, value in steps])
    ring = a_ring(list(zip(seconds.tolist(), values.tolist(), strict=True)), slots=64)
    ends = START + 1000 * np.arange(first_end, first_end + 1200, 97)
    live = [float(ring.reduce(np.array([0]), function, window * 1000, np.array([end]))[0]) for end in ends]
    back = rolling(START + seconds * 1000, values, function, window * 1000, ends)
    np.testing.assert_allclose(back, live, rtol=1e-9, atol=1e-6)


@given(samples, st.sampled_from(Function), st.integers(0, 200), st.integers(0, 60))
def test_a_ring_that_has_gone_round_answers_like_one_that_has_not(
    steps: list[tuple[int, float]], function: Function, window: int, before_last: int
) -> None:
    seconds = np.cumsum([step for step, _ in steps], dtype=np.int64).tolist()
    pairs = list(zip(seconds, [value for _, value in steps], strict=True))
    kept, whole = a_ring(pairs, slots=8, interval_ms=1_000), a_ring(pairs, slots=64, interval_ms=1_000)
    end = (seconds[-1] if seconds else 0) - before_last
    # As far back as the small ring remembers.
    oldest = seconds[-8:][0] if seconds else 0
    window = min(window, end - oldest)
    if window > 0:
        np.testing.assert_allclose(
            reduced(kept, function, window, end), reduced(whole, function, window, end), rtol=1e-9, atol=1e-6
        )


@given(
    series=st.lists(samples, min_size=1, max_size=9),
    wanted=st.sets(st.integers(0, 8), min_size=1),
    function=st.sampled_from(Function),
    window=st.integers(1, 200),
    seconds=st.lists(st.integers(0, 100), min_size=9, max_size=9),
)
def test_tracks_are_reduced_together_as_each_alone(
    series: list[list[tuple[int, float]]], wanted: set[int], function: Function, window: int, seconds: list[int]
) -> None:
    """Adjacent ones, some with gaps between them, and some far apart; windows may end before the newest sample."""
    ring = Ring(8)
    for of_track in series:
        track = np.array([ring.add(10_000)])
        for second, value in of_track:
            ring.push(track, np.array([START + second * 1000]), np.array([float(value)]), START)
    tracks = np.array(sorted(index for index in wanted if index < len(series)), np.intp)
    ends = np.array([START + second * 1000 for second in seconds], np.int64)[: len(tracks)]
    together = ring.reduce(tracks, function, window * 1000, ends)
    alone = [ring.reduce(tracks[i : i + 1], function, window * 1000, ends[i : i + 1])[0] for i in range(len(tracks))]
    np.testing.assert_allclose(together, np.array(alone), rtol=1e-9, atol=1e-6)
