"""How busy simulated servers are over days."""

import numpy as np
import pytest

from bongsu.simulator.load_curve import DAY, HOUR, ORIGIN_SECONDS, WEEK, LoadCurve, Wave, load_curve


def test_the_work_is_the_integral_of_the_load() -> None:
    curve = load_curve(14.0, 0.45, np.random.default_rng(1))
    seconds = ORIGIN_SECONDS + 90 * DAY + np.arange(0.0, 2 * DAY, 10.0)
    grown = np.diff(curve.work(seconds))
    between = curve.load((seconds[1:] + seconds[:-1]) / 2)
    assert np.allclose(grown / 10.0, between, atol=1e-5)


def test_the_load_stays_above_zero_and_below_its_highest() -> None:
    curve = load_curve(14.0, 0.5, np.random.default_rng(2))
    load = curve.load(ORIGIN_SECONDS + np.arange(0.0, 8 * WEEK, 61.0))
    assert 0 < load.min() < 0.5
    assert 1.5 < load.max() <= curve.highest < 2.0
    assert load.mean() == pytest.approx(1.0, abs=0.01)


def test_servers_of_a_role_are_busiest_at_the_same_time_of_day() -> None:
    for number in range(5):
        curve = load_curve(14.0, 0.45, np.random.default_rng(number))
        hours = ORIGIN_SECONDS + 300 * DAY + np.arange(0.0, 28 * DAY, HOUR)
        by_hour = curve.load(hours).reshape(28, 24).mean(axis=0)
        assert 10 <= int(by_hour.argmax()) <= 15
        assert by_hour.max() > 2 * by_hour.min()


def test_waves_that_would_make_the_load_negative() -> None:
    with pytest.raises(ValueError, match="higher than the load"):
        LoadCurve((Wave(0.6, DAY, 0.0), Wave(0.4, WEEK, 0.0)))
