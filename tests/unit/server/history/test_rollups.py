"""Points of several series that are computed as one, against those of each alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.arrays import Times, Values
from bongsu.core.units import MINUTE_MS
from bongsu.server.history import rollups
from bongsu.server.history.aggregation import GROWTH, Aggregation, Points, aggregate, aggregate_all
from bongsu.server.history.rollups import SeriesRollup, aggregate_rollup, aggregate_rollups

START, END = 100 * MINUTE_MS + 12_345, 160 * MINUTE_MS + 777
NOT_GROWTH = [how for how in Aggregation if how not in GROWTH]

# Minutes of a sample, some before and some after the range, and whether it has a value.
minutes = st.lists(st.integers(80, 180), max_size=40, unique=True).map(sorted)
samples = minutes.flatmap(
    lambda found: st.tuples(
        st.just(found),
        st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=len(found), max_size=len(found)),
    )
)


def arrays(found: tuple[list[int], list[float]]) -> tuple[Times, Values]:
    return np.array(found[0], np.int64) * MINUTE_MS + 1_000, np.array(found[1], np.float64)


def plain(points: Points) -> list[list[float]]:
    columns = (points.times, points.values, points.low, points.high)
    return [[] if column is None else column.tolist() for column in columns]


def same(mine: Points, other: Points) -> bool:
    if not len(other.times):
        return not len(mine.times)
    return plain(mine) == [pytest.approx(column, nan_ok=True) for column in plain(other)]


@given(series=st.lists(samples, min_size=1, max_size=6), how=st.sampled_from(NOT_GROWTH), step=st.sampled_from([1, 7]))
def test_samples(series: list[tuple[list[int], list[float]]], how: Aggregation, step: int) -> None:
    found = aggregate_all([arrays(each) for each in series], how, START, END, step * MINUTE_MS)
    for mine, each in zip(found, series, strict=True):
        assert same(mine, aggregate(*arrays(each), how, START, END, step * MINUTE_MS))


@given(
    series=st.lists(st.lists(samples, max_size=3), min_size=1, max_size=5),
    how=st.sampled_from([how for how in NOT_GROWTH if how.percentile is None]),
    step=st.sampled_from([1, 7]),
    worth=st.sampled_from([1, 100]),
)
def test_rollups(series: list[list[tuple[list[int], list[float]]]], how: Aggregation, step: int, worth: int) -> None:
    """The parts of a series may overlap: they are of different layouts."""
    parts = [
        [bucket for part in each for bucket in SeriesRollup.of_columns(*columns(part), set(), MINUTE_MS).values()]
        for each in series
    ]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rollups, "_WORTH_MERGING", worth)
        for _ in range(2):  # with what the parts keep from the first time
            found = aggregate_rollups(parts, how, START - START % MINUTE_MS, END, step * MINUTE_MS)
    assert len(found) == len(series)
    for mine, each in zip(found, parts, strict=True):
        if not each:
            assert not len(mine.times)
            continue
        joined = SeriesRollup.joined(each)
        first_ms = START - START % MINUTE_MS
        assert same(mine, aggregate_rollup(joined, how, first_ms, END, step * MINUTE_MS, counter=False))


def columns(part: tuple[list[int], list[float]]) -> tuple[Times, dict[int, Values]]:
    times, values = arrays(part)
    return times, {0: values} if len(times) else {}
