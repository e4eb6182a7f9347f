"""Evaluates 50 rules for 1,000 servers with 150 series each, with one frame of each server between two cycles.

Frames are written to a SQLite file as ingest writes them. A cycle then reads the new frames, evaluates every rule and
stores what changed. The rules have windows of 5 to 15 minutes; one of them covers 32 series of each server and breaches
on one server in a hundred. ``until_post`` is the time from the commit of a sample that crosses a threshold to the POST
to a channel, with a real worker process and its interval of 10 s.
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.access import agent
from benchmarks.report import parser, report
from bongsu.alerts.cycle import Cycle
from bongsu.alerts.rules_file import parse_rule
from bongsu.core.clock import SystemClock
from bongsu.core.samples import Frame, HostFacts, pack
from bongsu.core.series import Layout, Series
from bongsu.server.alerts.channels import ChannelSettings, check_config, encode
from bongsu.server.alerts.queries.channels import store_channel
from bongsu.server.alerts.queries.rules import add_rule
from bongsu.server.alerts.source import DatabaseSource
from bongsu.server.alerts.store import DatabaseStore
from bongsu.server.config import Limits
from bongsu.server.database.database import Database, SqliteDatabase
from bongsu.server.database.leases import Shares
from bongsu.server.database.migrations import upgrade
from bongsu.server.fleet.servers import add_server
from bongsu.server.storage.batches import Batch, store
from bongsu.server.vault import open_vault
from bongsu.simulator import capture
from tests.support.endpoints import endpoint

INTERVAL_MS = 10_000
FUNCTIONS = ("avg", "min", "max", "last", "sum", "rate", "increase")


class SteppedClock:
    """A clock that moves by one interval per cycle, however long the cycle takes."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return time.monotonic()

    def step(self) -> None:
        self._now_ms += INTERVAL_MS


def the_layout() -> Layout:
    """The 150 series of the capture, with 32 of them replaced by one metric with labels, as for cores and mounts."""
    series = list(capture.layout().series)
    for index in range(32):
        series[100 + index] = Series("bench_core_ratio", (("core", str(index)),), "ratio")
    return Layout.of(tuple(series))


async def fill(database: Database, servers: int, rules: int, now_ms: int) -> None:
    """Adds servers with a layout and history, and rules."""
    await database.write(upgrade)
    layout = the_layout()
    values = capture.rows(40)
    values[:, 100:132] = 0.5
    for index in range(servers):
        frames = [Frame(layout.id, now_ms - INTERVAL_MS * (40 - row), values[row].tobytes()) for row in range(40)]

        def write(connection, index=index, frames=frames) -> None:
            record = add_server(connection, agent(index, INTERVAL_MS), HostFacts(), now_ms)
            store(connection, [Batch(record.id, frames, [layout])])

        await database.write(write)
    names = [series.metric for series in layout.series[:100]]
    for index in range(rules):
        metric = "bench_core_ratio" if index % 10 == 9 else names[index * 2 % 100]
        labels = {"core": f"{index % 4}"} if metric == "bench_core_ratio" else {}
        condition = {"type": "threshold", "metric": metric, "labels": labels, "function": FUNCTIONS[index % 7]}
        condition |= {"window": ("5m", "10m", "15m")[index % 3], "value": 1e300}
        rule = parse_rule({"name": f"rule {index}", "condition": condition, "for": "30s"})
        await database.write(lambda connection, rule=rule: add_rule(connection, rule, now_ms))
    for condition in ({"type": "server_down"}, {"type": "threshold", "metric": "bench_core_ratio", "value": 2.0}):
        rule = parse_rule({"name": str(condition), "condition": condition})
        await database.write(lambda connection, rule=rule: add_rule(connection, rule, now_ms))


async def cycles(servers: int, rules: int, count: int) -> dict[str, float]:
    """Measures how long a cycle takes."""
    with tempfile.TemporaryDirectory() as folder:
        clock = SteppedClock(int(time.time() * 1000) // INTERVAL_MS * INTERVAL_MS)
        database = SqliteDatabase(Path(folder) / "bongsu.db")
        await fill(database, servers, rules - 2, clock.now_ms())
        shares = Shares("alerts", database, clock)
        cycle = Cycle(DatabaseStore(database, shares), DatabaseSource(database, Limits()))
        began = time.perf_counter()
        first_cycles = 0
        while cycle.fleet.unfilled() or not first_cycles:
            await shares.renew()
            await cycle.run(shares.shards, clock.now_ms())
            first_cycles += 1
        ready = time.perf_counter() - began
        layout, took, cpu = the_layout(), [], []
        for cycle_index in range(count):
            clock.step()
            values = capture.rows(1, start=40 + cycle_index)[0]
            batches = []
            for server_id in range(1, servers + 1):
                row = values.copy()
                row[100:132] = 3.0 if server_id % 100 == cycle_index % 100 else 0.5
                batches.append(Batch(server_id, [Frame(layout.id, clock.now_ms(), row.tobytes())]))
            await database.write(lambda connection, batches=batches: store(connection, batches))
            began, used = time.perf_counter(), time.process_time()
            await shares.renew()
            await cycle.run(shares.shards, clock.now_ms())
            took.append((time.perf_counter() - began) * 1000)
            cpu.append((time.process_time() - used) * 1000)
        await database.close()
    watched = sum(len(watch.keys) for watch in cycle.fleet.watches.values())
    return {
        "servers": servers,
        "rules": len(cycle.fleet.watches),
        "rule_series": watched,
        "cycle_p50_ms": float(np.median(took)),
        "cycle_max_ms": max(took),
        "cycle_cpu_ms": float(np.median(cpu)),
        "windows_filled_after_s": ready,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


async def until_post(rounds: int) -> dict[str, float]:
    """Measures the seconds from the commit of a sample that crosses a threshold to the POST, with a real worker."""
    layout = Layout.of((Series("bench_ratio", (), "ratio"),))
    waited = []
    with tempfile.TemporaryDirectory() as folder, endpoint() as hook:
        database = SqliteDatabase(Path(folder) / "bongsu.db")
        await database.write(upgrade)
        clock = SystemClock()
        vault = open_vault(Path(folder))
        settings = ChannelSettings(name="hook", type="webhook", default=True, config={"url": hook.url})
        document, secrets = encode(settings, check_config(settings), vault)
        condition = {"type": "threshold", "metric": "bench_ratio", "function": "last", "window": "1m", "value": 0.9}

        def prepare(connection) -> None:
            store_channel(connection, None, "hook", "webhook", document, secrets, 0)
            for index in range(rounds):
                add_server(connection, agent(index, INTERVAL_MS), HostFacts(), clock.now_ms())
                frame = Frame(layout.id, clock.now_ms(), pack([0.5]))
                store(connection, [Batch(index + 1, [frame], [layout])])
            add_rule(connection, parse_rule({"name": "r", "group_by": "series", "condition": condition}), 0)

        await database.write(prepare)
        environment = os.environ | {"BONGSU_ALERT_RULES_FILE": os.devnull, "BONGSU_LOG_LEVEL": "ERROR"}
        command = [sys.executable, "-m", "bongsu.cli", "server", "--role", "worker", "--data-dir", folder]
        worker = subprocess.Popen(command, env=environment)
        try:
            await asyncio.sleep(15)
            for index in range(rounds):
                # At a different point of the interval each time.
                await asyncio.sleep(1 + index * 3.7 % 10)
                arrived = len(hook.received)
                frame = Frame(layout.id, clock.now_ms(), pack([0.95]))
                batch = Batch(index + 1, [frame])
                await database.write(lambda connection, batch=batch: store(connection, [batch]))
                began = time.perf_counter()
                while len(hook.received) == arrived and time.perf_counter() - began < 60:
                    await asyncio.sleep(0.005)
                waited.append(time.perf_counter() - began)
        finally:
            worker.terminate()
            worker.wait()
            await database.close()
    return {"until_post_max_s": max(waited), "until_post_mean_s": float(np.mean(waited)), "until_post_rounds": rounds}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--servers", type=int, default=1_000)
    options.add_argument("--rules", type=int, default=50)
    options.add_argument("--cycles", type=int, default=30)
    options.add_argument("--rounds", type=int, default=12, help="rounds of until_post, 12 s each; 0: skip it")
    chosen = options.parse_args()
    results = asyncio.run(cycles(chosen.servers, chosen.rules, chosen.cycles))
    if chosen.rounds:
        results |= asyncio.run(until_post(chosen.rounds))
    report("alerts", results, as_json=chosen.json)


if __name__ == "__main__":
    main()
