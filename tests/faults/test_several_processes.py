"""Two API servers and two workers on one PostgreSQL, each killed in turn: nothing is lost, and all say the same."""

import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.processes import Part, answers, free_port, logged_in, running, wait_for
from tests.support.redis import Redis
from tests.support.viewer import Viewer

RULE = {
    "name": "Always",
    "condition": {"type": "threshold", "metric": "cpu_usage_ratio", "function": "last", "window": "1m", "value": -1},
}


@pytest.mark.parametrize("bus", ["postgresql", "redis"])
def test_killed_in_turn(
    bus: str, tmp_path: Path, new_postgres_database: Callable[..., str], request: pytest.FixtureRequest
) -> None:
    environment = {"BONGSU_DATABASE_URL": new_postgres_database(), "BONGSU_ALERT_INTERVAL": "1s"}
    if bus == "redis":
        server: Redis = request.getfixturevalue("redis")
        environment["BONGSU_REDIS_URL"] = server.url
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    data_dir = ["--data-dir", str(tmp_path)]
    api = {
        f"api {port}": Part(["server", "--role", "api", "--port", str(port), *data_dir], environment) for port in ports
    }
    workers = {f"worker {n}": Part(["server", "--role", "worker", *data_dir], environment) for n in (1, 2)}
    with running(api | workers):
        for url, part in zip(urls, api.values(), strict=True):
            wait_for(lambda url=url, part=part: part.runs() and answers(url), "the API servers")
        with logged_in(urls[0]) as client:
            token = client.headers["Authorization"].removeprefix("Bearer ")
            client.post("/api/alerts/rules", json=RULE).raise_for_status()
            enrolment = client.post("/api/enrolment-tokens", json={"name": "tests"}).raise_for_status().json()["token"]
        agent = Part(
            ["agent", "run"],
            {
                "BONGSU_AGENT_SERVER": ",".join(urls),
                "BONGSU_AGENT_DATA_DIR": str(tmp_path / "agent"),
                "BONGSU_AGENT_ENROLMENT_TOKEN": enrolment,
                "BONGSU_AGENT_INTERVAL": "1s",
                "BONGSU_AGENT_TIMEOUT": "5s",
            },
        )

        def get(url: str, path: str, **parameters: Any) -> Any:
            answer = httpx.get(url + path, params=parameters, headers={"Authorization": f"Bearer {token}"}, timeout=30)
            return answer.raise_for_status().json()

        def shows(url: str) -> int:
            """The newest time that an API server shows; 0: it does not answer, or shows none."""
            with contextlib.suppress(httpx.HTTPError):
                servers = get(url, "/api/metrics/current", metric="cpu_usage_ratio")["servers"]
                return max((server["time_ms"] for server in servers), default=0)
            return 0

        def all_go_on(viewers: list[Viewer]) -> None:
            """Every API server and every viewer shows what is sampled from now on."""
            now_ms = time.time_ns() // 1_000_000
            for url in urls:
                wait_for(lambda url=url: shows(url) > now_ms, "every API server to show what is sampled now")
            for viewer in viewers:
                wait_for(lambda viewer=viewer: viewer.newest_ms > now_ms, "every viewer to see what is sampled now")

        with running({"agent": agent}):
            for url in urls:
                wait_for(lambda url=url: shows(url), "the first frame")
            viewers = [Viewer(urls, token), Viewer(urls[::-1], token)]
            all_go_on(viewers)
            for part in (*api.values(), *workers.values()):
                part.kill()
                now_ms = time.time_ns() // 1_000_000
                wait_for(lambda now_ms=now_ms: min(v.newest_ms for v in viewers) > now_ms, "the rest to go on")
                part.start()
                all_go_on(viewers)
            assert agent.process is not None
            agent.process.send_signal(signal.SIGTERM)
            assert agent.process.wait(60) == 0
            wait_for(lambda: all(get(url, "/api/alerts/active", state="firing")["alerts"] for url in urls), "the alert")
        found = []
        for url in urls:
            now_ms = time.time_ns() // 1_000_000
            (series,) = get(url, "/api/metrics/history", metric="cpu_usage_ratio", start="-1h", max_points=10_000)[
                "series"
            ]
            end_ms = series["times"][-1] + 1
            (complete,) = get(url, "/api/metrics/completeness", start=str(series["times"][0]), end=str(end_ms))[
                "servers"
            ]
            # On a busy machine the agent may skip a tick, and says so; what it has sampled is there.
            (skipped,) = get(
                url, "/api/metrics/history", metric="agent_missed_ticks_total", aggregation="last", start="-1h"
            )["series"]
            assert sum(gap["missing"] for gap in complete["gaps"]) <= max(value or 0 for value in skipped["values"])
            fired = [
                event["id"]
                for event in get(url, "/api/events", type="alert_fired")["events"]
                if event["rule_name"] == RULE["name"]
            ]
            assert len(fired) == 1, "neither lost nor twice"
            found.append((series["times"], fired))
        assert found[0] == found[1], "both say the same"
        for viewer in viewers:
            wait_for(lambda viewer=viewer: not viewer.misses(found[0][0]), "what every viewer must be told")
            viewer.stop()
            assert viewer.connections > 1
