"""The live stream over real WebSockets, against an API server in a process of its own."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bongsu.core.series import Kind, Layout, Series
from bongsu.wire import live, protobuf
from tests.support.live import PATIENCE_SECONDS, Seen
from tests.support.processes import api_server, enrolled, free_port, logged_in
from tests.support.pushes import a_frame, a_push

AGENT = "agent-web-1"
WIDE = Layout.of(tuple(Series(f"queue_{number}_length", (), "", Kind.GAUGE) for number in range(1_000)))


@contextlib.asynccontextmanager
async def subscribed(url: str, token: str, wanted: live.Subscribe) -> AsyncIterator[ClientConnection]:
    """A connection with a subscription."""
    async with connect(url.replace("http", "ws") + "/api/ws", max_size=None) as connection:
        await connection.send(live.encode_client(live.Authenticate(live.PROTOCOL, token)))
        await connection.send(live.encode_client(wanted))
        yield connection


async def read_until(connection: ClientConnection, seen: Seen, samples: int) -> None:
    """Reads until so many samples were seen."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(seen.samples) < samples:
            message = await connection.recv()
            assert isinstance(message, bytes)
            seen.take(live.decode_server(message))


async def closing(connection: ClientConnection) -> int | None:
    """Reads until the API server closes, and returns its code."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        try:
            while True:
                await connection.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


async def test_frames_arrive_and_a_restart_says_so(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with api_server(tmp_path, port) as process:
        agent = enrolled(url, AGENT)[AGENT]
        with logged_in(url) as client:
            token = client.headers["Authorization"].removeprefix("Bearer ")
            now_ms = client.get("/api/health").json()["time_ms"]
        async with httpx.AsyncClient(base_url=url, timeout=30) as agent_client:

            async def push(time_ms: int) -> None:
                answer = await agent_client.post(
                    "/api/metrics",
                    content=protobuf.encode_push(a_push([a_frame(time_ms)])),
                    headers={"Content-Type": protobuf.CONTENT_TYPE, "Authorization": f"Bearer {agent}"},
                )
                assert answer.status_code == 200, answer.text

            await push(now_ms)
            async with subscribed(url, token, live.Subscribe(1, values=True, states=True)) as connection:
                seen = Seen()
                await read_until(connection, seen, 1)
                for step in range(1, 4):
                    await push(now_ms + 1_000 * step)
                    await read_until(connection, seen, 1 + step)
                assert [sample.time_ms for sample in seen.samples] == [now_ms + 1_000 * step for step in range(4)]
                # Nobody is harmed by one who says too much.
                async with subscribed(url, token, live.Subscribe(1, values=True)) as other:
                    await other.send(b"\x00" * 100_000)
                    assert await closing(other) == 1009
                await push(now_ms + 4_000)
                await read_until(connection, seen, 5)
                process.send_signal(signal.SIGTERM)
                assert await closing(connection) == 1012
            assert await asyncio.to_thread(process.wait, PATIENCE_SECONDS) in (0, -signal.SIGTERM)


async def test_text_and_foreign_origins_are_refused(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with api_server(tmp_path, port):
        address = url.replace("http", "ws") + "/api/ws"
        async with connect(address) as connection:
            await connection.send("hello")
            assert await closing(connection) == 4400
        async with connect(address, origin="https://evil.example.com") as connection:  # type: ignore[arg-type]
            assert await closing(connection) == 4403
        # Neither a WebSocket nor a page.
        assert httpx.get(f"{url}/api/ws").status_code == 404


async def test_a_peer_that_stops_reading_is_closed_and_the_others_go_on(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with api_server(tmp_path, port):
        agent = enrolled(url, AGENT)[AGENT]
        with logged_in(url) as client:
            token = client.headers["Authorization"].removeprefix("Bearer ")
            now_ms = client.get("/api/health").json()["time_ms"]
        wanted = live.Subscribe(1, values=True)
        async with (
            httpx.AsyncClient(base_url=url, timeout=30) as agent_client,
            subscribed(url, token, wanted) as quick,
            connect(url.replace("http", "ws") + "/api/ws", max_queue=1) as stalled,
        ):
            raw: socket.socket = stalled.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            await stalled.send(live.encode_client(live.Authenticate(live.PROTOCOL, token)))
            await stalled.send(live.encode_client(wanted))
            stalled.transport.pause_reading()
            seen = Seen()
            reader = asyncio.create_task(read_until(quick, seen, 1_000_000))
            # 160 KB a request, until the buffers of both ends are full.
            first = now_ms - 3_600_000
            closed_by_server = False
            for number in range(5_000):
                values = (float(number),) * len(WIDE.series)
                frames = [a_frame(first + 10 * (number * 20 + step), values, WIDE) for step in range(20)]
                answer = await agent_client.post(
                    "/api/metrics",
                    content=protobuf.encode_push(a_push(frames, layouts=[WIDE])),
                    headers={"Content-Type": protobuf.CONTENT_TYPE, "Authorization": f"Bearer {agent}"},
                )
                assert answer.status_code == 200, answer.text
                assert not reader.done(), reader
                if number % 10 == 0:
                    health = await agent_client.get("/api/health", headers={"Authorization": f"Bearer {token}"})
                    counts = health.json()["live"]
                    if counts["closed_total"].get("4408"):
                        closed_by_server = True
                        break
            reader.cancel()
            assert closed_by_server
            assert counts["clients"] == 1
            assert seen.samples[-1].time_ms > first + 100 * number, "the other client got the newest frames"
            stalled.transport.abort()


async def test_five_hundred_clients_survive_a_restart_and_miss_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BONGSU_LIMITS__LIVE_CONNECTIONS_PER_USER", "1000")
    monkeypatch.setenv("BONGSU_CONNECTIONS_PER_ADDRESS", "2000")
    count = 500
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    seen = [Seen() for _ in range(count)]
    told = live.Subscribe(1, values=True)

    async def watch(client: int, token: str, samples: int, since_ms: int) -> ClientConnection:
        connection = await connect(url.replace("http", "ws") + "/api/ws", open_timeout=PATIENCE_SECONDS)
        await connection.send(live.encode_client(live.Authenticate(live.PROTOCOL, token)))
        await connection.send(live.encode_client(replace(told, since_ms=since_ms)))
        await read_until(connection, seen[client], samples)
        return connection

    async def push(agent: str, *times_ms: int) -> None:
        frames = [a_frame(time_ms) for time_ms in times_ms]
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS) as client:
            answer = await client.post(
                "/api/metrics",
                content=protobuf.encode_push(a_push(frames)),
                headers={"Content-Type": protobuf.CONTENT_TYPE, "Authorization": f"Bearer {agent}"},
            )
        assert answer.status_code == 200, answer.text

    with api_server(tmp_path, port) as process:
        agent = enrolled(url, AGENT)[AGENT]
        with logged_in(url) as client:
            token = client.headers["Authorization"].removeprefix("Bearer ")
            now_ms = client.get("/api/health").json()["time_ms"]
        await push(agent, now_ms)
        connections = await asyncio.gather(*(watch(number, token, 1, 0) for number in range(count)))
        await push(agent, now_ms + 1_000)
        await asyncio.gather(
            *(read_until(connection, seen[number], 2) for number, connection in enumerate(connections))
        )
        process.send_signal(signal.SIGTERM)
        codes = await asyncio.gather(*(closing(connection) for connection in connections))
        assert set(codes) == {1012}
        assert await asyncio.to_thread(process.wait, PATIENCE_SECONDS) in (0, -signal.SIGTERM)
    with api_server(tmp_path, port):
        await push(agent, now_ms + 2_000, now_ms + 3_000, now_ms + 4_000)
        # All at once, which is worse than what browsers do.
        connections = await asyncio.gather(*(watch(number, token, 3, now_ms + 1_000) for number in range(count)))
        for each in seen:
            missed = [(gap.start_ms, gap.end_ms) for gap in each.gaps]
            for step in range(5):
                time_ms = now_ms + 1_000 * step
                was_sent = time_ms in {sample.time_ms for sample in each.samples}
                assert was_sent or any(start <= time_ms <= end for start, end in missed)
        with logged_in(url) as client:
            assert client.get("/api/health").json()["live"]["clients"] == count
        await asyncio.gather(*(connection.close() for connection in connections))
