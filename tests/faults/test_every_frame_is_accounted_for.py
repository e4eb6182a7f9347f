"""Fifty faults in a row between an agent and an API server, as processes: every frame is stored, or was at risk when its
agent was killed while sending it."""

import json
import os
import queue
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.driven_agent import AGENT_ID
from tests.support.faulty_proxy import PAGES, FaultyProxy
from tests.support.processes import PATIENCE_SECONDS, api_server, enrolled, free_port, wait_for

# In each of two runs, which may run at the same time.
ROUNDS = 25
TICKS = 5
# Frames that are made between two looks at the agent.
AT_RISK = 2 * TICKS


class DrivenAgent:
    """The process, and the frames that it has made."""

    def __init__(self, folder: Path, url: str, start_ms: int, token: str) -> None:
        words = [sys.executable, "-m", "tests.support.driven_agent", str(folder), url, str(start_ms), token]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.made: list[int] = []
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n") and line.startswith("F "):
                self.made.append(int(line[2:]))
            elif line.startswith("S "):
                self._answers.put(json.loads(line[2:]))

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def tick(self, number: int = TICKS) -> None:
        """Makes so many frames, and waits until they are handed over."""
        expected = len(self.made) + number
        self.tell(f"tick {number}")
        wait_for(lambda: len(self.made) >= expected, "the frames")

    def status(self) -> dict[str, Any]:
        self.tell("status")
        return self._answers.get(timeout=PATIENCE_SECONDS)

    def until_it_fails(self) -> None:
        """Makes frames until a request has failed."""
        before = self.status()["failed_requests"]
        self.tick()
        wait_for(lambda: self.status()["failed_requests"] > before and not self.status()["up"], "a failure")

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> None:
        self.process.wait()
        self._reader.join()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


class Setup:
    """An agent, a proxy and an API server, and what happened to the frames."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.proxy = FaultyProxy(self.port)
        self.made: list[int] = []
        self.at_risk: set[int] = set()
        self.server: subprocess.Popen[str] | None = None
        self._server = ExitStack()
        self.start_server()
        self.token = enrolled(f"http://127.0.0.1:{self.port}", AGENT_ID)[AGENT_ID]
        self.agent = self._start_agent((time.time_ns() // 1_000_000 - 86_400_000) // 10_000 * 10_000)

    def start_server(self) -> None:
        self.server = self._server.enter_context(api_server(self.folder / "server", self.port))

    def kill_server(self) -> None:
        assert self.server is not None
        self.server.kill()
        self._server.close()

    def limit_files_of(self, process: "subprocess.Popen[str]", size: int) -> None:
        """A disk on which files do not grow beyond this size; RLIM_INFINITY: as before."""
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def _start_agent(self, start_ms: int) -> DrivenAgent:
        return DrivenAgent(self.folder / "agent", f"http://127.0.0.1:{self.proxy.port}", start_ms, self.token)

    def kill_agent(self) -> None:
        """kill -9: what was being sent may be lost, and what is buffered must not be."""
        status = self.agent.status()
        now_ms = status["now_ms"]
        self.agent.kill()
        # While the server answers, the newest frames are only in memory; else all but the last are on disk.
        in_memory = self.agent.made[-AT_RISK:] if status["up"] else self.agent.made[-1:]
        self.at_risk |= set(in_memory) - set(self.stored())
        self.made += self.agent.made
        self.agent = self._start_agent(now_ms)

    def stored(self) -> list[int]:
        with sqlite3.connect(self.folder / "server" / "bongsu.db", timeout=60) as database:
            rows = database.execute("SELECT time_ms FROM frames").fetchall()
        database.close()
        return [row[0] for row in rows]

    def settle(self) -> dict[str, Any]:
        """Waits until everything that the agent holds is sent."""

        def done() -> dict[str, Any] | None:
            status = self.agent.status()
            return status if status["queue"] == 0 and set(self.agent.made) <= set(self.stored()) else None

        return wait_for(done, "the end of the replay") or {}

    def close(self) -> None:
        if self.agent.process.poll() is None:
            self.agent.kill()
        self.proxy.close()
        self._server.close()


def faults(setup: Setup, chance: random.Random) -> dict[str, Callable[[], None]]:
    """Name -> what goes wrong, and is mended again."""

    def agent_killed() -> None:
        setup.agent.tick()
        setup.kill_agent()

    def agent_killed_during_an_outage() -> None:
        setup.kill_server()
        setup.agent.until_it_fails()
        setup.agent.tick()
        setup.kill_agent()
        setup.agent.tick()
        setup.start_server()

    def server_killed() -> None:
        setup.agent.tell("tick 20")
        setup.kill_server()
        setup.agent.tick()
        setup.start_server()

    def server_stopped() -> None:
        assert setup.server is not None
        setup.server.send_signal(signal.SIGSTOP)
        setup.agent.until_it_fails()
        setup.server.send_signal(signal.SIGCONT)

    def nonsense() -> None:
        setup.proxy.mode = chance.choice([*PAGES, "cut"])
        setup.proxy.reset()
        setup.agent.until_it_fails()
        setup.proxy.mode = "pass"
        setup.proxy.reset()

    def half_open() -> None:
        setup.agent.tick()
        setup.settle()
        before = setup.agent.status()["failed_requests"]
        setup.proxy.half_open()
        setup.agent.tick()
        # The next request takes another connection, and gets through.
        wait_for(lambda: setup.agent.status()["failed_requests"] > before, "a request without an answer")

    def clock_set() -> None:
        setup.agent.tell(f"step {chance.choice([-3_600, -45, -7, 7, 45, 3_600])}")
        setup.agent.tick()

    def disk_of_the_server_full() -> None:
        assert setup.server is not None
        setup.limit_files_of(setup.server, 4_096)
        setup.agent.until_it_fails()
        setup.limit_files_of(setup.server, resource.RLIM_INFINITY)

    def disk_of_the_agent_full() -> None:
        setup.kill_server()
        setup.limit_files_of(setup.agent.process, 1)
        setup.agent.until_it_fails()
        setup.start_server()
        setup.settle()
        setup.limit_files_of(setup.agent.process, resource.RLIM_INFINITY)

    every = (
        agent_killed,
        agent_killed_during_an_outage,
        server_killed,
        server_stopped,
        nonsense,
        half_open,
        clock_set,
        disk_of_the_server_full,
        disk_of_the_agent_full,
    )
    return {fault.__name__: fault for fault in every}


@pytest.mark.parametrize("run", [0, 1])
def test_every_frame_is_accounted_for(tmp_path: Path, run: int) -> None:
    seed = int(os.environ.get("BONGSU_FAULTS_SEED", "1")) + run
    chance = random.Random(seed)
    setup = Setup(tmp_path)
    try:
        happened = []
        every = faults(setup, chance)
        # Each several times, in an order that the seed decides.
        order = ([*every] * ROUNDS)[:ROUNDS]
        chance.shuffle(order)
        for name in order:
            happened.append(name)
            print(f"{time.monotonic():.1f}", name, flush=True)
            every[name]()
            if chance.random() < 0.5:  # else the next fault meets an agent that is behind
                setup.settle()
        setup.agent.tick()
        status = setup.settle()
        made = setup.made + setup.agent.made
        stored = setup.stored()
        assert len(stored) == len(set(stored))
        assert set(stored) <= set(made), "nothing is stored that was not made"
        lost = set(made) - set(stored)
        assert lost <= setup.at_risk, f"seed {seed}: {len(lost - setup.at_risk)} frames are lost; {happened}"
        assert (status["dropped_frames"], status["rejected_frames"]) == (0, 0), status
        assert len(made) > ROUNDS * TICKS
    finally:
        setup.close()
