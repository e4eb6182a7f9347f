"""A client of the live stream: in this process, straight to the application, or over a real WebSocket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from bongsu.core.events import Event
from bongsu.core.samples import PushError
from bongsu.core.series import Series
from bongsu.server.live import post
from bongsu.wire import live
from tests.support.app import RunningApp
from tests.support.pushes import a_frame, a_push

PATIENCE_SECONDS = 60


@dataclass
class Seen:
    """What a client knows from all messages so far."""

    series_lists: dict[int, tuple[Series, ...]] = field(default_factory=dict)
    streams: dict[int, live.StreamInfo] = field(default_factory=dict)
    subscriptions: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict)
    samples: list[live.Sample] = field(default_factory=list)
    gaps: list[live.Missed] = field(default_factory=list)
    states: dict[int, live.State] = field(default_factory=dict)
    refusals: list[tuple[int, PushError]] = field(default_factory=list)
    pongs: list[int] = field(default_factory=list)
    welcomes: list[int] = field(default_factory=list)
    servers_changed: int = 0
    behind: bool = False
    events: list[Event] = field(default_factory=list)
    messages: int = 0

    def take(self, message: live.ServerMessage) -> None:
        """Adds a message, in the order in which a client must read its parts."""
        self.messages += 1
        if message.welcome is not None:
            self.welcomes.append(message.welcome)
        self.pongs += message.pongs
        self.series_lists |= message.series_lists
        self.streams |= message.streams
        self.subscriptions |= message.subscriptions
        for sample in message.values:
            assert sample.stream_id in self.streams, "values of a stream that was not described"
        self.samples += message.values
        self.gaps += message.gaps
        self.states |= {server_id: state for server_id, (state, _) in message.servers.items()}
        self.refusals += message.refusals
        self.servers_changed += message.servers_changed
        self.events += message.events
        if message.behind is not None:
            self.behind = message.behind

    def series(self, sample: live.Sample) -> dict[str, float]:
        """Metric -> value of a sample."""
        names = self.series_lists[self.streams[sample.stream_id].list_id]
        return dict(zip([series.metric for series in names], sample.values, strict=True))

    def times(self, server_id: int) -> list[int]:
        """The times of the samples of a server, as they came."""
        return [sample.time_ms for sample in self.samples if self.streams[sample.stream_id].server_id == server_id]


class LiveClient:
    """A connection to /api/ws in this process."""

    def __init__(self, app: RunningApp, headers: dict[str, str] | None = None) -> None:
        self.seen = Seen()
        self.closed: tuple[int, str] | None = None
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._changed = asyncio.Condition()
        # Cleared while the client reads nothing.
        self.reads = asyncio.Event()
        self.reads.set()
        named = {"host": "127.0.0.1"} | (headers or {})
        scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": "/api/ws",
            "raw_path": b"/api/ws",
            "root_path": "",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "subprotocols": [],
        }
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.create_task(app.application(scope, self._to_app.get, self._from_app))

    async def say(self, message: live.ClientMessage) -> None:
        """Sends a message."""
        await self.say_bytes(live.encode_client(message))

    async def say_bytes(self, message: bytes) -> None:
        """Sends what need not be a message."""
        self._to_app.put_nowait({"type": "websocket.receive", "bytes": message})

    async def until(self, condition: Callable[[Seen], Any], what: str = "a message") -> Seen:
        """Waits until what was seen fulfils a condition."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
                await self._changed.wait_for(lambda: condition(self.seen) or self.closed)
        except TimeoutError:
            raise AssertionError(f"waited for {what}; seen: {self.seen}") from None
        assert self.closed is None, f"closed with {self.closed} while waiting for {what}"
        return self.seen

    async def until_closed(self) -> tuple[int, str]:
        """Waits until the API server closes the connection. Returns code and reason."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(lambda: self.closed)
        assert self.closed is not None
        return self.closed

    async def settled(self) -> Seen:
        """Waits until all that was said before is answered."""
        number = len(self.seen.pongs) + 1_000
        await self.say(live.Ping(number))
        return await self.until(lambda seen: number in seen.pongs, "the pong")

    async def leave(self) -> None:
        """Closes the connection."""
        self.reads.set()
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1001})
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._task

    async def _from_app(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        async with self._changed:
            if message["type"] == "websocket.send":
                self.seen.take(live.decode_server(message["bytes"]))
            elif message["type"] == "websocket.close":
                self.closed = (message["code"], message["reason"])
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def connected(app: RunningApp, token: str | None = None, **headers: str) -> AsyncIterator[LiveClient]:
    """A client that has authenticated, as the admin of the application if no token is given."""
    client = LiveClient(app, headers)
    try:
        bearer = app.client.headers["Authorization"].removeprefix("Bearer ")
        await client.say(live.Authenticate(live.PROTOCOL, token or bearer))
        await client.until(lambda seen: seen.welcomes, "the welcome")
        yield client
    finally:
        await client.leave()


EVERYTHING = live.Subscribe(1, values=True, states=True)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that push frames one after the other: nothing is gained by gathering them. Import it."""
    monkeypatch.setattr(post, "GATHER_SECONDS", 0.001)


async def push(app: RunningApp, *values: float, name: str = "web-1", after_ms: int = 0) -> int:
    """Pushes a frame of LAYOUT and returns its time."""
    time_ms = app.clock.now_ms() + after_ms
    frame = a_frame(time_ms, values or (0.5, 1024.0, 100.0))
    answer = await app.push(a_push([frame], name=name))
    assert answer.status_code == 200, answer.text
    return time_ms


async def server_id(app: RunningApp, name: str = "web-1") -> int:
    """The id of a server, also of one that is retired."""
    servers = (await app.get("/api/servers", retired=True))["servers"]
    return next(int(server["id"]) for server in servers if server["name"] == name)
