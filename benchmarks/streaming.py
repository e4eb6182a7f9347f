"""The live stream: many clients that watch servers, from the commit of a frame to its arrival.

Runs the API server on core 0; agents and clients share core 1. Each of ``--servers`` agents sends a frame of 150 series
every second, each at a moment of its own. Each of ``--clients`` clients watches ten of them, ten series each, over a
WebSocket. The latency runs from the sending of the push, so it includes the commit, and from its answer, which follows
the commit. Then the same with a tenth of the clients reading nothing. At the end, busy agents measure ingest, in turns
with nobody watching and beside the clients; core 1 drives them as well, so it is seen whether that is the limit.
"""

import asyncio
import base64
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import cast

import numpy as np
import uvloop

from benchmarks import ingest
from benchmarks.access import agent, agent_id, make_tokens
from benchmarks.report import parser, report
from bongsu.core.samples import Frame, Push
from bongsu.core.units import DAY_MS, HOUR_MS
from bongsu.simulator import capture, http
from bongsu.wire import live, protobuf
from bongsu.wire.encoder import METRICS_PATH

WATCHED_SERVERS = 10
WATCHED_SERIES = 10
# Clients of which every message is decoded; of the others only bytes are counted, or this process would be the limit.
DECODED_SHARE = 10
STALLED_SHARE = 10
WARM_UP_SECONDS = 3.0


class Client(asyncio.Protocol):
    """A WebSocket client that reads as little as possible (RFC 6455)."""

    def __init__(self, token: str, wanted: live.Subscribe, *, decodes: bool, stalls: bool) -> None:
        self.token, self.wanted, self.decodes, self.stalls = token, wanted, decodes, stalls
        # (server's first value, which is the time of sending; time of frame; when it arrived)
        self.arrivals: list[tuple[float, int, float]] = []
        self.bytes = 0
        self.messages = 0
        self.open = False
        self.lost = False
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            (
                "GET /api/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )

    def say(self, message: live.ClientMessage) -> None:
        """Sends a message, masked with zeros."""
        body = live.encode_client(message)
        length = bytes([0x80 | len(body)]) if len(body) < 126 else bytes([0x80 | 126]) + len(body).to_bytes(2, "big")
        self.transport.write(b"\x82" + length + bytes(4) + body)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.bytes += len(data)
        self._pending += data
        if not self.open:
            head, complete, rest = self._pending.partition(b"\r\n\r\n")
            if not complete:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(head.decode(errors="replace"))
            self.open, self._pending = True, rest
            self.say(live.Authenticate(live.PROTOCOL, self.token))
            self.say(self.wanted)
            if self.stalls:
                raw: socket.socket = self.transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                self.transport.pause_reading()
        while len(self._pending) >= 2:
            opcode, length, start = self._pending[0] & 15, self._pending[1] & 127, 2
            if length == 126:
                length, start = int.from_bytes(self._pending[2:4], "big"), 4
            elif length == 127:
                length, start = int.from_bytes(self._pending[2:10], "big"), 10
            if len(self._pending) < start + length:
                return
            body, self._pending = self._pending[start : start + length], self._pending[start + length :]
            if opcode == 9:  # a ping wants a pong
                self.transport.write(
                    b"\x8a\x80" + bytes(4) if not body else b"\x8a" + bytes([0x80 | len(body)]) + bytes(4) + body
                )
            elif opcode == 2:
                self.messages += 1
                if self.decodes:
                    message = live.decode_server(body)
                    self.arrivals += [(sample.values[0], sample.time_ms, now) for sample in message.values]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


async def push_every_second(port: int, number: int, token: str, until: float, acks: dict[int, float]) -> None:
    """One agent. ``acks``: time of sending in us -> when it was answered."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(http.PooledConnection, "127.0.0.1", port)
    rows = capture.rows(600, start=number * 7)
    identity = agent(number, 1_000)
    layouts = [capture.layout()]
    await asyncio.sleep(number * 0.618 % 1)
    step = 0
    due = time.perf_counter()
    while due < until:
        row = rows[step % len(rows)].copy()
        sent = time.perf_counter()
        row[0] = sent
        frame = Frame(capture.layout().id, int(time.time() * 1000), row.tobytes())
        body = protobuf.encode_push(Push(identity, None, layouts, [frame]))
        response = await connection.exchange(http.post("127.0.0.1", METRICS_PATH, token, protobuf.CONTENT_TYPE, body))
        if response.status != 200:
            raise RuntimeError(f"{response.status} {response.body[:500].decode(errors='replace')}")
        acks[round(sent * 1e6)] = time.perf_counter()
        layouts = []
        step += 1
        due += 1.0
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    connection.transport.close()


async def connect(port: int, viewer: str, clients: int, servers: int, stalled: int) -> list[Client]:
    """Connects the clients, each with ten servers of its own."""
    loop = asyncio.get_running_loop()
    metrics = tuple(series.metric for series in capture.layout().series[:WATCHED_SERIES])
    connected = []
    for number in range(clients):
        chosen = tuple(1 + (number * 3 + step * 7) % servers for step in range(WATCHED_SERVERS))
        wanted = live.Subscribe(1, server_ids=tuple(sorted(set(chosen))), metrics=metrics, values=True)
        stalls = number < stalled
        decodes = not stalls and number % DECODED_SHARE == 0
        _, client = await loop.create_connection(
            lambda wanted=wanted, decodes=decodes, stalls=stalls: Client(
                viewer, wanted, decodes=decodes, stalls=stalls
            ),
            "127.0.0.1",
            port,
        )
        connected.append(client)
        if number % 20 == 19:
            await asyncio.sleep(0.02)
    return connected


async def stream(
    port: int, viewer: str, tokens: list[str], clients: int, seconds: float, stalled: int
) -> tuple[list[Client], dict[int, float], float]:
    """Pushes and listens. Returns the clients, the acknowledgements, and when measuring began."""
    acks: dict[int, float] = {}
    setup = 5.0 + clients / 400
    until = time.perf_counter() + setup + WARM_UP_SECONDS + seconds
    agents = [
        asyncio.create_task(push_every_second(port, number, token, until, acks)) for number, token in enumerate(tokens)
    ]
    await asyncio.sleep(3.0)
    connected = await connect(port, viewer, clients, len(tokens), stalled)
    await asyncio.sleep(WARM_UP_SECONDS)
    began = time.perf_counter()
    await asyncio.gather(*agents)
    await asyncio.sleep(1.0)
    if any(client.lost and not client.stalls for client in connected):
        raise RuntimeError("a client lost its connection")
    for client in connected:
        client.transport.abort()
    return connected, acks, began


def measure(clients: int, servers: int, seconds: float, stalled: int) -> dict[str, float]:
    """One run on an empty database."""
    with tempfile.TemporaryDirectory(prefix="bongsu-bench-", dir=os.environ.get("BONGSU_BENCH_DIR")) as folder:
        viewer, tokens = make_tokens(Path(folder), map(agent_id, range(servers)))
        os.environ["BONGSU_LIMITS__LIVE_CONNECTIONS_PER_USER"] = str(clients)
        with ingest.running_server(Path(folder)) as (port, process):
            before, began = ingest.cpu_seconds(process.pid), time.perf_counter()
            here = time.process_time()
            connected, acks, measured_from = uvloop.run(
                stream(port, viewer, list(tokens.values()), clients, seconds, stalled)
            )
            took = time.perf_counter() - began
            busy = ingest.cpu_seconds(process.pid) - before
            here = time.process_time() - here
            status = Path(f"/proc/{process.pid}/status").read_text()
            rss = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    from_sending: list[float] = []
    from_answer: list[float] = []
    watched = 0
    for client in connected:
        if not client.decodes:
            continue
        seen = [arrival for arrival in client.arrivals if arrival[0] >= measured_from]
        from_sending += [arrived - sent for sent, _, arrived in seen]
        from_answer += [arrived - acks[round(sent * 1e6)] for sent, _, arrived in seen if round(sent * 1e6) in acks]
        watched += len(client.wanted.server_ids)
    if not from_sending:
        raise RuntimeError("nothing arrived")
    # All agents send equally often.
    sent_each = sum(sent >= measured_from * 1e6 for sent in acks) / servers
    return {
        "from_sending_p50_ms": float(np.percentile(from_sending, 50) * 1000),
        "from_sending_p99_ms": float(np.percentile(from_sending, 99) * 1000),
        "from_commit_p50_ms": float(np.percentile(from_answer, 50) * 1000),
        "from_commit_p99_ms": float(np.percentile(from_answer, 99) * 1000),
        "arrived_ratio": len(from_sending) / (watched * sent_each),
        "messages_per_second": sum(client.messages for client in connected) / took,
        "server_cores": busy / took,
        "client_cores": here / took,
        "server_rss_mb": rss / 1024,
    }


def measure_ingest(clients: int, servers: int, agents: int, seconds: float, rounds: int) -> dict[str, float]:
    """What busy agents store beside the agents of the watched servers, in turns without clients and with them: the
    speed of a machine that is shared with others changes more from minute to minute than by the clients."""
    with tempfile.TemporaryDirectory(prefix="bongsu-bench-", dir=os.environ.get("BONGSU_BENCH_DIR")) as folder:
        viewer, tokens = make_tokens(Path(folder), map(agent_id, range(servers + agents)))
        os.environ["BONGSU_LIMITS__LIVE_CONNECTIONS_PER_USER"] = str(max(1, clients))
        listed = list(tokens.values())

        async def run(port: int, pid: int) -> dict[str, list[dict[str, float]]]:
            acks: dict[int, float] = {}
            watched = [
                asyncio.create_task(push_every_second(port, number, token, float("inf"), acks))
                for number, token in enumerate(listed[:servers])
            ]
            await asyncio.sleep(WARM_UP_SECONDS)
            found: dict[str, list[dict[str, float]]] = {"without_clients": [], "beside_clients": []}
            start_ms = int(time.time() * 1000) - 5 * DAY_MS
            for number in range(2 * rounds):
                name, present = ("beside_clients", clients) if number % 2 else ("without_clients", 0)
                connected = await connect(port, viewer, present, servers, 0)
                await asyncio.sleep(WARM_UP_SECONDS)
                before, here, began = ingest.cpu_seconds(pid), time.process_time(), time.perf_counter()
                connections = await _drive(port, listed[servers:], servers, seconds, start_ms + number * HOUR_MS)
                took = time.perf_counter() - began
                found[name].append(
                    {
                        "posts_per_second": sum(len(connection.latencies) for connection in connections) / took,
                        "server_cores": (ingest.cpu_seconds(pid) - before) / took,
                        "client_cores": (time.process_time() - here) / took,
                    }
                )
                for client in connected:
                    client.transport.abort()
            for task in watched:
                task.cancel()
            return found

        with ingest.running_server(Path(folder)) as (port, process):
            found = uvloop.run(run(port, process.pid))
    results = {
        f"ingest_{name}.{figure}": float(np.median([turn[figure] for turn in turns]))
        for name, turns in found.items()
        for figure in turns[0]
    }
    ratios = [
        beside["posts_per_second"] / alone["posts_per_second"]
        for alone, beside in zip(found["without_clients"], found["beside_clients"], strict=True)
    ]
    return results | {"ingest_ratio_median": float(np.median(ratios)), "ingest_ratio_least": min(ratios)}


async def _drive(port: int, tokens: list[str], first: int, seconds: float, start_ms: int) -> list[ingest.Connection]:
    loop = asyncio.get_running_loop()
    rows = [row.tobytes() for row in capture.rows(1_500)]
    stop_at = time.perf_counter() + seconds
    connections = []
    for number, token in enumerate(tokens, first):
        _, connection = await loop.create_connection(
            lambda number=number, token=token: ingest.Connection(number, token, 1, rows, start_ms, stop_at),
            "127.0.0.1",
            port,
        )
        connections.append(connection)
    await asyncio.gather(*(connection.done for connection in connections))
    return connections


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--clients", type=int, default=1_000)
    arguments.add_argument("--servers", type=int, default=100)
    arguments.add_argument("--seconds", type=float, default=20)
    arguments.add_argument("--ingest-seconds", type=float, default=5, help="of each turn; 0: without ingest")
    arguments.add_argument("--rounds", type=int, default=6, help="turns without clients and with them")
    options = arguments.parse_args()
    os.sched_setaffinity(0, {ingest.CLIENT_CORE})
    results = {}
    for name, stalled in (("all_read", 0), ("a_tenth_stalled", options.clients // STALLED_SHARE)):
        for figure, value in measure(options.clients, options.servers, options.seconds, stalled).items():
            results[f"{name}.{figure}"] = value
    if options.ingest_seconds:
        results |= measure_ingest(options.clients, options.servers, 64, options.ingest_seconds, options.rounds)
    report("streaming", results, as_json=options.json)


if __name__ == "__main__":
    main()
