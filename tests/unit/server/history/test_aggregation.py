"""Aggregation of one series."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.server.history.aggregation import Aggregation, aggregate, increases

NAN = float("nan")


def run(times: list[int], values: list[float], how: Aggregation, step_ms: int | None = 60_000) -> dict[int, float]:
    points = aggregate(np.array(times, np.int64), np.array(values, float), how, 0, 10**12, step_ms)
    return dict(zip(points.times.tolist(), points.values.tolist(), strict=True))


TIMES = [0, 20_000, 40_000, 60_000, 80_000]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        pytest.param("avg", {0: (1 + 5 + 3) / 3, 60_000: (2 + 8) / 2}, id="avg"),
        pytest.param("min", {0: 1, 60_000: 2}, id="min"),
        pytest.param("max", {0: 5, 60_000: 8}, id="max"),
        pytest.param("sum", {0: 1 + 5 + 3, 60_000: 2 + 8}, id="sum"),
        pytest.param("last", {0: 3, 60_000: 8}, id="last"),
        # 1 -> 5 is +4; 5 -> 3 is a reset and +3; 3 -> 2 is a reset and +2; 2 -> 8 is +6
        pytest.param("increase", {0: 4 + 3, 60_000: 2 + 6}, id="increase"),
        pytest.param("rate", {0: (4 + 3) / 40, 60_000: (2 + 6) / 40}, id="rate"),
    ],
)
def test_buckets(how: str, expected: dict[int, float]) -> None:
    assert run(TIMES, [1, 5, 3, 2, 8], Aggregation(how)) == pytest.approx(expected)


def test_a_bucket_without_samples_is_not_there_and_no_value_is_skipped() -> None:
    assert run([0, 20_000, 200_000], [1, NAN, 7], Aggregation.AVG) == {0: 1, 180_000: 7}


def test_a_rate_over_a_gap_is_spread_over_the_gap() -> None:
    assert run([0, 600_000], [0, 600], Aggregation.RATE, None) == {600_000: 1.0}


@pytest.mark.parametrize("how", list(Aggregation))
def test_nothing_in_nothing_out(how: Aggregation) -> None:
    assert run([], [], how) == {}
    assert run([0], [NAN], how) == {}


def test_increases_are_reset_aware() -> None:
    assert increases(np.array([10.0, 15.0, 3.0, 3.0])).tolist() == [5, 3, 0]


@given(
    values=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200),
    step_ms=st.sampled_from([1_000, 7_000, 60_000]),
    interval_ms=st.sampled_from([500, 1_000, 10_000]),
)
def test_the_envelope_holds_every_sample_and_the_averages(values: list[float], step_ms: int, interval_ms: int) -> None:
    times = np.arange(len(values), dtype=np.int64) * interval_ms
    points = aggregate(times, np.array(values), Aggregation.AVG, 0, 10**12, step_ms)
    assert points.low is not None
    assert points.high is not None
    assert points.low.min() == min(values)
    assert points.high.max() == max(values)
    slack = 1e-6 + 1e-12 * np.abs(points.values)
    assert (points.low <= points.values + slack).all()
    assert (points.values <= points.high + slack).all()
    assert (np.diff(points.times) > 0).all()
    assert (points.times % step_ms == 0).all()


@given(values=st.lists(st.integers(0, 10**6), min_size=2, max_size=100), step_ms=st.sampled_from([1_000, 60_000]))
def test_increases_of_all_buckets_add_up(values: list[int], step_ms: int) -> None:
    times = [index * 10_000 for index in range(len(values))]
    # A fall of less than 1 % is no reset, but shows nowhere as negative growth.
    growth = [b - a if b >= a * 0.99 else b for a, b in itertools.pairwise(values)]
    buckets: dict[int, int] = {}
    for time_ms, grown in zip(times[1:], growth, strict=True):
        buckets[time_ms // step_ms] = buckets.get(time_ms // step_ms, 0) + grown
    found = run(times, [float(value) for value in values], Aggregation.INCREASE, step_ms)
    assert list(found.values()) == [max(0, grown) for grown in buckets.values()]
