"""Real processes: started, waited for, and ended by their pid."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

T = TypeVar("T")

ADMIN, PASSWORD = "admin@bongsu.test", "a long enough secret"
# A first admin, cheap password hashes, and rate limits that no test reaches by accident.
QUICK = {
    "BONGSU_ADMIN_EMAIL": ADMIN,
    "BONGSU_ADMIN_PASSWORD": PASSWORD,
    "BONGSU_PASSWORD_HASHING__MEMORY_MIB": "1",
    "BONGSU_PASSWORD_HASHING__PASSES": "1",
    "BONGSU_RATE_LIMITS__ADDRESS": "1000000/minute",
    "BONGSU_RATE_LIMITS__USER": "1000000/minute",
    "BONGSU_RATE_LIMITS__LOGIN": "1000000/minute",
    "BONGSU_RATE_LIMITS__AGENT_PER_SECOND": "1000000",
}

# Much more than any wait should take, for very slow machines.
PATIENCE_SECONDS = 90


def wait_for(condition: Callable[[], T], what: str) -> T:
    """Waits until ``condition`` returns something true, and returns it. Fails after PATIENCE_SECONDS, naming ``what``."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE_SECONDS} s for {what}")


def interruptible() -> None:
    """For ``preexec_fn``: what a shell without job control starts in the background ignores SIGINT, and so would this."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def free_port() -> int:
    """A free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether the API server at ``url`` is ready."""
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/api/health").status_code == 200
    return False


@contextlib.contextmanager
def bongsu(*arguments: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Runs ``bongsu ...`` as a process, and kills it at the end if it is still running."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bongsu.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | QUICK | environment,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def part_of(process: "subprocess.Popen[str]", word: str) -> psutil.Process:
    """The part of a running Bongsu with this word in its name, or, after a restart, in its arguments."""
    children = psutil.Process(process.pid).children()
    return next(child for child in children if word in child.name().split() or word in child.cmdline())


def drained(process: "subprocess.Popen[str]") -> list[str]:
    """The lines that the process prints from now on. A process that prints more than a pipe holds, as one does that logs
    many errors, would stand still if nobody read them."""
    lines: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError):  # closed
            lines.extend(process.stdout)

    threading.Thread(target=read, daemon=True).start()
    return lines


@dataclass
class Part:
    """A process that can be killed and started again."""

    arguments: list[str]
    environment: dict[str, str]
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        """Starts it; does not wait until it is ready."""
        self.process = self.stack.enter_context(bongsu(*self.arguments, **self.environment))

    def runs(self) -> bool:
        """True; fails with what the process printed when it has ended by itself."""
        assert self.process is not None
        assert self.process.poll() is None, self.process.communicate()[0]
        return True

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.stack.close()


@contextlib.contextmanager
def running(parts: dict[str, Part]) -> Iterator[None]:
    """Starts all at the same time, and kills those that still run at the end."""
    try:
        for part in parts.values():
            part.start()
        yield
    finally:
        for part in parts.values():
            part.stack.close()


@contextlib.contextmanager
def api_server(data_dir: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    """Runs an API server without a worker, and waits until it is ready."""
    with bongsu("server", "--role", "api", "--port", str(port), "--data-dir", str(data_dir)) as process:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}") or process.poll() is not None, "the API server")
        assert process.poll() is None, process.communicate()[0]
        yield process


def logged_in(url: str) -> httpx.Client:
    """A client that is logged in as the first admin. Use it in a ``with``, or close it."""
    answer = httpx.post(f"{url}/api/auth/login", json={"email": ADMIN, "password": PASSWORD}, timeout=30)
    assert answer.status_code == 200, answer.text
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {answer.json()['access_token']}"}, timeout=30)


def enrolled(url: str, *agent_ids: str) -> dict[str, str]:
    """Enrols agents and returns their tokens by agent id."""
    with logged_in(url) as client:
        unlimited = {"name": "tests", "uses": 0}
        enrolment = client.post("/api/enrolment-tokens", json=unlimited).raise_for_status().json()["token"]
        tokens = {}
        for agent_id in agent_ids:
            answer = client.post(
                "/api/agents/enrol",
                json={"agent_id": agent_id, "name": agent_id},
                headers={"Authorization": f"Bearer {enrolment}"},
            )
            tokens[agent_id] = answer.raise_for_status().json()["token"]
        return tokens
