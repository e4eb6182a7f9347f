"""The archive of a real capture on SQLite: bytes a sample, sealing rate, history queries through the API.

Makes ``--servers`` servers x 7 days of frames every 10 s as blocks, as the sealer makes them, and asks ``bongsu
server`` over loopback. Every server starts at another row of the capture, so that no two are alike. Compression is
measured on the capture itself as well, without the repetition that fills 7 days.
"""

import asyncio
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from sqlalchemy import insert

from benchmarks import capture
from benchmarks.access import make_tokens
from benchmarks.ingest import running_server
from benchmarks.report import parser, report
from bongsu.core.samples import AgentIdentity, Frame, HostFacts
from bongsu.server.jobs.sealer import FRAMES_PER_BLOCK, make_block
from bongsu.server.migrations import upgrade
from bongsu.server.models import blocks
from bongsu.server.storage.archive import StoredBlock
from bongsu.server.storage.blocks import encode_block
from bongsu.server.storage.database import SqliteDatabase
from bongsu.server.storage.frames import Batch, store
from bongsu.server.storage.servers import add_server

INTERVAL_MS = 10_000
DAY_MS = 86_400_000


def compression() -> dict[str, float]:
    """Bytes a sample of one block of the capture, and how fast it is made."""
    values = capture.rows(FRAMES_PER_BLOCK)
    times = np.arange(FRAMES_PER_BLOCK, dtype=np.int64) * INTERVAL_MS
    changing = (values != values[0]).any(axis=0)
    encode_block(times, values)
    rounds = 20
    began = time.process_time()
    for _ in range(rounds):
        data = encode_block(times, values)
    took = time.process_time() - began
    return {
        "bytes_per_sample_all_series": len(data) / values.size,
        "bytes_per_sample_changing_series": len(encode_block(times, values[:, changing])) / values[:, changing].size,
        "changing_series": float(changing.sum()),
        "seal_samples_per_second_per_core": rounds * values.size / took,
    }


async def fill(path: Path, servers: int, days: int, now_ms: int) -> int:
    """Stores the archive and one frame a server. Returns the number of samples."""
    database = SqliteDatabase(path)
    await database.write(upgrade)
    layout = capture.layout()
    count = days * DAY_MS // INTERVAL_MS
    start_ms = (now_ms - days * DAY_MS) // INTERVAL_MS * INTERVAL_MS
    times = start_ms + np.arange(count, dtype=np.int64) * INTERVAL_MS
    for number in range(servers):
        values = capture.rows(count, start=number * 37)
        agent = AgentIdentity(f"bench-{number:06d}", f"bench-{number}", "1", INTERVAL_MS)
        record = await database.write(
            lambda connection, agent=agent: add_server(connection, agent, HostFacts(), start_ms)
        )
        made = [
            make_block(record.id, layout.id, times[i : i + FRAMES_PER_BLOCK], values[i : i + FRAMES_PER_BLOCK])
            for i in range(0, count, FRAMES_PER_BLOCK)
        ]
        newest = Frame(layout.id, int(times[-1]) + INTERVAL_MS, values[-1].tobytes())
        rows = [{name: getattr(block, name) for name in StoredBlock.__slots__} for block in made]

        def write(connection, rows=rows, record=record, newest=newest) -> None:
            connection.execute(insert(blocks), rows)
            store(connection, [Batch(record.id, [newest], [layout])])

        await database.write(write)
    await database.close()
    return servers * (count + 1) * capture.SERIES


def percentiles(name: str, client: httpx.Client, parameters: list[dict[str, object]]) -> dict[str, float]:
    """p50 and p99 of GET /api/metrics/history in ms."""
    took = []
    for one in parameters:
        began = time.perf_counter()
        response = client.get("/api/metrics/history", params=one)
        took.append((time.perf_counter() - began) * 1000)
        if response.status_code != 200 or not response.json()["series"]:
            raise RuntimeError(response.text[:500])
    return {f"{name}_p50_ms": float(np.percentile(took, 50)), f"{name}_p99_ms": float(np.percentile(took, 99))}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--servers", type=int, default=20)
    arguments.add_argument("--days", type=int, default=7)
    options = arguments.parse_args()
    results = compression()
    now_ms = int(time.time() * 1000)
    metric = capture.layout().series[20].metric  # cpu: a number that changes with every sample
    with tempfile.TemporaryDirectory(prefix="bongsu-bench-") as folder:
        path = Path(folder) / "bongsu.db"
        samples = asyncio.run(fill(path, options.servers, options.days, now_ms))
        results |= {
            "servers": float(options.servers),
            "samples": float(samples),
            "file_bytes": float(path.stat().st_size),
            "file_bytes_per_sample": path.stat().st_size / samples,
        }
        viewer, _ = make_tokens(Path(folder), ())
        began = time.perf_counter()
        with running_server(Path(folder)) as (port, _), httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            results["start_to_ready_seconds"] = time.perf_counter() - began
            client.headers["Authorization"] = f"Bearer {viewer}"
            one = {"metric": metric, "start": now_ms - options.days * DAY_MS, "end": now_ms, "max_points": 1000}
            results |= percentiles(
                "one_series_7_days", client, [one | {"server": i % options.servers + 1} for i in range(100)]
            )
            many = {"metric": metric, "max_points": 500, "server": list(range(1, min(20, options.servers) + 1))}
            results |= percentiles(
                "20_servers_24_hours",
                client,
                [many | {"start": now_ms - DAY_MS - i * 60_000, "end": now_ms - i * 60_000} for i in range(40)],
            )
    report("storage", results, as_json=options.json)


if __name__ == "__main__":
    main()
