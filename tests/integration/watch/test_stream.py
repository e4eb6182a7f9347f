"""The connection to the live stream, against a server that says what a test tells it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bongsu.core.errors import BongsuError, Forbidden, NotFound, TooMany, Unauthenticated, Unavailable
from bongsu.core.events import Event, EventType
from bongsu.core.samples import PushError, pack
from bongsu.core.series import Series
from bongsu.watch.frames import StreamFrame
from bongsu.watch.site import Site
from bongsu.watch.stream import LiveStream, backoff_seconds
from bongsu.watch.tokens import FixedToken, LoginTokens, Tokens
from bongsu.wire import live

PATIENCE_SECONDS = 60
CPU = Series("cpu_usage_ratio", (), "ratio")
NOW = 1_785_430_324_000
Behaviour = Callable[["Api", ServerConnection, int], Awaitable[None]]


@dataclass
class Told:
    """``output.Output`` that remembers."""

    times: list[int] = field(default_factory=list)
    states: list[live.State] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    connections: int = 0
    streams: int = -1

    def frame(self, frame: StreamFrame) -> None:
        self.times.append(frame.time_ms)

    def state(self, state: live.State) -> None:
        self.states.append(state)

    def selected(self, streams: int) -> None:
        self.streams = streams

    def gap(self, start_ms: int, end_ms: int) -> None:
        self.gaps.append((start_ms, end_ms))

    def event(self, event: Event) -> None:
        self.events.append(event)

    def behind(self, present: bool) -> None:
        pass

    def connected(self) -> None:
        self.connections += 1

    def waiting(self, seconds: float, reason: str) -> None:
        self.reasons.append(reason)


class Api:
    """Behaves as told on each connection, which has a number from 1 on."""

    def __init__(self, behave: Behaviour) -> None:
        self.connections = 0
        self.tokens: list[str] = []
        self.wanted: list[live.Subscribe] = []
        self.url = ""
        self._behave = behave

    async def talk(self, socket: ServerConnection) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionClosed):
            await self._behave(self, socket, self.connections)

    async def hear(self, socket: ServerConnection) -> live.ClientMessage:
        body = await socket.recv()
        assert isinstance(body, bytes)
        message = live.decode_client(body)
        if isinstance(message, live.Authenticate):
            self.tokens.append(message.token)
        if isinstance(message, live.Subscribe):
            self.wanted.append(message)
        return message

    async def begin(self, socket: ServerConnection, *, lifetime_ms: int = 0) -> None:
        """Hears the token and the subscription, and answers with one stream."""
        await self.hear(socket)
        await socket.send(live.welcome(NOW, NOW + lifetime_ms if lifetime_ms else 0))
        await self.hear(socket)
        await self.hear(socket)
        described = live.series_list(1, [CPU]) + live.stream(1, 1, 1, 1_000) + live.subscription(1, [1], [1])
        await socket.send(described + live.status(1, live.State.UP, NOW))
        await socket.send(live.pong(1, NOW))

    async def say(self, socket: ServerConnection, *times: int) -> None:
        for time_ms in times:
            await socket.send(live.values(1, time_ms, pack([0.5]), b""))


@contextlib.asynccontextmanager
async def api(behave: Behaviour) -> AsyncIterator[Api]:
    running = Api(behave)
    async with serve(running.talk, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        running.url = f"http://127.0.0.1:{port}"
        yield running


async def watch(
    running: Api, tokens: Tokens | None = None, *, once: bool = False, until: Callable[[Told], bool] = bool
) -> Told:
    """Watches until it is done or ``until``."""
    told = Told()
    site = Site(running.url)
    stream = LiveStream(
        site, tokens or FixedToken("token"), told, live.Subscribe(1, server_ids=(1,)), chance=lambda: 0.0
    )
    task = asyncio.create_task(stream.run(once=once))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not task.done() and (once or not until(told)):
                await asyncio.sleep(0.01)
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait((task,))
        site.close()
    return told


def never(_: Told) -> bool:
    return False


async def test_frames_are_told_and_asked_for_again_after_a_break() -> None:
    async def behave(running: Api, socket: ServerConnection, number: int) -> None:
        await running.begin(socket)
        if number == 1:
            await running.say(socket, NOW, NOW + 1_000)
            await socket.close(1012, "The API server restarts.")
        else:
            await socket.send(live.gap(1, NOW + 1_001, NOW + 2_999))
            await running.say(socket, NOW + 1_000, NOW + 3_000)
            await socket.wait_closed()

    async with api(behave) as running:
        told = await watch(running, until=lambda told: len(told.times) == 3)
    assert told.times == [NOW, NOW + 1_000, NOW + 3_000]
    assert told.gaps == [(NOW + 1_001, NOW + 2_999)]
    assert told.reasons == ["The API server restarts."]
    assert told.connections == 2
    assert told.states == [live.State.UP] * 2
    assert [wanted.since_ms for wanted in running.wanted] == [0, NOW + 1_000]


async def test_once_ends_with_the_newest_frame() -> None:
    async def behave(running: Api, socket: ServerConnection, number: int) -> None:
        await running.begin(socket)
        await running.say(socket, NOW)
        await socket.wait_closed()

    async with api(behave) as running:
        assert (await watch(running, once=True)).times == [NOW]


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        pytest.param(4401, Unauthenticated, "refuses the token: Why", id="token"),
        pytest.param(4403, Forbidden, "refuses the connection: Why", id="not set up"),
        pytest.param(4406, BongsuError, "update the older one. Why", id="protocol"),
        pytest.param(4400, BongsuError, "does not understand", id="malformed"),
        pytest.param(4429, TooMany, "Why", id="too many connections"),
        pytest.param(1011, Unavailable, "Why", id="anything else, at first"),
    ],
)
async def test_a_refused_connection_ends_it(code: int, kind: type[BongsuError], message: str) -> None:
    async def behave(running: Api, socket: ServerConnection, number: int) -> None:
        await running.hear(socket)
        await socket.close(code, "Why\n.")

    async with api(behave) as running:
        with pytest.raises(kind, match=message) as error:
            await watch(running, until=never)
    assert "\n" not in str(error.value)
    assert running.connections == 1


async def test_too_many_connections_pass_when_it_comes_back() -> None:
    """The API server may not know yet that the connection before is gone."""

    async def behave(running: Api, socket: ServerConnection, number: int) -> None:
        if number == 2:
            await running.hear(socket)
            await socket.close(4429, "You have 100 live connections already.")
            return
        await running.begin(socket)
        await running.say(socket, NOW + number)
        if number == 1:
            await socket.close(4408)

    async with api(behave) as running:
        told = await watch(running, until=lambda told: len(told.times) == 2)
    assert told.times == [NOW + 1, NOW + 3]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        pytest.param(live.status(1, live.State.GONE, 0), NotFound, id="deleted while it is watched"),
        pytest.param(
            live.refusal(PushError("unknown_server", "There is no server 1.", None, None), 1), NotFound, id="before"
        ),
        pytest.param(live.refusal(PushError("too_large", "subscribe.metrics", "m", 1), 1), BongsuError, id="refused"),
        pytest.param(b"\xff\xff", BongsuError, id="no message"),
        pytest.param("text", BongsuError, id="text"),
    ],
)
async def test_what_cannot_go_on_ends_it(message: bytes | str, kind: type[BongsuError]) -> None:
    async def behave(running: Api, socket: ServerConnection, number: int) -> None:
        await running.begin(socket)
        await socket.send(message)
        await socket.wait_closed()

    async with api(behave) as running:
        with pytest.raises(kind):
            await watch(running, until=never)


async def test_a_retired_server_may_come_back() -> None:
    async def behave(running: Api, socket: ServerConnection, number: int) -> None:
        await running.begin(socket)
        await socket.send(live.subscription(1, [], []) + live.status(1, live.State.RETIRED, NOW))
        await socket.send(live.subscription(1, [1], [1]) + live.status(1, live.State.UP, NOW))
        await socket.send(live.event(Event(EventType.SERVER_RESTORED, NOW, 1, "web-1", id=1)))
        await running.say(socket, NOW)
        await socket.wait_closed()

    async with api(behave) as running:
        told = await watch(running, until=lambda told: bool(told.times))
    assert [event.type for event in told.events] == [EventType.SERVER_RESTORED]
    assert told.states == [live.State.UP, live.State.RETIRED, live.State.UP]
    assert told.streams == 1


def a_login(running: Api, refreshed: list[int], *, ends: bool = False) -> LoginTokens:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/auth/refresh"
        assert request.headers["X-Bongsu"]
        refreshed.append(len(refreshed) + 1)
        if ends:
            problem = {"code": "session_ended", "message": "This session has ended; log in again."}
            return httpx.Response(401, content=json.dumps({"error": problem}))
        return httpx.Response(200, json={"access_token": f"token-{refreshed[-1]}"})

    return LoginTokens(Site(running.url, transport=httpx.MockTransport(answer)), "token-0")


async def test_the_token_is_renewed_on_the_living_connection() -> None:
    async def behave(running: Api, socket: ServerConnection, number: int) -> None:
        await running.begin(socket, lifetime_ms=200)
        while len(running.tokens) < 3:
            await running.hear(socket)
            await socket.send(live.welcome(NOW, NOW + 200))
        await running.say(socket, NOW)
        await socket.wait_closed()

    async with api(behave) as running:
        told = await watch(running, a_login(running, []), until=lambda told: bool(told.times))
    assert running.tokens[:3] == ["token-0", "token-1", "token-2"]
    assert running.connections == told.connections == 1
    assert len(running.wanted) == 1, "the subscription goes on"


async def test_a_token_that_expired_meanwhile_is_renewed_once() -> None:
    async def behave(running: Api, socket: ServerConnection, number: int) -> None:
        if number in (1, 3):
            await running.begin(socket)
            await running.say(socket, NOW + number)
            if number == 3:
                await socket.wait_closed()
                return
            await socket.close(1001)
            return
        await running.hear(socket)
        await socket.close(4401, "The access token has expired.")

    refreshed: list[int] = []
    async with api(behave) as running:
        await watch(running, a_login(running, refreshed), until=lambda told: len(told.times) == 2)
    assert running.tokens == ["token-0", "token-0", "token-1"]
    assert refreshed == [1]


async def test_a_login_that_has_ended_ends_it() -> None:
    async def behave(running: Api, socket: ServerConnection, number: int) -> None:
        await running.begin(socket)
        await socket.close(4401, "The token is not valid any more.")

    async with api(behave) as running:
        with pytest.raises(Unauthenticated, match="log in again"):
            await watch(running, a_login(running, [], ends=True), until=never)


async def test_a_server_that_speaks_no_websocket() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        running = Api(lambda *_: asyncio.sleep(0))
        running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(Unavailable, match="HTTP 404"):
            await watch(running, until=never)


@pytest.mark.parametrize(
    ("failures", "chance", "seconds"),
    [(1, 0, 1), (2, 0, 2), (5, 0, 16), (6, 0, 30), (10_000, 0, 30), (1, 1, 0.75), (6, 1, 22.5)],
)
def test_waits_double_up_to_half_a_minute(failures: int, chance: float, seconds: float) -> None:
    assert backoff_seconds(failures, chance) == seconds
