"""Connections that simulated servers share, against a small HTTP server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bongsu.simulator.http import ClosedError, HttpError, Pool
from tests.support.processes import free_port

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"


@contextlib.asynccontextmanager
async def serving(handler: Handler, *, size: int = 2, timeout_seconds: float = 30.0) -> AsyncIterator[Pool]:
    """A server with this handler for each connection, and a pool for it."""

    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    pool = Pool("127.0.0.1", server.sockets[0].getsockname()[1], size=size, timeout_seconds=timeout_seconds)
    try:
        yield pool
    finally:
        pool.close()
        server.close()
        await asyncio.gather(*handlers)


async def test_requests_share_connections() -> None:
    connections = 0
    waiting = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await waiting.wait()
            writer.write(ANSWER)

    async with serving(handler, size=2) as pool:
        requests = [asyncio.create_task(pool.exchange(REQUEST)) for _ in range(10)]
        waiting.set()
        assert [(await request).body for request in requests] == 10 * [b"ok"]
    assert connections == 2


async def test_a_connection_that_the_server_closed_while_idle_is_replaced() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)

    async with serving(handler) as pool:
        for _ in range(3):
            assert (await pool.exchange(REQUEST)).body == b"ok"


async def test_a_request_that_a_new_connection_does_not_answer_fails() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with serving(handler) as pool:
        with pytest.raises(ClosedError):
            await pool.exchange(REQUEST)


async def test_a_response_that_is_cut_short_fails() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER[:-1])

    async with serving(handler) as pool:
        with pytest.raises(HttpError, match="cut short"):
            await pool.exchange(REQUEST)


async def test_a_server_that_never_answers_is_given_up_and_the_connection_is_free_again() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(handler, size=1, timeout_seconds=0.01) as pool:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await pool.exchange(REQUEST)


async def test_nobody_listens() -> None:
    with pytest.raises(ConnectionRefusedError):
        await Pool("127.0.0.1", free_port(), size=1, timeout_seconds=30.0).check()
