"""Real processes: started, waited for, and ended by their pid."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx

T = TypeVar("T")

ADMIN, PASSWORD = "admin@bongsu.test", "a long enough secret"
# A first admin, cheap hashes, and no limit that a test which hurries would meet by accident.
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

# A bound for what takes a second or two, on a machine that may be very slow.
PATIENCE_SECONDS = 90


def wait_for(condition: Callable[[], T], what: str) -> T:
    """The first true answer of ``condition``; fails, saying ``what``, when there is none for PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE_SECONDS} s for {what}")


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether the API server behind ``url`` is ready."""
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/api/health").status_code == 200
    return False


@contextlib.contextmanager
def bongsu(*arguments: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """``bongsu ...`` as a process; killed at the end if it still runs."""
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


@contextlib.contextmanager
def api_server(data_dir: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    """An API server without worker, ready to answer."""
    with bongsu("server", "--role", "api", "--port", str(port), "--data-dir", str(data_dir)) as process:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}") or process.poll() is not None, "the API server")
        assert process.poll() is None, process.communicate()[0]
        yield process


def logged_in(url: str) -> httpx.Client:
    """A client of the first admin's. Close it, or use it in a ``with``."""
    answer = httpx.post(f"{url}/api/auth/login", json={"email": ADMIN, "password": PASSWORD}, timeout=30)
    assert answer.status_code == 200, answer.text
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {answer.json()['access_token']}"}, timeout=30)


def enrolled(url: str, *agent_ids: str) -> dict[str, str]:
    """Agent id -> a token of that agent's."""
    with logged_in(url) as client:
        wanted = {"name": "tests", "uses": 0}
        enrolment = client.post("/api/enrolment-tokens", json=wanted).raise_for_status().json()["token"]
        tokens = {}
        for agent_id in agent_ids:
            answer = client.post(
                "/api/agents/enrol",
                json={"agent_id": agent_id, "name": agent_id},
                headers={"Authorization": f"Bearer {enrolment}"},
            )
            tokens[agent_id] = answer.raise_for_status().json()["token"]
        return tokens
