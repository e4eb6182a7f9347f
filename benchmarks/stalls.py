"""How long the event loop stands still while the API server answers large questions: 1,000 servers of 150 series.

Frames are taken in on the event loop, so whatever holds it delays them. The application runs in this process; a task
that sleeps for a millisecond notices how much later it wakes up. Each question is asked four times; the figures are the
longest stall, and the median time of the answer.
"""

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from benchmarks.report import parser, report
from bongsu.core.clock import SystemClock
from bongsu.core.samples import AgentIdentity, Frame, HostFacts, Push, pack
from bongsu.core.series import Layout, Series
from bongsu.server.database.database import open_database
from bongsu.server.database.migrations import upgrade
from bongsu.server.fleet.servers import add_server
from bongsu.server.main import settle, tune_interpreter
from bongsu.server.storage.batches import Batch, store
from bongsu.simulator import capture
from bongsu.wire import protobuf
from tests.support.app import RunningApp, running_app

SERVERS = 1_000
# Frames of the first server: 150 series x 1,340 = 201,000 points.
LONG = 1_340
INTERVAL_MS = 10_000
ROUNDS = 3


def fill(connection: Connection, now_ms: int) -> None:
    """Every server has a layout of its own, as disks and interfaces have different names."""
    base = capture.layout()
    rows = capture.rows(LONG)
    for number in range(SERVERS):
        own = tuple(
            Series(one.metric, tuple(sorted((*one.labels, ("host", f"h{number}")))), one.unit, one.kind)
            if index % 3 == 0
            else one
            for index, one in enumerate(base.series)
        )
        layout = Layout.of(own)
        agent = AgentIdentity(f"stalls-{number:04}", f"web-{number:04}", "1", INTERVAL_MS)
        record = add_server(connection, agent, HostFacts(), now_ms, None)
        count = LONG if number == 0 else 2
        frames = [
            Frame(layout.id, now_ms - (count - index) * INTERVAL_MS, pack(rows[index].tolist()))
            for index in range(count)
        ]
        store(connection, [Batch(record.id, frames, [layout], [])])


class Heartbeat:
    """Measures by how much the event loop wakes a task too late."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.perf_counter() - before - 0.001)


async def ask(app: RunningApp, path: str, query: str, body: bytes = b"", token: str = "", kind: str = "") -> int:
    """One request, straight into the application; nothing looks at the answer. Returns its length in bytes."""
    headers = [(b"host", b"127.0.0.1"), (b"accept-encoding", b"gzip"), (b"content-type", kind.encode())]
    authorization = f"Bearer {token}" if token else app.client.headers["Authorization"]
    headers += [(b"authorization", authorization.encode()), (b"content-length", str(len(body)).encode())]
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST" if body else "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 9),
        "server": ("127.0.0.1", 8600),
    }
    size, status, done = 0, 0, asyncio.Event()

    async def receive() -> dict[str, Any]:
        if done.is_set():
            await asyncio.Event().wait()
        done.set()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal size, status
        status = message.get("status", status)
        size += len(message.get("body", b""))

    await app.application(scope, receive, send)
    if status != 200:
        raise SystemExit(f"{path}?{query} answered {status}")
    return size


def large_pushes(now_ms: int) -> dict[str, tuple[bytes, str]]:
    """2 MiB of JSON, as a script would send after an outage, and 10 layouts of 5,000 series."""
    layout = capture.layout()
    frames = [
        {"time_ms": now_ms - 86_400_000 + index * 10_000, "layout_id": "1", "values": random.sample(range(10**9), 150)}
        for index in range(1_000)
    ]
    series = [
        {"metric": one.metric, "labels": dict(one.labels), "unit": one.unit, "kind": one.kind.value}
        for one in layout.series
    ]
    document = {
        "agent": {"agent_id": "stalls-json", "name": "json"},
        "layouts": [{"id": "1", "series": series}],
        "frames": frames,
    }
    wide = [
        Layout.of(tuple(Series("container_value", (("id", f"{number}-{index}"),)) for index in range(5_000)))
        for number in range(10)
    ]
    push = Push(AgentIdentity("stalls-wide", "wide", "1", INTERVAL_MS), HostFacts(), wide, [])
    return {
        "json push": (json.dumps(document).encode(), "application/json"),
        "push of 50,000 series": (protobuf.encode_push(push), protobuf.CONTENT_TYPE),
    }


async def measure() -> dict[str, float]:
    random.seed(1)
    tune_interpreter()
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        clock = SystemClock()
        now_ms = clock.now_ms()
        database = open_database(f"sqlite:///{folder}/bongsu.db")
        await database.write(upgrade)
        await database.write(partial(fill, now_ms=now_ms))
        await database.close()
        async with running_app(Path(folder), clock=clock) as app:  # type: ignore[arg-type]
            questions = {
                "current of all": ("/api/metrics/current", ""),
                "current by label": ("/api/metrics/current", "labels=host=h9*"),
                "catalog": ("/api/metrics/catalog", ""),
                "servers": ("/api/servers", "limit=1000"),
                "history by label": ("/api/metrics/history", "labels=host=h9*&start=-5m&limit=5000"),
                "history of a group": ("/api/metrics/history", "metric=cpu&start=-5m&across=avg"),
                "json": ("/api/metrics/history", "server=1&start=-4h&max_points=10000"),
                "csv": ("/api/metrics/history", "server=1&start=-4h&max_points=10000&format=csv"),
                "arrow": ("/api/metrics/history", "server=1&start=-4h&max_points=10000&format=arrow"),
                "parquet": ("/api/metrics/history", "server=1&start=-4h&max_points=10000&format=parquet"),
            }
            await settle(app.application.build_routes)
            beat = Heartbeat()
            task = asyncio.create_task(beat.run())
            await asyncio.sleep(1)

            async def timed(name: str, request: partial[Any]) -> None:
                times, beat.longest = [], 0.0
                for _ in range(1 + ROUNDS):  # the first fills caches
                    started = time.perf_counter()
                    size = await request()
                    times.append(time.perf_counter() - started)
                    await asyncio.sleep(0.02)
                results[f"{name}: longest stall, ms"] = beat.longest * 1_000
                results[f"{name}: answer, ms"] = statistics.median(times) * 1_000
                results[f"{name}: KiB"] = size / 1_024

            for name, (path, query) in questions.items():
                await timed(name, partial(ask, app, path, query))
            for name, (body, kind) in large_pushes(now_ms).items():
                token = await app.agent_token("stalls-json" if "json" in name else "stalls-wide")
                await timed(name, partial(ask, app, "/api/metrics", "", body, token, kind))
            task.cancel()
    return results


def main() -> int:
    arguments = parser(__doc__).parse_args()
    report("stalls", asyncio.run(measure()), as_json=arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
