"""Storage on SQLite with a real capture: bytes per sample, the rate of sealing and rollups, history queries over HTTP.

Makes ``--servers`` servers x ``--days`` days of samples every 10 s, as the worker would have left them, and queries
``bongsu server`` over loopback: idle, and while all servers send 150 samples every 10 s and the worker seals them.
Compression is measured on the capture itself, which does not repeat, and on whole files of raw samples.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import uvloop

from benchmarks.access import ENVIRONMENT, agent, agent_id, make_tokens
from benchmarks.archive import INTERVAL_MS, make
from benchmarks.ingest import CLIENT_CORE, drive, running_server
from benchmarks.report import parser, report
from bongsu.core.clock import SystemClock
from bongsu.core.samples import Frame, HostFacts
from bongsu.core.units import DAY_MS, MINUTE_MS
from bongsu.server.config import Settings
from bongsu.server.database.database import SqliteDatabase
from bongsu.server.database.migrations import upgrade
from bongsu.server.fleet.servers import add_server
from bongsu.server.storage.archive import SPAN_MS
from bongsu.server.storage.batches import Batch, store
from bongsu.server.storage.blocks import encode_block
from bongsu.server.storage.compactor import Compactor
from bongsu.server.storage.sealer import Sealer
from bongsu.simulator import capture


def changing() -> np.ndarray:
    """(150,) whether each series of the capture ever changes."""
    values = capture.load()[1]
    return (values != values[0]).any(axis=0)


def compression() -> dict[str, float]:
    """Bytes per sample of blocks of the capture."""
    results: dict[str, float] = {"changing_series": float(changing().sum())}
    values = capture.load()[1]
    for count in (720, 1_500):
        times = np.arange(count, dtype=np.int64) * INTERVAL_MS
        for name, part in (("all", values[:count]), ("changing", values[:count, changing()])):
            packed = encode_block(times, np.ascontiguousarray(part))
            results[f"block_of_{count}.{name}_bytes_per_sample"] = (len(packed.head) + len(packed.data)) / part.size
    return results


def raw_files(folder: Path, now_ms: int) -> dict[str, float]:
    """Bytes per sample of whole files: 20 servers x 7 days of raw samples, all sealed."""
    results = {}
    end_ms = now_ms - now_ms % SPAN_MS
    for name, columns in (("all", None), ("changing", changing())):
        path = folder / f"raw-{name}.db"
        samples = make(path, 20, 7, end_ms, columns, rollups=False)
        results[f"raw_file.{name}_bytes_per_sample"] = path.stat().st_size / samples
        path.unlink()
    return results


def pipeline(folder: Path) -> dict[str, float]:
    """Samples per second of CPU time that the worker seals and rolls up: 20 servers, one span."""
    servers, per_span = 20, SPAN_MS // INTERVAL_MS
    start_ms = 1_750_000_000_000 // SPAN_MS * SPAN_MS
    layout = capture.layout()

    class Later(SystemClock):
        def now_ms(self) -> int:
            return start_ms + 2 * SPAN_MS

    async def run() -> float:
        database = SqliteDatabase(folder / "pipeline.db")
        await database.write(upgrade)
        for number in range(servers):
            values = capture.rows(per_span, number * 37)
            frames = [
                Frame(layout.id, start_ms + index * INTERVAL_MS, row.tobytes()) for index, row in enumerate(values)
            ]
            batch = Batch(number + 1, frames, [layout])
            identity = agent(number, INTERVAL_MS)
            await database.write(
                lambda connection, identity=identity: add_server(connection, identity, HostFacts(), start_ms)
            )
            await database.write(lambda connection, batch=batch: store(connection, [batch]))
        settings = Settings(data_dir=folder)
        began = time.process_time()
        for job in (Sealer, Compactor):
            await job(settings, database, Later()).run(asyncio.Event())
        took = time.process_time() - began
        await database.close()
        return took

    return {"seal_and_roll_up_samples_per_second_per_core": servers * per_span * capture.SERIES / asyncio.run(run())}


@contextlib.contextmanager
def worker(data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs ``bongsu server --role worker`` on the clients' core. Yields its process."""
    environment = os.environ | ENVIRONMENT | {"BONGSU_DATA_DIR": str(data_dir), "BONGSU_LOG_LEVEL": "WARNING"}
    process = subprocess.Popen(
        [sys.executable, "-m", "bongsu.cli", "server", "--role", "worker"],
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, {CLIENT_CORE}),
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def queries(client: httpx.Client, servers: int, days: float, now_ms: int, rounds: int) -> dict[str, list[float]]:
    """Times of each kind of query, in ms. The kinds take turns, so that a disturbance affects all of them."""
    metric = capture.layout().series[20].metric  # cpu, which changes with every sample
    week = {"metric": metric, "start": now_ms - int(days * DAY_MS), "end": now_ms, "max_points": 1_000}
    took: dict[str, list[float]] = {}
    for number in range(rounds):
        shift = number * MINUTE_MS
        some = [(number * 7 + i * 13) % servers + 1 for i in range(min(20, servers))]
        day = {"metric": metric, "server": some, "start": now_ms - DAY_MS - shift, "end": now_ms - shift}
        one = week | {"server": some[0]}
        for name, parameters in (
            ("one_series_7_days_raw", one | {"resolution": "raw"}),
            ("one_series_7_days", one),
            ("20_servers_24_hours", day),
            ("20_servers_24_hours_raw", day | {"resolution": "raw"}),
        ):
            began = time.perf_counter()
            response = client.get("/api/metrics/history", params=parameters)
            took.setdefault(name, []).append((time.perf_counter() - began) * 1000)
            if response.status_code != 200 or not response.json()["series"]:
                raise RuntimeError(response.text[:500])
    return took


def percentiles(took: dict[str, list[float]], suffix: str = "") -> dict[str, float]:
    """p50 and p99 of each kind of query."""
    return {
        f"{name}{suffix}.p{percent}_ms": float(np.percentile(times, percent))
        for name, times in took.items()
        for percent in (50, 99)
    }


def under_load(client: httpx.Client, port: int, tokens: list[str], options, now_ms: int) -> dict[str, list[float]]:
    """The same queries while every server sends a frame every 10 s."""
    failed: list[BaseException] = []

    def send() -> None:
        try:
            uvloop.run(drive(port, tokens, 1, options.load_seconds, 10.0, start_ms=int(time.time() * 1000)))
        except BaseException as error:
            failed.append(error)

    fleet = threading.Thread(target=send)
    fleet.start()
    # Wait until all agents have sent their layouts, which later requests leave out.
    while fleet.is_alive() and client.get("/api/health").json()["ingest"]["frames_total"] < len(tokens):
        time.sleep(0.2)
    rounds = max(20, int((options.load_seconds - 20) / 0.3))
    took: dict[str, list[float]] = {}
    for _ in range(rounds):
        if not fleet.is_alive():
            break
        for name, times in queries(client, options.servers, options.days, now_ms, 1).items():
            took.setdefault(name, []).extend(times)
    fleet.join()
    if failed:
        raise failed[0]
    return took


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--servers", type=int, default=1_000)
    arguments.add_argument("--days", type=float, default=7)
    arguments.add_argument("--rounds", type=int, default=100)
    arguments.add_argument("--load-seconds", type=float, default=90)
    arguments.add_argument("--folder", type=Path, help="where to make the database (default: a temporary folder)")
    options = arguments.parse_args()
    now_ms = int(time.time() * 1000)
    folder = Path(tempfile.mkdtemp(prefix="bongsu-bench-", dir=options.folder))
    try:
        results = compression() | pipeline(folder) | raw_files(folder, now_ms)
        path = folder / "bongsu.db"
        began = time.perf_counter()
        samples = make(path, options.servers, options.days, now_ms)
        viewer, tokens = make_tokens(folder, map(agent_id, range(options.servers)))
        results |= {
            "archive.servers": float(options.servers),
            "archive.raw_samples": float(samples),
            "archive.made_in_seconds": time.perf_counter() - began,
            "archive.file_bytes": float(path.stat().st_size),
            "archive.file_bytes_per_raw_sample": path.stat().st_size / samples,
        }
        os.sched_setaffinity(0, {CLIENT_CORE})
        began = time.perf_counter()
        headers = {"Authorization": f"Bearer {viewer}"}
        with (
            running_server(folder) as (port, _),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client,
        ):
            results["start_to_ready_seconds"] = time.perf_counter() - began
            queries(client, options.servers, options.days, now_ms, 3)
            results |= percentiles(queries(client, options.servers, options.days, now_ms, options.rounds))
            if options.load_seconds:
                with worker(folder):
                    took = under_load(client, port, list(tokens.values()), options, now_ms)
                results |= percentiles(took, "_under_load")
                results["queries_under_load"] = float(sum(map(len, took.values())))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report("storage", results, as_json=options.json)


if __name__ == "__main__":
    main()
