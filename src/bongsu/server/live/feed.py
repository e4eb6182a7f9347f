"""The change feed: API servers tell each other of which servers they have committed frames and of which time, and
which servers are looked at through them (``live/watched.py``).

A notice says only where to look; values are read from the database, which alone decides what is true. So of frames that
are newer than all before, a notice that is lost or comes twice does no harm: ``fleet/changes.py`` also looks by itself,
once a second. Nobody looks for frames that are older than what a process knows. Only it can say which these are: one
that hung for a while takes what came meanwhile for new. It tells its clients of a gap, and also when it has heard
nothing for a while.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bongsu.core.units import MINUTE_MS
from bongsu.server.config import Settings
from bongsu.server.fleet.changes import LATE_MS, Range
from bongsu.server.live.hub import Hub

logger = logging.getLogger(__name__)

# Commits within this time are told at once. Ten commits a second each have a hundred frames then, not a thousand one.
GATHER_SECONDS = 0.05
# Each process hears its own notices; one that hears nothing for SILENT_SECONDS has lost the bus, whatever TCP says.
BEAT_SECONDS = 5.0
SILENT_SECONDS = 15.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 1.0, 30.0
# PostgreSQL refuses notices of 8,000 bytes: https://www.postgresql.org/docs/current/sql-notify.html
NOTICE_BYTES = 7_000
CHANNEL = "bongsu"
# The kind of the other notices: servers that are looked at.
WATCHED = "w"
# The gap of those who have heard nothing for a while begins so long before: what was late by more, others will have.
GAP_MS = 10 * MINUTE_MS


class OpenBus(Protocol):
    """A connection to a bus."""

    async def tell(self, notice: str) -> None:
        """Sends a notice to all who listen, also to this process."""

    async def hear(self) -> str:
        """The next notice."""


class Bus(Protocol):
    """What carries notices between processes. Its methods raise the errors of its library when it is away."""

    name: str

    def connect(self) -> AbstractAsyncContextManager[OpenBus]:
        """Listens as long as the context is open."""


class Feed:
    """One per process. ``heard`` gets the servers of which others have committed frames; None: maybe of all.
    ``others``: whether there is anybody to tell."""

    def __init__(
        self,
        bus: Bus,
        own_name: str,
        heard: Callable[[Mapping[int, Range] | None], Awaitable[None]],
        others: Callable[[], bool],
        hub: Hub,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        # Since when the bus is away, by the clock that never jumps; None: it is not.
        self.away_since: float | None = monotonic()
        self._bus = bus
        self._own_name = own_name
        self._heard = heard
        self._others = others
        self._hub = hub
        hub.watched.on_begin = self._begun
        self._monotonic = monotonic
        # By server; kept while the bus is away.
        self._committed: dict[int, Range] = {}
        self._noticed: dict[int, Range] = {}
        self._to_tell = asyncio.Event()
        self._to_look = asyncio.Event()
        self._heard_at = 0.0
        self._was_there = False
        self._watch_begun = False

    @property
    def bus_name(self) -> str:
        """What carries the notices."""
        return self._bus.name

    @property
    def away_seconds(self) -> float:
        """For how long the bus has been away; 0: it is not."""
        return 0.0 if self.away_since is None else self._monotonic() - self.away_since

    def committed(self, server_id: int, first_ms: int, last_ms: int) -> None:
        """Tells the others that this process has committed frames of a server, and their first and last time."""
        if self._others():
            _widen(self._committed, server_id, (first_ms, last_ms))
            self._to_tell.set()

    def _begun(self) -> None:
        if self.away_since is None and self._others():
            self._watch_begun = True
            self._to_tell.set()

    async def run(self) -> None:
        """Keeps connected until cancelled."""
        wait = FIRST_RETRY_SECONDS
        while True:
            try:
                async with self._bus.connect() as bus:
                    if self.away_since is not None and wait > FIRST_RETRY_SECONDS:
                        logger.warning("%s is back", self._bus.name)
                    self._back()
                    wait = FIRST_RETRY_SECONDS
                    # What was told while nobody listened.
                    await self._follow(None)
                    await _first_to_end(self._tell(bus), self._listen(bus), self._beat(bus), self._look())
            except Exception as error:
                if self.away_since is None or wait == FIRST_RETRY_SECONDS:
                    logger.warning(
                        "%s is away (%s): what other API servers take in is seen a second later",
                        self._bus.name,
                        type(error).__name__,
                    )
                if self.away_since is None:
                    # Not since now: a process that was stopped finds out when it goes on.
                    self.away_since = self._heard_at
            await asyncio.sleep(wait)
            wait = min(2 * wait, LAST_RETRY_SECONDS)

    def _back(self) -> None:
        away, self.away_since = self.away_since, None
        self._heard_at = self._monotonic()
        if away is not None and self._was_there:
            self._hub.missed_all(round(1000 * (self._heard_at - away)) + GAP_MS)
        self._was_there = True
        if self._committed:
            self._to_tell.set()

    async def _tell(self, bus: OpenBus) -> None:
        while True:
            await self._to_tell.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._to_tell.clear()
            committed, self._committed = self._committed, {}
            entries = (f"{server_id}:{first}:{last}" for server_id, (first, last) in sorted(committed.items()))
            try:
                for notice in notices(self._own_name, entries):
                    await bus.tell(notice)
            except BaseException:
                for server_id, range_ in committed.items():
                    _widen(self._committed, server_id, range_)
                raise
            if self._watch_begun:
                self._watch_begun = False
                await self._tell_watched(bus)

    async def _tell_watched(self, bus: OpenBus) -> None:
        here = self._hub.watched.here if self._others() else []
        for notice in notices(f"{self._own_name} {WATCHED}", map(str, here)):
            await bus.tell(notice)

    async def _beat(self, bus: OpenBus) -> None:
        while True:
            await bus.tell(f"{self._own_name} ")
            await self._tell_watched(bus)
            await asyncio.sleep(BEAT_SECONDS)
            if self._monotonic() - self._heard_at > SILENT_SECONDS:
                raise TimeoutError

    async def _listen(self, bus: OpenBus) -> None:
        while True:
            notice = await bus.hear()
            self._heard_at = self._monotonic()
            teller, _, listed = notice.partition(" ")
            if teller != self._own_name and listed:
                with contextlib.suppress(ValueError):  # whoever else uses this channel
                    self._take(*listed.rpartition(" ")[::2])

    def _take(self, kind: str, listed: str) -> None:
        if kind == WATCHED:
            self._hub.watched.heard(list(map(int, listed.split(","))))
        elif not kind:
            for server_id, first_ms, last_ms in (map(int, entry.split(":")) for entry in listed.split(",")):
                _widen(self._noticed, server_id, (first_ms, last_ms))
            self._to_look.set()

    async def _look(self) -> None:
        while True:
            await self._to_look.wait()
            self._to_look.clear()
            noticed, self._noticed = self._noticed, {}
            for server_id, (first_ms, last_ms) in noticed.items():
                # What is later than the look looks for.
                looked_ms = self._hub.newest_ms(server_id) - LATE_MS
                if first_ms < looked_ms:
                    self._hub.missed(server_id, first_ms, min(last_ms, looked_ms))
            await self._follow(noticed)

    async def _follow(self, ranges: Mapping[int, Range] | None) -> None:
        try:
            await self._heard(ranges)
        except Exception:  # the database's, not the bus's: the look once a second follows
            logger.debug("notices were not followed", exc_info=True)


def _widen(ranges: dict[int, Range], server_id: int, range_: Range) -> None:
    known = ranges.get(server_id, range_)
    ranges[server_id] = (min(range_[0], known[0]), max(range_[1], known[1]))


def notices(head: str, entries: Iterable[str]) -> list[str]:
    """Notices with these entries, each short enough for every bus. ``head``: the teller, and the kind."""
    found: list[str] = []
    for entry in entries:
        if found and len(found[-1]) < NOTICE_BYTES:
            found[-1] += f",{entry}"
        else:
            found.append(f"{head} {entry}")
    return found


async def _first_to_end(*coroutines: Awaitable[None]) -> None:
    """Runs all until one of them ends, which is an error; the others are cancelled."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def bus_for(settings: Settings) -> Bus | None:
    """The bus of these settings; None for SQLite without Redis, which one process uses alone."""
    if settings.redis_url:
        return RedisBus(settings.redis_url)
    url = settings.effective_database_url
    return None if url.startswith("sqlite") else PostgresBus(url)


class PostgresBus:
    """LISTEN and NOTIFY, on a connection of its own."""

    name = "PostgreSQL's notification channel"

    def __init__(self, url: str) -> None:
        self._url = url

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[OpenBus]:
        import asyncpg
        from sqlalchemy import make_url

        address = make_url(self._url).set(drivername="postgresql").render_as_string(hide_password=False)
        # A notice that is lost in a crash is no loss: no need to wait for the disk.
        connection = await asyncpg.connect(address, timeout=10, server_settings={"synchronous_commit": "off"})
        heard: asyncio.Queue[str | None] = asyncio.Queue()
        connection.add_termination_listener(lambda _: heard.put_nowait(None))

        class Open:
            async def tell(self, notice: str) -> None:
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, notice)

            async def hear(self) -> str:
                notice = await heard.get()
                if notice is None:
                    raise ConnectionError("closed by the server")
                return notice

        try:
            await connection.add_listener(CHANNEL, lambda _connection, _pid, _channel, notice: heard.put_nowait(notice))
            yield Open()
        finally:
            connection.terminate()


class RedisBus:
    """Publish and subscribe; Redis stores nothing of it."""

    name = "Redis"

    def __init__(self, url: str) -> None:
        self._url = url

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[OpenBus]:
        from redis.asyncio import Redis

        # For a socket, the library that counts rates has another scheme.
        client = Redis.from_url(
            self._url.replace("redis+unix://", "unix://", 1), socket_connect_timeout=10, decode_responses=True
        )
        subscription = client.pubsub(ignore_subscribe_messages=True)

        class Open:
            async def tell(self, notice: str) -> None:
                await client.publish(CHANNEL, notice)

            async def hear(self) -> str:
                while True:
                    message = await subscription.get_message(timeout=None)
                    if message is not None:
                        return str(message["data"])

        try:
            await subscription.subscribe(CHANNEL)
            yield Open()
        finally:
            try:
                await subscription.aclose()  # type: ignore[no-untyped-call]
            finally:
                await client.aclose()
