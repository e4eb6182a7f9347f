"""SIGSTOP and SIGKILL of the parts of ``bongsu up`` and of workers, while frames come in and alerts fire."""

import contextlib
import json
import re
import signal
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import httpx

from bongsu.wire import protobuf
from tests.support.endpoints import Endpoint, endpoint
from tests.support.processes import (
    Part,
    answers,
    bongsu,
    drained,
    enrolled,
    free_port,
    logged_in,
    part_of,
    running,
    wait_for,
)
from tests.support.pushes import a_frame, a_push, an_agent

SERVERS = 6
RULES = [
    {
        "name": metric,
        "condition": {"type": "threshold", "metric": metric, "function": "last", "window": "1m", "value": 0.9},
        "for": "0s",
    }
    for metric in ("cpu_usage_ratio", "memory_used_bytes")
]


class Fleet(threading.Thread):
    """Servers that send a frame each second, with these ``values`` of what the rules look at."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.values = (0.1, 0.1)
        self._url = url
        self._stop_asked = threading.Event()
        self._tokens = enrolled(url, *(an_agent(f"web-{number}").agent_id for number in range(SERVERS)))

    def run(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._stop_asked.wait(1):
                for number, token in enumerate(self._tokens.values()):
                    push = a_push(
                        [a_frame(time.time_ns() // 1_000_000, (*self.values, 1.0))],
                        name=f"web-{number}",
                        interval_ms=1_000,
                    )
                    headers = {"Authorization": f"Bearer {token}", "Content-Type": protobuf.CONTENT_TYPE}
                    content = protobuf.encode_push(push)
                    client.post(f"{self._url}/api/metrics", content=content, headers=headers).raise_for_status()

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()


def told(hook: Endpoint, event: str) -> Counter[str]:
    """Server -> how many messages told of this, without those that say that they may be repeated."""
    documents = [request.json for request in [*hook.received]]
    return Counter(
        server
        for document in documents
        if document["event"] == event and not document["possibly_repeated"]
        for server in {*re.findall(r"web-\d", json.dumps([document["title"], document["labels"], document["others"]]))}
    )


def stop_between_transactions(process: "subprocess.Popen[str]", database: Path) -> None:
    """SIGSTOP while the process does not hold the write lock: within a transaction, all others wait for it as for a disk
    that takes its time, which is a test of its own."""

    def stopped() -> bool:
        process.send_signal(signal.SIGSTOP)
        with contextlib.closing(sqlite3.connect(database, timeout=1, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
                return False
            other.execute("ROLLBACK")
            return True

    wait_for(stopped, "a moment between two transactions")


def test_a_stopped_and_a_killed_worker_neither_lose_nor_repeat_an_alert(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {"BONGSU_DATA_DIR": str(tmp_path), "BONGSU_ALERT_INTERVAL": "1s"}
    api = Part(["server", "--role", "api", "--port", str(port)], environment)
    workers = [Part(["server", "--role", "worker"], environment) for _ in range(2)]
    with endpoint() as hook, running({"api": api, "first": workers[0]}):
        wait_for(lambda: api.runs() and answers(url), "the API server")
        fleet = Fleet(url)
        with logged_in(url) as client, contextlib.ExitStack() as stack:
            for rule in RULES:
                client.post("/api/alerts/rules", json=rule).raise_for_status()
            channel = {"name": "hook", "type": "webhook", "default": True, "config": {"url": hook.url}}
            client.post("/api/alerts/channels", json=channel).raise_for_status()

            fleet.start()
            stack.callback(fleet.stop)
            fleet.values = (0.95, 0.1)
            wait_for(lambda: told(hook, "fired").total() >= SERVERS, "the message of every server")
            # The worker that evaluates stands still; another takes its servers over, and tells that all is well.
            assert workers[0].process is not None
            stop_between_transactions(workers[0].process, tmp_path / "bongsu.db")
            workers[1].start()
            stack.enter_context(workers[1].stack)
            fleet.values = (0.1, 0.1)
            wait_for(lambda: told(hook, "resolved").total() >= SERVERS, "the end of every alert")
            # The first believes that nothing has happened, until it looks.
            workers[0].process.send_signal(signal.SIGCONT)
            fleet.values = (0.1, 0.95)
            wait_for(lambda: told(hook, "fired").total() >= 2 * SERVERS, "the second alert of every server")
            for worker in workers:
                worker.kill()
                worker.start()
            fleet.values = (0.1, 0.1)
            wait_for(lambda: told(hook, "resolved").total() >= 2 * SERVERS, "the end of every second alert")
        for event in ("fired", "resolved"):
            assert told(hook, event) == {f"web-{number}": 2 for number in range(SERVERS)}, "once for each rule"


def test_up_survives_that_its_parts_are_stopped_and_killed(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = ("up", "--port", str(port), "--data-dir", str(tmp_path), "--interval", "1s")

    def times() -> list[int]:
        with contextlib.suppress(httpx.HTTPError, AssertionError), logged_in(url) as client:
            asked = {"metric": "load_1m", "start": "-1h", "resolution": "raw", "step": "1s", "max_points": 10_000}
            series = client.get("/api/metrics/history", params=asked).raise_for_status().json()["series"]
            return list(series[0]["times"]) if series else []
        return []

    def goes_on() -> None:
        now_ms = time.time_ns() // 1_000_000
        wait_for(lambda: sum(time_ms > now_ms for time_ms in times()) >= 2, "frames from now on")

    with bongsu(*arguments) as process:
        lines = drained(process)
        goes_on()
        # While the parent stands still, nothing is started again, but what runs goes on.
        process.send_signal(signal.SIGSTOP)
        goes_on()
        part_of(process, "api").kill()
        process.send_signal(signal.SIGCONT)
        goes_on()
        # The API server stands still: the agent keeps its frames.
        stopped, since_ms = part_of(process, "api"), time.time_ns() // 1_000_000
        stopped.suspend()
        wait_for(lambda: time.time_ns() // 1_000_000 > since_ms + 3_000, "some ticks of the agent")
        stopped.resume()
        goes_on()
        # Nothing is sampled while the agent stands still; it says so, and goes on.
        agent = part_of(process, "agent")
        agent.suspend()
        with logged_in(url) as client:

            def states() -> set[str]:
                return {server["state"] for server in client.get("/api/servers").raise_for_status().json()["servers"]}

            wait_for(lambda: states() != {"up"}, "the server to be late")
        agent.resume()
        goes_on()
        part_of(process, "agent").kill()
        part_of(process, "worker").kill()
        wait_for(lambda: sum("restarting it" in line for line in [*lines]) == 3, "agent and worker to be back")
        goes_on()
        before = times()
        process.kill()
        process.wait()
    with bongsu(*arguments) as process:
        drained(process)
        goes_on()
        assert [*before] == times()[: len(before)], "all of it is still there"
        with logged_in(url) as client:
            assert len(client.get("/api/servers").json()["servers"]) == 1
        # While only the API server was away, every tick was sampled and came later.
        away = [time_ms for time_ms in before if since_ms <= time_ms <= since_ms + 3_000]
        assert {after - first for first, after in pairwise(away)} <= {1_000}
        process.terminate()
        process.wait(60)
