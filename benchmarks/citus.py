"""A distributed installation: CPU time, bytes and answers on a Citus with any number of nodes, all on this machine.

``--url``: the coordinator's database, in which the extension is installed, the worker nodes are added, and nothing else
is. All nodes run here and listen on addresses that ``pg_dist_node`` names. The API server takes in frames of
``--agents`` agents; then the worker's jobs seal, compact and roll up a span of ``--servers`` servers, and the history
reader is asked about them. What counts is CPU time: of the API server or worker, of the coordinator, and of each node.
"""

import asyncio
import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import numpy as np
import uvloop
from sqlalchemy import text

from benchmarks.access import agent, agent_id, make_tokens
from benchmarks.ingest import CLIENT_CORE, cpu_seconds, drive, running_server
from benchmarks.report import parser, report
from bongsu.core.clock import SystemClock
from bongsu.core.samples import Frame, HostFacts
from bongsu.core.units import DAY_MS, HOUR_MS
from bongsu.server.commands.distribute import distribute
from bongsu.server.config import Settings
from bongsu.server.database.database import Database, open_database
from bongsu.server.database.migrations import upgrade
from bongsu.server.database.space import file_bytes
from bongsu.server.fleet.loading import load_registry
from bongsu.server.fleet.servers import add_server
from bongsu.server.history.decoded import DecodedRows
from bongsu.server.history.sources import read_layouts
from bongsu.server.storage.archive import RAW, SPAN_MS
from bongsu.server.storage.batches import Batch, store
from bongsu.server.storage.compactor import Compactor
from bongsu.server.storage.frames import frames_after
from bongsu.server.storage.sealer import Sealer
from bongsu.server.storage.stats import tier_stats
from bongsu.simulator import capture

INTERVAL_MS = 10_000
START_MS = 1_750_000_000_000 // SPAN_MS * SPAN_MS
# Of a group commit under load.
BATCHES = 250
FLEET = 2_000
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Later(SystemClock):
    """A day after the span."""

    def now_ms(self) -> int:
        return START_MS + 24 * HOUR_MS


class Nodes:
    """The coordinator and the worker nodes: their processes and sockets on this machine."""

    def __init__(self, url: str, rows: list[tuple[int, int, int]]) -> None:
        """``rows``: group (0: the coordinator), port and process id of each."""
        self._url = url
        self._rows = rows
        self.workers = sum(group != 0 for group, _, _ in rows)

    @classmethod
    async def of(cls, url: str) -> "Nodes":
        """The nodes of a database."""
        connection = await asyncpg.connect(url)
        nodes = await connection.fetch("SELECT groupid, nodename, nodeport FROM pg_dist_node ORDER BY groupid")
        database = await connection.fetchval("SELECT current_database()")
        user = await connection.fetchval("SELECT current_user")
        await connection.close()
        rows = []
        for group, host, port in nodes:
            node = await asyncpg.connect(host=host, port=port, user=user, database=database)
            lines = str(await node.fetchval("SELECT pg_read_file('postmaster.pid')")).splitlines()
            await node.close()
            rows.append((group, port, int(lines[0])))
        return cls(url, rows)

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU time of the coordinator, and of all worker nodes together."""
        children: dict[int, list[int]] = {}
        times: dict[int, float] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                pid = int(folder.name)
                # With that of children that have ended.
                times[pid] = sum(map(int, fields[11:15])) / _CLOCK_TICKS
                children.setdefault(int(fields[1]), []).append(pid)
        found = {"coordinator": 0.0, "nodes": 0.0}
        for group, _, postmaster in self._rows:
            own = times[postmaster] + sum(times[child] for child in children.get(postmaster, ()))
            found["nodes" if group else "coordinator"] += own
        return found

    def sent(self) -> dict[str, float]:
        """Bytes that the open connections of the coordinator and of the worker nodes have received and sent."""
        found = {"coordinator": 0.0, "nodes": 0.0}
        for group, port, _ in self._rows:
            told = subprocess.run(["ss", "-tinH", f"sport = :{port}"], capture_output=True, text=True, check=True)
            total = sum(map(int, re.findall(r"bytes_(?:received|sent):(\d+)", told.stdout)))
            found["nodes" if group else "coordinator"] += total
        return found

    async def logged(self) -> dict[str, float]:
        """Bytes that the coordinator and the worker nodes have written to their write-ahead logs."""
        position = "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
        connection = await asyncpg.connect(self._url)
        own = await connection.fetchval(f"SELECT {position}")
        others = await connection.fetch("SELECT result FROM run_command_on_workers($1)", f"SELECT {position}")
        await connection.close()
        return {"coordinator": float(own), "nodes": sum(float(row["result"]) for row in others)}


def difference(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    """What was added to each figure."""
    return {name: after[name] - before[name] for name in after}


@contextlib.contextmanager
def phase(results: dict[str, float], name: str) -> Iterator[dict[str, float]]:
    """Adds what a phase found."""
    found: dict[str, float] = {}
    yield found
    results |= {f"{name}.{figure}": value for figure, value in found.items()}


def ingest(url: str, nodes: Nodes, agents: int, seconds: float) -> dict[str, float]:
    """Through the API server: as ``benchmarks.ingest``, with the CPU time of the database."""
    os.environ["BONGSU_DATABASE_URL"] = url
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bongsu-bench-") as folder:
        _, tokens = make_tokens(Path(folder), map(agent_id, range(agents)))
        with running_server(Path(folder)) as (port, process):
            # The servers and their layouts are new.
            uvloop.run(drive(port, list(tokens.values()), 1, 0.0))
            for frames in (1, 10):
                start_ms = int(time.time() * 1000) - frames // 2 * DAY_MS - DAY_MS
                cpu, api, began = nodes.cpu(), cpu_seconds(process.pid), time.perf_counter()
                connections = uvloop.run(drive(port, list(tokens.values()), frames, seconds, start_ms=start_ms))
                took = time.perf_counter() - began
                api = cpu_seconds(process.pid) - api
                cpu = difference(nodes.cpu(), cpu)
                count = sum(connection.acknowledged for connection in connections)
                latencies = np.concatenate([connection.latencies for connection in connections]) * 1000
                with phase(results, f"{frames}_frames") as found:
                    found |= {
                        "samples_per_second": count * capture.SERIES / took,
                        "api_server_us_per_frame": api / count * 1e6,
                        **{f"{name}_us_per_frame": value / count * 1e6 for name, value in cpu.items()},
                        "ack_p50_ms": float(np.percentile(latencies, 50)),
                        "ack_p99_ms": float(np.percentile(latencies, 99)),
                    }
    return results


async def commits(database: Database, nodes: Nodes, servers: int) -> dict[str, float]:
    """Group commits of a span of ``servers`` servers, BATCHES frames in each: bytes on the wire for each sample."""
    began = time.perf_counter()
    for number in range(servers):
        name = agent(10_000 + number, INTERVAL_MS)
        await database.write(
            lambda connection, name=name: add_server(connection, name, HostFacts(), START_MS, {"bench": "span"})
        )
    added = time.perf_counter() - began
    registry = await database.read(load_registry)
    ids = [state.record.id for state in registry.by_id.values() if state.record.own_tags.get("bench") == "span"]
    layout = capture.layout()
    rows = [row.tobytes() for row in capture.rows(SPAN_MS // INTERVAL_MS)]
    await database.write(lambda connection: store(connection, [Batch(server, [], [layout]) for server in ids]))
    batches = [
        Batch(server, [Frame(layout.id, START_MS + index * INTERVAL_MS, rows[(index + place) % len(rows)])])
        for index in range(len(rows))
        for place, server in enumerate(ids)
    ]
    # The connections exist, so that all of their bytes count.
    await database.write(lambda connection: store(connection, batches[:BATCHES]))
    logged = await nodes.logged()
    sent, cpu, own, began = nodes.sent(), nodes.cpu(), time.process_time(), time.perf_counter()
    for first in range(BATCHES, len(batches), BATCHES):
        some = batches[first : first + BATCHES]
        await database.write(lambda connection, some=some: store(connection, some))
    took, own = time.perf_counter() - began, time.process_time() - own
    sent, cpu = difference(nodes.sent(), sent), difference(nodes.cpu(), cpu)
    logged = difference(await nodes.logged(), logged)
    count = len(batches) - BATCHES
    samples = count * capture.SERIES
    return {
        "new_server_ms": added / servers * 1000,
        "samples_per_second": samples / took,
        "client_us_per_frame": own / count * 1e6,
        **{f"{name}_us_per_frame": value / count * 1e6 for name, value in cpu.items()},
        "bytes_per_sample_to_coordinator": sent["coordinator"] / samples,
        "bytes_per_sample_to_nodes": sent["nodes"] / samples,
        "log_bytes_per_sample_of_coordinator": logged["coordinator"] / samples,
        "log_bytes_per_sample_of_nodes": logged["nodes"] / samples,
    }


async def sealing(database: Database, nodes: Nodes, samples: int) -> dict[str, float]:
    """The jobs that turn the frames of a span into blocks and rollups."""
    results = {}
    for job, name in ((Sealer, "seal"), (Compactor, "compact")):
        sent, logged = nodes.sent(), await nodes.logged()
        cpu, own, began = nodes.cpu(), time.process_time(), time.perf_counter()
        running = job(Settings(), database, Later())
        await running.run(asyncio.Event())
        await running.close()
        took, own = time.perf_counter() - began, time.process_time() - own
        cpu, sent = difference(nodes.cpu(), cpu), difference(nodes.sent(), sent)
        logged = difference(await nodes.logged(), logged)
        results |= {
            f"{name}.bytes_per_sample_to_coordinator": sent["coordinator"] / samples,
            f"{name}.bytes_per_sample_to_nodes": sent["nodes"] / samples,
            f"{name}.log_bytes_per_sample_of_nodes": logged["nodes"] / samples,
            f"{name}.samples_per_second": samples / took,
            f"{name}.worker_ns_per_sample": own / samples * 1e9,
            **{f"{name}.{part}_ns_per_sample": value / samples * 1e9 for part, value in cpu.items()},
        }
    return results


async def asked(database: Database, nodes: Nodes, rounds: int) -> dict[str, float]:
    """What the history reader and the other processes ask, as statements: CPU time of the database for each."""
    registry = await database.read(load_registry)
    layout = capture.layout()
    ids = [state.record.id for state in registry.by_id.values() if state.record.own_tags.get("bench") == "span"]
    # Those of servers that have none cost the same.
    everything = {(server, layout.id): START_MS + SPAN_MS for server in range(1, FLEET + 1)}

    def history(servers: list[int], length_ms: int):
        wanted = {(server, layout.id): [20] for server in servers}
        end_ms = START_MS + SPAN_MS
        return lambda connection: read_layouts(
            connection, wanted, RAW, end_ms - length_ms, end_ms, 0, DecodedRows(), lambda samples: None
        )

    questions = {
        "history_1_server_1_hour": lambda number: history([ids[number % len(ids)]], HOUR_MS),
        "history_1_server_6_hours": lambda number: history([ids[number % len(ids)]], SPAN_MS),
        "history_20_servers_6_hours": lambda number: history(ids[:20], SPAN_MS),
        f"new_frames_of_{FLEET}_servers": lambda number: lambda connection: frames_after(connection, everything),
    }
    results = {}
    for name, question in questions.items():
        await database.read(question(0))
        cpu, took = nodes.cpu(), []
        for number in range(rounds):
            began = time.perf_counter()
            await database.read(question(number))
            took.append((time.perf_counter() - began) * 1000)
        cpu = difference(nodes.cpu(), cpu)
        results[f"{name}.p50_ms"] = float(np.percentile(took, 50))
        results |= {f"{name}.{part}_cpu_ms": value / rounds * 1000 for part, value in cpu.items()}
    return results


async def prepare(url: str, shards: int) -> Nodes:
    """Makes the tables, and distributes them."""
    database = open_database(url)
    await database.write(upgrade, patient=True)
    async for _ in distribute(database, SystemClock(), shards):
        pass
    await database.close()
    return await Nodes.of(url)


async def stored(url: str, nodes: Nodes, servers: int, rounds: int) -> dict[str, float]:
    """All phases that go to the database directly."""
    database = open_database(url)
    results: dict[str, float] = {}
    with phase(results, "commits") as found:
        found |= await commits(database, nodes, servers)
    samples = servers * (SPAN_MS // INTERVAL_MS) * capture.SERIES
    with phase(results, "sealing") as found:
        found |= await sealing(database, nodes, samples)
    tiers = {tier.name: tier for tier in await database.read(tier_stats)}
    with phase(results, "stored") as found:
        for name in ("raw", "1m", "1h"):
            found[f"{name}_bytes_per_sample"] = tiers[name].bytes_per_sample or 0.0
            found[f"{name}_bytes_per_server_and_6_hours"] = tiers[name].bytes / servers
        found["whole_bytes"] = await database.read(file_bytes)
    await database.write(lambda connection: connection.execute(text("ANALYZE")), patient=True)
    with phase(results, "asked") as found:
        found |= await asked(database, nodes, rounds)
    await database.close()
    return results


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--url", required=True, help="an empty database of a coordinator")
    arguments.add_argument("--shards", type=int, default=32)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--agents", type=int, default=64)
    arguments.add_argument("--servers", type=int, default=40)
    arguments.add_argument("--rounds", type=int, default=100)
    options = arguments.parse_args()
    nodes = asyncio.run(prepare(options.url, options.shards))
    results: dict[str, float] = {"worker_nodes": float(nodes.workers), "shards": float(options.shards)}
    results |= asyncio.run(stored(options.url, nodes, options.servers, options.rounds))
    os.sched_setaffinity(0, {CLIENT_CORE})
    with phase(results, "ingest") as found:
        found |= ingest(options.url, nodes, options.agents, options.seconds)
    report("citus", results, as_json=options.json)


if __name__ == "__main__":
    main()
