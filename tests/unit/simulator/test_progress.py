"""What people see of a running simulator."""

import io
import re
from types import SimpleNamespace
from typing import Any

from bongsu.simulator.progress import Progress
from bongsu.simulator.totals import Totals


def a_fleet(**changes: Any) -> Any:
    fleet = SimpleNamespace(
        options=SimpleNamespace(servers=20, run_ms=0, interval_ms=10_000),
        totals=Totals(),
        enrolled=20,
        history_left=0,
        enrolment=SimpleNamespace(waiting=""),
        uplink=SimpleNamespace(away=""),
    )
    for name, value in changes.items():
        setattr(fleet, name, value)
    return fleet


def test_a_line_of_a_fleet_that_runs_until_it_is_stopped() -> None:
    fleet = a_fleet(totals=Totals(stored=1_200, samples=144_000, failed_requests=2, rejected=1))
    for _ in range(100):
        fleet.totals.latencies.add(4.0)
    line = Progress(fleet, io.StringIO()).line()
    assert "20 servers" in line
    assert "frames/s" in line
    assert "ack p50 4 p99 4 ms" in line
    assert "3 errors" in line
    assert "#" not in line


def test_a_bar_shows_how_much_of_the_time_has_passed() -> None:
    fleet = a_fleet()
    fleet.options.run_ms = 600_000
    assert Progress(fleet, io.StringIO()).line().startswith("[--------------------] 0s of 10m")


def test_a_line_tells_what_the_fleet_waits_for() -> None:
    fleet = a_fleet(enrolled=12, history_left=4_321)
    fleet.enrolment.waiting, fleet.uplink.away = "Too many requests", "connection refused"
    line = Progress(fleet, io.StringIO()).line()
    assert "12 of 20 servers enrolled, waiting: Too many requests" in line
    assert "4,321 frames of history left" in line
    assert "the API server is away (connection refused)" in line


def test_the_summary() -> None:
    totals = Totals(
        sent=130,
        stored=100,
        duplicates=10,
        rejected=20,
        late=3,
        lost=5,
        samples=12_000,
        requests=9,
        rejection="too old",
    )
    totals.refused = {"web-01": "revoked", "web-02": "revoked"}
    summary = Progress(a_fleet(totals=totals), io.StringIO()).summary()
    assert "130 frames sent, 100 stored, 10 duplicates, 20 rejected, 3 late, 5 lost" in summary
    assert "12,000 samples" in summary
    assert "acknowledged" not in summary
    assert "rejected: too old" in summary
    assert "given up: web-01 and 1 others: revoked" in summary


def test_the_summary_has_the_times_to_acknowledge_if_there_are_any() -> None:
    fleet = a_fleet()
    fleet.totals.latencies.add(10.0)
    assert re.search(r"acknowledged in p50 10\.\d ms, p99 10\.\d ms", Progress(fleet, io.StringIO()).summary())
