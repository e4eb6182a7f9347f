"""The API server as an ASGI application: puts the parts together, from opening the database to closing it."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from bongsu import __version__
from bongsu.core.addresses import rate_key
from bongsu.core.clock import Clock, SystemClock
from bongsu.core.samples import Frame
from bongsu.core.units import parse_duration_ms
from bongsu.server import errors
from bongsu.server.alerts.health import AlertsHealth
from bongsu.server.alerts.own_watch import OwnWatch
from bongsu.server.api import ROUTERS, pages
from bongsu.server.api.answers import compressed
from bongsu.server.api.direct_history import DirectHistory
from bongsu.server.api.health import own_problems
from bongsu.server.api.live import PATH, LiveEndpoint
from bongsu.server.api.schemas import ErrorBody
from bongsu.server.auth.wiring import Auth, make_auth
from bongsu.server.config import Settings, local_url
from bongsu.server.dashboards.recent import RecentAnswers
from bongsu.server.database.database import Database, open_database
from bongsu.server.database.in_use import using_database
from bongsu.server.database.migrations import open_and_upgrade
from bongsu.server.database.revisions import REPORTED, SERVERS, add_revision
from bongsu.server.edge.addresses import Forwarded
from bongsu.server.edge.gate import Gate
from bongsu.server.edge.hosts import LOOPBACK_HOSTS, AllowedHosts
from bongsu.server.edge.rates import RateLimiter
from bongsu.server.fleet.changes import FleetChanges
from bongsu.server.fleet.loading import keep_last_seen, load_registry, store_last_seen
from bongsu.server.fleet.registry import Registry, ServerState
from bongsu.server.history import HistoryReader
from bongsu.server.history.decoded import DecodedRows
from bongsu.server.history.promql.engine import PromQL
from bongsu.server.ingest import otlp, remote_write
from bongsu.server.ingest.endpoint import Ingest
from bongsu.server.ingest.foreign import ForeignIngest
from bongsu.server.ingest.openapi import OTLP_OPENAPI, PUSH_OPENAPI, REMOTE_WRITE_OPENAPI
from bongsu.server.ingest.otlp import Otlp
from bongsu.server.ingest.remote_write import RemoteWrite
from bongsu.server.ingest.writers import Writers
from bongsu.server.live.events import NewEvents
from bongsu.server.live.feed import Feed, bus_for
from bongsu.server.live.hub import Hub
from bongsu.server.services import Services
from bongsu.server.vault import open_vault
from bongsu.wire.encoder import METRICS_PATH

logger = logging.getLogger(__name__)


class Application:
    """Routes POST /api/metrics to ingest, usual questions for history to ``DirectHistory``, and everything else to
    FastAPI.

    FastAPI's routing, validation and exit stacks would take as long as everything else that happens to a frame.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._base_path = settings.base_path
        # Path -> endpoint of POST requests that bring samples: below FastAPI, and not through the gate.
        self._direct: dict[str, ASGIApp] = {}
        # Requests refused before they reached an endpoint, by error code; shown by /api/health.
        self.refused: Counter[str] = Counter()
        # Tasks that run as long as the application.
        self.background: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.api = FastAPI(
            title="Bongsu",
            version=__version__,
            summary="Monitors servers: stores, rolls up, streams and alerts.",
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            responses={
                "4XX": {"model": ErrorBody, "description": "The request was refused; the error says why."},
                "5XX": {"model": ErrorBody, "description": "Not possible now (503, see Retry-After), or a bug (500)."},
            },
        )
        errors.install(self.api)
        self.api.add_middleware(compressed)
        if settings.cors_origins:
            self.api.add_middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=["Authorization", "Content-Type"],
                max_age=600,
            )
        hosts = settings.allowed_hosts or (LOOPBACK_HOSTS if settings.loopback_only else None)
        if hosts:
            self.api.add_middleware(AllowedHosts, hosts=hosts)
        for router in ROUTERS:
            self.api.include_router(router)
        # Last: each router that is included wraps the lifespan once more.
        self.api.router.lifespan_context = self._lifespan
        self.api.router.routes.append(WebSocketRoute(PATH, LiveEndpoint(), name="live"))
        # Not FastAPI's own route, which makes the document on the event loop.
        self.api.get("/api/openapi.json", include_in_schema=False)(self._openapi)
        pages.install(self.api, settings.base_path)
        self.api.openapi = self._openapi  # type: ignore[method-assign]
        direct = DirectHistory(self.api, lambda: getattr(self.api.state, "services", None), hosts)
        self._gate = Gate(direct, Forwarded(settings.trusted_proxies), self.refused)

    def build_routes(self) -> None:
        """Makes what FastAPI would make at the first requests, for 0.2 s."""
        nowhere = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []}
        for route in self.api.routes:
            route.matches(nowhere)

    def _openapi(self) -> dict[str, Any]:
        if not self.api.openapi_schema:
            schema = FastAPI.openapi(self.api)
            if self._base_path:
                schema["servers"] = [{"url": self._base_path}]
            schema["paths"].setdefault(METRICS_PATH, {})["post"] = PUSH_OPENAPI
            schema["paths"][remote_write.PATH] = {"post": REMOTE_WRITE_OPENAPI}
            schema["paths"][otlp.PATH] = {"post": OTLP_OPENAPI}
            self.api.openapi_schema = schema
        return self.api.openapi_schema or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._base_path and scope["type"] in ("http", "websocket"):
            # A proxy may have taken it off already. From here on, only what tells paths to clients knows of it.
            path = scope["path"].removeprefix(self._base_path)
            if path[:1] in ("", "/"):
                scope["path"] = path or "/"
        direct = None
        if scope["type"] == "http" and scope["method"] == "POST":
            direct = self._direct.get(scope["path"])
        if direct is not None:
            await direct(scope, receive, send)
        else:
            await self._gate(scope, receive, send)

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Opens the database and starts all tasks; ends them and closes it.

        Raises:
            ConfigError: it cannot start with these settings.
            DatabaseTooNew: the database was made by a newer version of Bongsu.
        """
        return self._lifespan(self.api)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        database = open_database(self._settings.effective_database_url)
        in_use = contextlib.ExitStack()
        try:
            in_use.enter_context(using_database(database))
            await open_and_upgrade(database, self._settings.effective_database_url)
            for part in (SERVERS, REPORTED):
                await database.write(partial(add_revision, part=part))
            registry = await database.read(load_registry)
            vault = open_vault(self._settings.data_dir, self._settings.secret_key)
            auth = make_auth(self._settings, database, vault, self._clock)
            live = Hub(registry, self._clock, auth.authenticator, lambda: auth.directory.people_revision)
            fleet = FleetChanges(database, registry, self._clock, live.publish)
            live.is_behind = lambda: fleet.behind
            live.new_events = NewEvents(database, registry).take
            bus = bus_for(self._settings)
            feed = None if bus is None else Feed(bus, uuid4().hex, fleet.hear, lambda: fleet.others, live)
            fleet.is_told = lambda: feed is not None and feed.away_since is None
            rates = RateLimiter(self._settings.rate_limits, self._settings.redis_url)
            ingest = self._make_ingest(database, registry, fleet, auth, rates, live, feed)
            foreign = ForeignIngest(
                database,
                registry,
                fleet,
                self._settings.limits,
                self._clock,
                ingest.commits,
                retention_ms=parse_duration_ms(self._settings.retention_raw),
                raw_floor_ms=lambda: ingest.raw_floor_ms,
            )
            decoded = DecodedRows()
            services = Services(
                settings=self._settings,
                clock=self._clock,
                database=database,
                registry=registry,
                fleet=fleet,
                ingest=ingest,
                foreign=foreign,
                live=live,
                feed=feed,
                history=HistoryReader(database, self._settings.limits, decoded),
                promql=PromQL(database, self._settings.limits, decoded),
                vault=vault,
                started_ms=self._clock.now_ms(),
                auth=auth,
                alerts=AlertsHealth(database, self._clock),
                rate_limiter=rates,
                shared_answers=RecentAnswers(),
                refused=self.refused,
            )
            app.state.services = services
            await auth.start(self._settings, self._settings.public_url or local_url(self._settings))
            ingest.start()
            writers = Writers(auth.authenticator, rates.writer, self._counted(rates))
            limits, rejected = self._settings.limits, ingest.counters.rejected
            self._direct = {
                METRICS_PATH: ingest,
                remote_write.PATH: RemoteWrite(foreign, writers, limits, rejected),
                otlp.PATH: Otlp(foreign, writers, limits, rejected),
            }
            self._gate.open(auth.directory, rates)
            running = [
                asyncio.create_task(keep_last_seen(database, registry), name="last seen"),
                asyncio.create_task(fleet.poll(), name="fleet"),
                asyncio.create_task(ingest.follow_floor(), name="floor"),
                asyncio.create_task(foreign.follow_intervals(), name="intervals of foreign servers"),
                asyncio.create_task(live.run(), name="live"),
            ]
            if feed is not None:
                running.append(asyncio.create_task(feed.run(), name="feed"))
            own_watch = OwnWatch(self._settings, database, self._clock, lambda: own_problems(services))
            running.append(asyncio.create_task(own_watch.run(), name="alerts about Bongsu"))
            running += [asyncio.create_task(task(), name="background") for task in self.background]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
                await ingest.stop()
                await auth.stop()
                await rates.close()
                await store_last_seen(database, registry)
        finally:
            await database.close()
            in_use.close()

    def _counted(self, rates: RateLimiter) -> Callable[[Scope], Awaitable[None]]:
        """Counts requests that bring samples without a valid token, by their address."""
        forwarded = Forwarded(self._settings.trusted_proxies)

        async def refused(scope: Scope) -> None:
            forwarded.apply(scope)
            client = scope.get("client")
            await rates.address(rate_key(client[0] if client else ""))

        return refused

    def _make_ingest(
        self,
        database: Database,
        registry: Registry,
        fleet: FleetChanges,
        auth: Auth,
        rates: RateLimiter,
        live: Hub,
        feed: Feed | None,
    ) -> Ingest:
        def committed(state: ServerState, frames: Sequence[Frame]) -> None:
            live.publish(state, frames)
            if feed is not None:
                times = [frame.time_ms for frame in frames]
                feed.committed(state.record.id, min(times), max(times))

        return Ingest(
            database,
            registry,
            fleet,
            self._settings.limits,
            self._clock,
            auth.directory,
            retention_ms=parse_duration_ms(self._settings.retention_raw),
            pushed=rates.agent,
            refused=self._counted(rates),
            publish=committed,
            asked_interval_ms=live.watched.interval_ms,
        )
