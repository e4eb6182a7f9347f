"""Durable ingest on one server core: each response comes after the data is synced to disk.

Starts ``bongsu server`` on core 0 with an empty database, and loads it from core 1 over loopback with keep-alive
connections. Busy agents send one frame per request, ten or fifty, as protobuf and as JSON, each as soon as the previous
request was answered, for ``--seconds``. Then a fleet sends one frame per agent every 10 s. The values are rows of a
real capture. At the end, the frames in the database are compared with the acknowledged frames.
"""

import asyncio
import contextlib
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import uvloop

from benchmarks.access import ENVIRONMENT, agent, agent_id, make_tokens
from benchmarks.report import parser, report
from bongsu.core.samples import Frame, Push
from bongsu.core.units import DAY_MS
from bongsu.simulator import capture, http
from bongsu.wire import json_form, protobuf
from bongsu.wire.encoder import METRICS_PATH
from bongsu.wire.outcome import Response

SERVER_CORE, CLIENT_CORE = 0, 1


class Connection(http.Connection):
    """One agent: sends the next POST when the previous one was answered."""

    def __init__(
        self,
        number: int,
        token: str,
        frames: int,
        rows: list[bytes],
        start_ms: int,
        stop_at: float,
        every_seconds: float = 0.0,
        form: ModuleType = protobuf,
    ) -> None:
        super().__init__()
        self.form = form
        self.every_seconds = every_seconds
        self.token = token
        self.identity = agent(number, 1_000)
        self.frames, self.rows, self.stop_at = frames, rows, stop_at
        self.time_ms = start_ms
        self.row = number * 7
        self.latencies: list[float] = []
        self.acknowledged = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # A fleet's agents send at different moments of the interval.
        delay = self.every_seconds * random.random()
        asyncio.get_running_loop().call_later(delay, lambda: self.send(with_layout=True))

    def send(self, *, with_layout: bool = False) -> None:
        frames = []
        for _ in range(self.frames):
            self.time_ms += 1_000
            self.row += 1
            frames.append(Frame(capture.layout().id, self.time_ms, self.rows[self.row % len(self.rows)]))
        body = self.form.encode_push(Push(self.identity, None, [capture.layout()] if with_layout else [], frames))
        request = http.post("127.0.0.1", METRICS_PATH, self.token, self.form.CONTENT_TYPE, body)
        self.sent = time.perf_counter()
        self.write(request)

    def responded(self, response: Response) -> None:
        now = time.perf_counter()
        if response.status != 200:
            self.done.set_exception(RuntimeError(f"{response.status} {response.body[:500].decode(errors='replace')}"))
            self.transport.close()
            return
        self.latencies.append(now - self.sent)
        self.acknowledged += self.frames
        if now + self.every_seconds < self.stop_at:
            wait = self.sent + self.every_seconds - now
            if wait > 0:
                asyncio.get_running_loop().call_later(wait, self.send)
            else:
                self.send()
        else:
            self.done.set_result(None)
            self.transport.close()

    def failed(self, error: OSError) -> None:
        if not self.done.done():
            self.done.set_exception(error)


def free_port() -> int:
    """A free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_server(data_dir: Path, *, role: str = "api"):
    """Runs ``bongsu server`` on the server core. Yields (port, process)."""
    port = free_port()
    environment = (
        os.environ
        | ENVIRONMENT
        | {
            "BONGSU_LOG_LEVEL": "WARNING",
            "BONGSU_DATA_DIR": str(data_dir),
            "BONGSU_PORT": str(port),
            "BONGSU_HOST": "127.0.0.1",
        }
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "bongsu.cli", "server", "--role", role],
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            time.sleep(0.05)
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def drive(
    port: int,
    tokens: list[str],
    frames: int,
    seconds: float,
    every_seconds: float = 0.0,
    start_ms: int | None = None,
    form: ModuleType = protobuf,
) -> list[Connection]:
    """All agents at once until the time is up; each sends when it was answered, or every so often."""
    loop = asyncio.get_running_loop()
    rows = [row.tobytes() for row in capture.rows(1_500)]
    start_ms = int(time.time() * 1000) - 6 * DAY_MS if start_ms is None else start_ms
    stop_at = time.perf_counter() + seconds
    connections = []
    for number, token in enumerate(tokens):
        _, connection = await loop.create_connection(
            lambda number=number, token=token: Connection(
                number, token, frames, rows, start_ms, stop_at, every_seconds, form
            ),
            "127.0.0.1",
            port,
        )
        connections.append(connection)
    await asyncio.gather(*(connection.done for connection in connections))
    return connections


def measure(
    agents: int,
    frames: int,
    seconds: float,
    every_seconds: float = 0.0,
    form: ModuleType = protobuf,
    role: str = "api",
) -> dict[str, float]:
    """One run on an empty database."""
    with tempfile.TemporaryDirectory(prefix="bongsu-bench-", dir=os.environ.get("BONGSU_BENCH_DIR")) as folder:
        _, tokens = make_tokens(Path(folder), map(agent_id, range(agents)))
        with running_server(Path(folder), role=role) as (port, process):
            before = cpu_seconds(process.pid)
            began = time.perf_counter()
            client = time.process_time()
            connections = uvloop.run(drive(port, list(tokens.values()), frames, seconds, every_seconds, form=form))
            client = time.process_time() - client
            took = time.perf_counter() - began
            busy = cpu_seconds(process.pid) - before
            rss = int(
                next(
                    line
                    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
                    if line.startswith("VmRSS")
                ).split()[1]
            )
        acknowledged = sum(connection.acknowledged for connection in connections)
        with sqlite3.connect(Path(folder) / "bongsu.db") as database:
            sealed = "(SELECT coalesce(sum(frames), 0) FROM blocks)"
            stored = database.execute(f"SELECT count(*) + {sealed} FROM frames").fetchone()[0]
    if stored != acknowledged:
        raise RuntimeError(f"{acknowledged} frames acknowledged, {stored} stored")
    latencies = np.concatenate([connection.latencies for connection in connections]) * 1000
    return {
        "posts_per_second": len(latencies) / took,
        "samples_per_second": acknowledged * capture.SERIES / took,
        "ack_p50_ms": float(np.percentile(latencies, 50)),
        "ack_p99_ms": float(np.percentile(latencies, 99)),
        "server_cores": busy / took,
        "client_cores": client / took,
        "server_rss_mb": rss / 1024,
        "frames_lost": float(acknowledged - stored),
    }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--agents", type=int, default=64)
    arguments.add_argument("--fleet", type=int, default=1_000, help="agents that send one frame every 10 s; 0: none")
    arguments.add_argument("--fleet-seconds", type=float, default=60)
    options = arguments.parse_args()
    os.sched_setaffinity(0, {CLIENT_CORE})
    results = {}
    for name, form in (("protobuf", protobuf), ("json", json_form)):
        for frames in (1, 10, 50):
            for figure, value in measure(options.agents, frames, options.seconds, form=form).items():
                results[f"{name}_{frames}_frames.{figure}"] = value
    if options.fleet:
        for figure, value in measure(options.fleet, 1, options.fleet_seconds, every_seconds=10).items():
            results[f"fleet_of_{options.fleet}.{figure}"] = value
    report("ingest", results, as_json=options.json)


if __name__ == "__main__":
    main()
