"""A simulated fleet with all that it brings: enrolment, layouts of its own, process lists, the worker.

Starts an API server on core 0, and a worker and ``bongsu simulate`` on core 1. The figures are those of ``--seconds``
after the last server has enrolled, except the times to acknowledge, which cover the whole run. At the end, the frames
in the database are compared with those that the simulator counted.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from benchmarks.access import ENVIRONMENT, make_enrolment_token, make_tokens
from benchmarks.ingest import CLIENT_CORE, cpu_seconds, running_server
from benchmarks.report import parser, report
from benchmarks.storage import worker
from bongsu.server.database.database import open_database
from bongsu.server.database.tables import blocks, frames


def stored(folder: Path) -> int:
    """Frames in the database, sealed or not."""

    async def count() -> int:
        database = open_database(f"sqlite:///{folder / 'bongsu.db'}")
        try:
            loose = await database.read(lambda connection: connection.scalar(select(func.count()).select_from(frames)))
            sealed = await database.read(lambda connection: connection.scalar(select(func.sum(blocks.c.frames))))
        finally:
            await database.close()
        return int(loose or 0) + int(sealed or 0)

    return asyncio.run(count())


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
        with running_server(folder) as (port, process), worker(folder):
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

                def health() -> dict[str, Any]:
                    if fleet.poll() is not None:
                        raise RuntimeError("the simulator ended")
                    return dict(client.get("/api/health").json())

                def frames_total() -> int:
                    return int(health()["ingest"]["frames_total"])

                began = time.perf_counter()
                while health()["servers"] < servers:
                    time.sleep(0.5)
                enrolled = time.perf_counter() - began
                before = frames_total(), cpu_seconds(process.pid), cpu_seconds(fleet.pid), time.perf_counter()
                time.sleep(seconds)
                after = frames_total(), cpu_seconds(process.pid), cpu_seconds(fleet.pid), time.perf_counter()
            took = after[3] - before[3]
            results = {
                "servers": float(servers),
                "enrolled_after_seconds": enrolled,
                "frames_per_second": (after[0] - before[0]) / took,
                "server_cores": (after[1] - before[1]) / took,
                "simulator_cores": (after[2] - before[2]) / took,
                "server_rss_mb": resident_mb(process.pid),
                "simulator_rss_mb": resident_mb(fleet.pid),
            }
            fleet.send_signal(signal.SIGINT)
            summary = fleet.communicate(timeout=60)[0]
        numbers = {word: float(number) for number, word in re.findall(r"([\d.]+) (\w+)", summary.replace(",", ""))}
        percentiles = re.search(r"p50 ([\d.]+) ms, p99 ([\d.]+) ms", summary)
        in_database = stored(folder)
    if fleet.returncode or percentiles is None or in_database != numbers["stored"] + numbers["duplicates"]:
        raise RuntimeError(f"{in_database} frames in the database; exit status {fleet.returncode}:\n{summary}")
    results |= {"ack_p50_ms": float(percentiles[1]), "ack_p99_ms": float(percentiles[2])}
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
