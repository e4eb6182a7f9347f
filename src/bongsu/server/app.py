"""The API server as an ASGI application: what is wired to what, from opening the database to closing it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Connection
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

from bongsu import __version__
from bongsu.core.clock import Clock, SystemClock
from bongsu.core.samples import Frame
from bongsu.core.series import Layout
from bongsu.server import errors, static
from bongsu.server.api import ROUTERS
from bongsu.server.api.schemas import ErrorBody
from bongsu.server.config import Settings
from bongsu.server.history import HistoryReader
from bongsu.server.hosts import LOOPBACK_HOSTS, AllowedHosts
from bongsu.server.ingest import Ingest
from bongsu.server.ingest_openapi import PUSH_OPENAPI
from bongsu.server.migrations import upgrade
from bongsu.server.registry import Newest, Registry
from bongsu.server.services import Services
from bongsu.server.storage.archive import newest_block, oldest_samples
from bongsu.server.storage.blocks import CorruptBlock
from bongsu.server.storage.database import Database, open_database
from bongsu.server.storage.frames import newest_frames
from bongsu.server.storage.layouts import load_layouts
from bongsu.server.storage.servers import load_servers, touch_servers
from bongsu.server.vault import open_vault

logger = logging.getLogger(__name__)

TOUCH_SECONDS = 60


class Application:
    """Sends POST /api/metrics to ingest, and everything else through FastAPI.

    FastAPI's routing, validation and exit stacks would take as long again as all else that happens to a frame.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._ingest: Ingest | None = None
        self.api = FastAPI(
            title="Bongsu",
            version=__version__,
            summary="Watches servers: stores, rolls up, streams and alerts.",
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
            openapi_url="/api/openapi.json",
            responses={
                "4XX": {"model": ErrorBody, "description": "Refused; the error says why."},
                "5XX": {"model": ErrorBody, "description": "Not possible now (503, see Retry-After), or a bug (500)."},
            },
        )
        errors.install(self.api)
        # Level 1: a megabyte of points in 10 ms, a fifth of level 9's time for a tenth more bytes.
        self.api.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=1)
        hosts = settings.allowed_hosts or (LOOPBACK_HOSTS if settings.loopback_only else None)
        if hosts:
            self.api.add_middleware(AllowedHosts, hosts=hosts)
        for router in ROUTERS:
            self.api.include_router(router)
        static.install(self.api)
        self.api.openapi = self._openapi  # type: ignore[method-assign]

    def _openapi(self) -> dict[str, Any]:
        if not self.api.openapi_schema:
            schema = FastAPI.openapi(self.api)
            schema["paths"].setdefault("/api/metrics", {})["post"] = PUSH_OPENAPI
            self.api.openapi_schema = schema
        return self.api.openapi_schema or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["path"] == "/api/metrics"
            and scope["method"] == "POST"
            and self._ingest is not None
        ):
            await self._ingest(scope, receive, send)
        else:
            await self.api(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        database = open_database(self._settings.effective_database_url)
        try:
            before, after = await database.write(upgrade)
            if before != after:
                logger.info("database upgraded from %s to %s", before or "empty", after)
            registry = await database.read(load_registry)
            ingest = Ingest(database, registry, self._settings.limits, self._clock)
            vault = open_vault(self._settings.data_dir, self._settings.secret_key)
            app.state.services = Services(
                self._settings,
                self._clock,
                database,
                registry,
                ingest,
                HistoryReader(database, registry, self._settings.limits),
                vault,
                self._clock.now_ms(),
            )
            ingest.start()
            self._ingest = ingest
            touching = asyncio.create_task(_touch(database, registry), name="touch")
            try:
                yield
            finally:
                touching.cancel()
                await ingest.stop()
                await database.write(lambda connection: touch_servers(connection, last_seen(registry)))
        finally:
            await database.close()


def load_registry(connection: Connection) -> Registry:
    """What the database knows of all servers."""
    registry = Registry()
    layouts = load_layouts(connection)
    oldest = oldest_samples(connection)
    for record in load_servers(connection):
        state = registry.add(record)
        state.oldest_ms = min(state.oldest_ms, oldest.get(record.id, state.oldest_ms))
        for layout in layouts.get(record.id, ()):
            state.add_layout(layout)
            newest = newest_frames(connection, record.id, layout.id) or _last_of_archive(connection, record.id, layout)
            if newest:
                state.newest[layout.id] = Newest(*newest)
                state.last_seen_ms = max(state.last_seen_ms, newest[0].time_ms)
    return registry


def _last_of_archive(connection: Connection, server_id: int, layout: Layout) -> list[Frame]:
    """The last two frames of a layout whose frames are all sealed, newest first."""
    stored = newest_block(connection, server_id, layout.id)
    if stored is None:
        return []
    try:
        head = stored.opened()
        rows = head.columns(stored.data, range(head.width))[-2:]
    except CorruptBlock:
        logger.error("server %d: the block at %d is corrupt", server_id, stored.info.start_ms)
        return []
    times = head.times[-2:].tolist()
    return [Frame(layout.id, time_ms, row.tobytes()) for time_ms, row in zip(times[::-1], rows[::-1], strict=True)]


def last_seen(registry: Registry) -> dict[int, int]:
    """Servers whose record is behind the newest frame, and the frame's time; takes the record along."""
    behind = {}
    for state in registry.by_id.values():
        if state.last_seen_ms > state.record.last_seen_ms:
            state.record.last_seen_ms = behind[state.record.id] = state.last_seen_ms
    return behind


async def _touch(database: Database, registry: Registry) -> None:
    while True:
        await asyncio.sleep(TOUCH_SECONDS)
        behind = last_seen(registry)
        try:
            await database.write(lambda connection, behind=behind: touch_servers(connection, behind))  # type: ignore[misc]
        except Exception:
            # The next round writes it; the newest frames tell it as well.
            logger.debug("last_seen_ms not stored", exc_info=True)
