"""A simulated fleet with all that it brings: enrolment, layouts of its own, process lists, the worker.

Starts an API server on core 0, and a worker and ``bongsu simulate`` on core 1. The figures are those of ``--seconds``
after the last server has enrolled, except the times to acknowledge, which cover the whole run. At the end, all that is
in the database is read and decoded, and compared with what the simulator and the API server counted. An hour of it:
``--seconds 3600``.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from sqlalchemy import Connection, select

from benchmarks.access import ENVIRONMENT, make_enrolment_token, make_tokens
from benchmarks.ingest import CLIENT_CORE, cpu_seconds, running_server
from benchmarks.report import parser, report
from benchmarks.storage import worker
from bongsu.server.database.database import open_database
from bongsu.server.database.tables import blocks, frames
from bongsu.server.storage.blocks import Head


def read_back(folder: Path) -> tuple[int, int]:
    """Frames and samples in the database, after every column of every block was decoded."""

    def read(connection: Connection) -> tuple[int, int]:
        found = [len(values) // 8 for (values,) in connection.execute(select(frames.c["values"]))]
        count, samples = len(found), sum(found)
        for head, checksum, data in connection.execute(select(blocks.c.head, blocks.c.checksum, blocks.c.data)):
            block = Head.open(head, checksum)
            rows, width = block.columns(data, range(block.width)).shape
            count, samples = count + rows, samples + rows * width
        return count, samples

    async def run() -> tuple[int, int]:
        database = open_database(f"sqlite:///{folder / 'bongsu.db'}")
        try:
            return await database.read(read)
        finally:
            await database.close()

    return asyncio.run(run())


def wait_for_fleet(site: httpx.Client, servers: int, ended: Callable[[], object] = lambda: None) -> None:
    """Waits until all servers send. ``ended``: tells by a status that the simulator has ended.

    Raises:
        RuntimeError: it has ended, or some servers did not come within 300 s.
    """
    deadline = time.monotonic() + 300
    while site.get("/api/health").raise_for_status().json()["servers"] < servers:
        if ended() is not None:
            raise RuntimeError("the simulator ended")
        if time.monotonic() > deadline:
            raise RuntimeError("not all servers have enrolled")
        time.sleep(0.5)


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def measure(servers: int, seconds: float) -> dict[str, float]:
    """One run on an empty database."""
    os.environ |= ENVIRONMENT | {"BONGSU_RATE_LIMITS__LOGIN": "1000000/minute"}
    with tempfile.TemporaryDirectory(prefix="bongsu-bench-", dir=os.environ.get("BONGSU_BENCH_DIR")) as name:
        folder = Path(name)
        viewer, _ = make_tokens(folder, ())
        token = make_enrolment_token(folder)
        with running_server(folder) as (port, process), worker(folder) as worker_process:
            url = f"http://127.0.0.1:{port}"
            fleet = subprocess.Popen(
                [
                    *(sys.executable, "-m", "bongsu.cli", "simulate", "--servers", str(servers), "--url", url),
                    *("--data-dir", str(folder / "fleet")),
                ],
                env=os.environ | {"BONGSU_SIMULATE_ENROLMENT_TOKEN": token},
                stdout=subprocess.PIPE,
                text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {CLIENT_CORE}),
            )
            with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {viewer}"}, timeout=60) as client:

                def frames_total() -> int:
                    if fleet.poll() is not None:
                        raise RuntimeError("the simulator ended")
                    return int(client.get("/api/health").raise_for_status().json()["ingest"]["frames_total"])

                began = time.perf_counter()
                wait_for_fleet(client, servers, fleet.poll)
                enrolled = time.perf_counter() - began
                pids = process.pid, worker_process.pid, fleet.pid

                def state() -> tuple[float, ...]:
                    return (time.perf_counter(), frames_total(), *map(cpu_seconds, pids))

                before = state()
                highest_mb = [0.0, 0.0]
                while time.perf_counter() - before[0] < seconds:
                    time.sleep(1)
                    highest_mb = [max(pair) for pair in zip(highest_mb, map(resident_mb, pids), strict=False)]
                after = state()
            took, pushed, *cores = (now - then for now, then in zip(after, before, strict=True))
            results = {
                "servers": float(servers),
                "enrolled_after_seconds": enrolled,
                "seconds": took,
                "frames_per_second": pushed / took,
                "server_cores": cores[0] / took,
                "worker_cores": cores[1] / took,
                "simulator_cores": cores[2] / took,
                "server_highest_rss_mb": highest_mb[0],
                "worker_highest_rss_mb": highest_mb[1],
                "simulator_rss_mb": resident_mb(fleet.pid),
            }
            fleet.send_signal(signal.SIGINT)
            summary = fleet.communicate(timeout=60)[0]
            answer = httpx.get(f"{url}/api/health", headers={"Authorization": f"Bearer {viewer}"})
            counted = answer.raise_for_status().json()["ingest"]
        numbers = {word: float(number) for number, word in re.findall(r"([\d.]+) (\w+)", summary.replace(",", ""))}
        percentiles = re.search(r"p50 ([\d.]+) ms, p99 ([\d.]+) ms", summary)
        found = read_back(folder)
    acknowledged = numbers["stored"] + numbers["duplicates"]
    expected = counted["frames_total"], counted["samples_total"]
    if fleet.returncode or percentiles is None or found != expected or found[0] != acknowledged:
        raise RuntimeError(f"{found} in the database, {expected} counted; exit status {fleet.returncode}:\n{summary}")
    results |= {"ack_p50_ms": float(percentiles[1]), "ack_p99_ms": float(percentiles[2])}
    results |= {"frames_read_back": float(found[0]), "samples_read_back": float(found[1])}
    return results | {"frames_lost": numbers["lost"], "frames_late": numbers["late"]}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--servers", type=int, default=1_000)
    arguments.add_argument("--seconds", type=float, default=120)
    options = arguments.parse_args()
    os.sched_setaffinity(0, {CLIENT_CORE})
    report("fleet", measure(options.servers, options.seconds), as_json=options.json)


if __name__ == "__main__":
    main()
