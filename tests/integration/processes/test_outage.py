"""After a day without an API server the history has no hole, and completeness says so."""

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from tests.support.agent_day import AGENT_ID, INTERVAL_MS
from tests.support.processes import api_server, enrolled, free_port, logged_in, wait_for
from tests.support.repository import REPOSITORY


def test_a_day_of_outage_leaves_no_hole(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    end_ms = (time.time_ns() // 1_000_000 - 3_600_000) // INTERVAL_MS * INTERVAL_MS
    start_ms = end_ms - 86_400_000
    with api_server(tmp_path / "server", port):
        token = enrolled(url, AGENT_ID)[AGENT_ID]

    def agent(since_ms: int) -> "subprocess.Popen[str]":
        words = [str(tmp_path / "buffer"), url, str(since_ms), str(end_ms), token]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.agent_day", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )

    first = agent(start_ms)
    assert first.stdout is not None
    for _ in range(3_000):
        last_ms = int(first.stdout.readline())
    first.kill()
    first.communicate()
    second = agent(last_ms)
    assert second.stdout is not None
    for line in second.stdout:
        if line == "day over\n":
            break
    try:
        with api_server(tmp_path / "server", port), logged_in(url) as client:

            def judged() -> dict[str, object]:
                answer = client.get("/api/metrics/completeness", params={"start": start_ms, "end": end_ms})
                (one,) = answer.raise_for_status().json()["servers"] or [{"stored": 0}]
                return one

            expected = 86_400_000 // INTERVAL_MS
            wait_for(lambda: judged()["stored"] >= expected - 1, "the whole day")
            found = judged()
            assert found["gaps"] == []
            assert found["ratio"] == 1.0
            assert found["stored"] == found["expected"]
            asked = {"metric": "ramp_7", "start": start_ms, "end": end_ms, "max_points": 10_000}
            (series,) = client.get("/api/metrics/history", params=asked).raise_for_status().json()["series"]
            # A started agent samples once before its first tick; no two samples are further apart than the interval.
            times = series["times"]
            assert max(after - before for before, after in pairwise(times)) == INTERVAL_MS
            assert len(set(times)) == len(times) >= expected - 1
            assert set(series["values"]) == {7.0}
    finally:
        second.communicate(timeout=90)
    assert second.returncode == 0
