"""Many agents that send as fast as they are answered, each frame until it is acknowledged."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx

from bongsu.wire import protobuf
from tests.support.processes import enrolled, logged_in, wait_for
from tests.support.pushes import a_frame, a_push, an_agent

STEP_MS = 1_000
# A day ago, so that any number of frames has its time.
START_MS = time.time_ns() // 1_000_000 // STEP_MS * STEP_MS - 86_400_000
# What is asked for is checked, but not slept: this is patience enough for a test.
LONGEST_PAUSE_SECONDS = 0.1


class Agent(threading.Thread):
    """Sends frames one after the other. ``acknowledged``: their times. ``refusals``: status and code of each answer
    that asked it to wait. ``surprises``: answers that an agent should never get."""

    def __init__(self, name: str, stop: threading.Event, *, timeout_seconds: float = 30.0) -> None:
        super().__init__(name=name, daemon=True)
        self.url = ""
        self.token = ""
        self.acknowledged: list[int] = []
        self.refusals: Counter[tuple[int, str]] = Counter()
        self.surprises: list[str] = []
        self.unanswered = 0
        self._stop_asked = stop
        self._timeout_seconds = timeout_seconds

    def run(self) -> None:
        time_ms = START_MS
        with httpx.Client(timeout=self._timeout_seconds) as client:
            while not self._stop_asked.is_set():
                if self._send(client, time_ms):
                    self.acknowledged.append(time_ms)
                    time_ms += STEP_MS

    def _send(self, client: httpx.Client, time_ms: int) -> bool:
        """Returns whether the frame is acknowledged."""
        body = protobuf.encode_push(a_push([a_frame(time_ms, (time_ms, 0, 0))], name=self.name))
        headers = {"Content-Type": protobuf.CONTENT_TYPE, "Authorization": f"Bearer {self.token}"}
        try:
            response = client.post(f"{self.url}/api/metrics", content=body, headers=headers)
        except httpx.HTTPError:
            self.unanswered += 1
            self._stop_asked.wait(0.02)
            return False
        if response.status_code == 200:
            return True
        error = protobuf.decode_result(response.content).error
        if response.status_code in (429, 503) and error is not None and int(response.headers["Retry-After"]) > 0:
            self.refusals[response.status_code, error.code] += 1
        else:
            self.surprises.append(f"{response.status_code}: {response.text[:200]}")
        self._stop_asked.wait(LONGEST_PAUSE_SECONDS)
        return False


class Load:
    """Some agents that send at the same time."""

    def __init__(self, url: str, agents: int = 8, *, timeout_seconds: float = 30.0) -> None:
        """Enrols them at the API server of ``url``, which may be restarted meanwhile."""
        self._stop_asked = threading.Event()
        self.agents = [
            Agent(f"agent-{index}", self._stop_asked, timeout_seconds=timeout_seconds) for index in range(agents)
        ]
        tokens = enrolled(url, *(an_agent(agent.name).agent_id for agent in self.agents))
        for agent, token in zip(self.agents, tokens.values(), strict=True):
            agent.url, agent.token = url, token

    @property
    def acknowledged(self) -> int:
        """Frames of all agents."""
        return sum(len(agent.acknowledged) for agent in self.agents)

    @property
    def refusals(self) -> Counter[tuple[int, str]]:
        """Status and code of each answer that asked an agent to wait."""
        return sum((agent.refusals for agent in self.agents), Counter())

    @property
    def surprises(self) -> list[str]:
        """Answers that an agent should never get."""
        return [surprise for agent in self.agents for surprise in agent.surprises]

    def start(self) -> None:
        """Begins to send."""
        for agent in self.agents:
            agent.start()

    def goes_on(self, frames: int = 3) -> None:
        """Waits until so many further frames of every agent are acknowledged."""
        before = [len(agent.acknowledged) for agent in self.agents]
        wait_for(
            lambda: all(
                len(agent.acknowledged) >= count + frames for agent, count in zip(self.agents, before, strict=True)
            ),
            "every agent to go on",
        )

    def is_refused(self, *codes: str) -> None:
        """Waits until an agent is asked to wait for one of these reasons."""
        before = self.refusals
        wait_for(lambda: any(code in codes for (_, code) in self.refusals - before), f"a refusal because of {codes}")

    def stop(self) -> None:
        """Ends all agents, each after its present request."""
        self._stop_asked.set()
        for agent in self.agents:
            agent.join(120)
            assert not agent.is_alive()

    @contextlib.contextmanager
    def sending(self) -> Iterator["Load"]:
        """Sends within the context."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def check_stored(self, url: str) -> None:
        """Reads everything back: each acknowledged frame is there, once, and nothing that no agent has made. The last
        frame of each agent may be stored without its agent knowing."""
        with logged_in(url) as client:
            servers = {server["name"]: server["id"] for server in client.get("/api/servers").json()["servers"]}
            for agent in self.agents:
                stored = times_of(client, servers[agent.name])
                lost = [(time_ms - START_MS) // STEP_MS for time_ms in {*agent.acknowledged} - {*stored}]
                assert not lost, f"{agent.name}: of {len(agent.acknowledged)} frames, these are lost: {sorted(lost)}"
                assert len(stored) - len(agent.acknowledged) in (0, 1), f"{agent.name}: something is too much"


def times_of(client: httpx.Client, server_id: int, metric: str = "cpu_usage_ratio") -> list[int]:
    """The times of all raw samples of a load, checked: each sample's value is its time."""
    parameters: dict[str, Any] = {"server": server_id, "metric": metric, "resolution": "raw", "step": "1s"}
    times: list[int] = []
    # A query has a maximum of points.
    for start_ms in range(START_MS, START_MS + 86_400_000, 10_000 * STEP_MS):
        answer = client.get(
            "/api/metrics/history",
            params=parameters
            | {"start": start_ms, "end": start_ms + 10_000 * STEP_MS, "aggregation": "last", "max_points": 10_000},
        )
        document = answer.raise_for_status().json()
        assert document["missing"] == []
        found = document["series"][0] if document["series"] else {"times": [], "values": []}
        assert found["values"] == found["times"]
        times += found["times"]
        if not found["times"]:
            break
    return times
