"""What a simulator counts."""

import pytest

from bongsu.simulator.totals import Latencies, Totals


def test_percentiles_are_right_to_five_percent() -> None:
    latencies = Latencies()
    for milliseconds in range(1, 1_001):
        latencies.add(milliseconds)
    assert latencies.percentile(50) == pytest.approx(500, rel=0.05)
    assert latencies.percentile(99) == pytest.approx(990, rel=0.05)
    assert latencies.percentile(100) == pytest.approx(1_000, rel=0.05)


def test_no_percentile_without_times() -> None:
    assert Latencies().percentile(99) == 0.0


def test_the_shortest_times_fall_into_the_first_class() -> None:
    latencies = Latencies()
    latencies.add(0.0)
    assert latencies.percentile(50) == pytest.approx(0.1)


def test_duplicates_and_late_frames_are_no_loss() -> None:
    assert Totals(sent=3, stored=2, duplicates=1, late=2, failed_requests=4).is_complete
    assert not Totals(rejected=1).is_complete
    assert not Totals(lost=1).is_complete
    assert not Totals(refused={"web-01": "why"}).is_complete
