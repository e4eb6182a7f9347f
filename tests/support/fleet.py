"""A fleet of simulated servers, and the API server that they send to."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.processes import api_server, bongsu, free_port, logged_in, wait_for


@dataclass
class Fleet:
    """``client`` is logged in as an admin; ``stop`` ends the process that simulates the servers."""

    url: str
    client: httpx.Client
    stop: Callable[[], None]


@contextlib.contextmanager
def simulated_fleet(folder: Path, servers: int) -> Iterator[Fleet]:
    """Starts both, and waits until every server sends; each sends every second."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with api_server(folder / "server", port), logged_in(url) as client:
        unlimited = {"name": "tests", "uses": 0}
        token = client.post("/api/enrolment-tokens", json=unlimited).raise_for_status().json()["token"]
        words = ["--servers", str(servers), "--interval", "1s", "--url", url, "--data-dir", str(folder / "simulator")]
        with bongsu("simulate", *words, BONGSU_SIMULATE_ENROLMENT_TOKEN=token) as simulator:

            def all_send() -> bool:
                answer = client.get("/api/metrics/current", params={"metric": "cpu_usage_ratio"}).raise_for_status()
                return len(answer.json()["servers"]) == servers

            wait_for(all_send, "all servers to send")
            yield Fleet(url, client, simulator.kill)
