"""kill -9 of the API server, again and again under load, loses no acknowledged frame and stores none twice."""

import random
import signal
import sqlite3
import threading
import time
from pathlib import Path

import httpx

from bongsu.wire import protobuf
from tests.support.processes import answers, api_server, enrolled, free_port, logged_in, wait_for
from tests.support.pushes import a_frame, a_push, an_agent

KILLS = 4
AGENTS = 8
START_MS = time.time_ns() // 1_000_000 - 86_400_000


class Agent(threading.Thread):
    """Sends frames one after the other, each until it is acknowledged."""

    def __init__(self, name: str, url: str, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.url = url
        self.token = ""
        self.stop = stop
        self.acknowledged: list[int] = []
        self.duplicates = 0

    def run(self) -> None:
        time_ms = START_MS
        with httpx.Client(timeout=30) as client:
            while not self.stop.is_set():
                body = protobuf.encode_push(a_push([a_frame(time_ms, (time_ms, 0, 0))], name=self.name))
                try:
                    response = client.post(
                        f"{self.url}/api/metrics",
                        content=body,
                        headers={"Content-Type": protobuf.CONTENT_TYPE, "Authorization": f"Bearer {self.token}"},
                    )
                except httpx.HTTPError:
                    self.stop.wait(0.01)
                    continue
                assert response.status_code == 200, response.text
                self.duplicates += protobuf.decode_result(response.content).duplicates
                self.acknowledged.append(time_ms)
                time_ms += 1_000


def test_kill_9_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    stop = threading.Event()
    agents = [Agent(f"agent-{index}", url, stop) for index in range(AGENTS)]
    chance = random.Random(7)
    for kill in range(KILLS):
        with api_server(tmp_path, port) as process:
            if kill == 0:
                tokens = enrolled(url, *(an_agent(agent.name).agent_id for agent in agents))
                for agent, token in zip(agents, tokens.values(), strict=True):
                    agent.token = token
                    agent.start()
            before = sum(len(agent.acknowledged) for agent in agents)
            enough = before + chance.randint(AGENTS, 40 * AGENTS)
            wait_for(lambda enough=enough: sum(len(agent.acknowledged) for agent in agents) >= enough, "frames")
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    with api_server(tmp_path, port):
        wait_for(lambda: answers(url), "the API server")
        settled = [len(agent.acknowledged) for agent in agents]
        wait_for(
            lambda: all(len(agent.acknowledged) > count + 2 for agent, count in zip(agents, settled, strict=True)),
            "every agent to go on",
        )
        stop.set()
        for agent in agents:
            agent.join(60)
            assert not agent.is_alive()
        # Through the API, as a person would look.
        with logged_in(url) as client:
            servers = {server["name"]: server["id"] for server in client.get("/api/servers").json()["servers"]}
    with sqlite3.connect(tmp_path / "bongsu.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for agent in agents:
            rows = database.execute("SELECT time_ms FROM frames WHERE server_id = ?", (servers[agent.name],)).fetchall()
            stored = sorted(time_ms for (time_ms,) in rows)
            assert stored == agent.acknowledged, "every acknowledged frame is there, once, and no other"
