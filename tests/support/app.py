"""The whole API server in this process, with a real SQLite file, and a clock that tests move."""

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bongsu.core.errors import BongsuError
from bongsu.core.samples import Push
from bongsu.server.app import Application
from bongsu.server.auth.audit import Actor
from bongsu.server.auth.directory import PEOPLE
from bongsu.server.auth.queries.accounts import ApiTokenRecord, add_api_token
from bongsu.server.auth.tokens import Prefix, digest, new_token
from bongsu.server.config import Limits, PasswordSettings, RateLimits, Settings
from bongsu.server.fleet.names import check_agent_id
from bongsu.server.services import Services
from bongsu.wire import json_form, protobuf
from tests.support.clock import FakeClock


@dataclass
class RunningApp:
    """A started application."""

    application: Application
    client: httpx.AsyncClient
    clock: FakeClock
    tokens: dict[str, str] = field(default_factory=dict)
    enrolling: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def push(self, push: Push) -> httpx.Response:
        """POST /api/metrics with the token of the agent that the push names."""
        return await self.post(protobuf.encode_push(push))

    async def post(
        self, body: bytes, content_type: str = protobuf.CONTENT_TYPE, *, token: str | None = None, **headers: str
    ) -> httpx.Response:
        """POST /api/metrics with any body. Uses the token of the agent that the body names, if it can be read."""
        if token is None:
            token = await self.agent_token(_agent_id(body, content_type, headers.get("Content-Encoding")))
        sent = {"Content-Type": content_type, "Authorization": f"Bearer {token}", **headers}
        return await self.client.post("/api/metrics", content=body, headers=sent)

    async def agent_token(self, agent_id: str) -> str:
        """The token of this agent. Enrols the agent if needed."""
        async with self.enrolling:
            if agent_id not in self.tokens:
                self.tokens[agent_id] = await enrol(self.services, agent_id)
            return self.tokens[agent_id]

    @property
    def services(self) -> Services:
        """The services that the handlers use."""
        services: Services = self.application.api.state.services
        return services

    async def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of a GET, which must succeed."""
        response = await self.client.get(path, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    async def stored_frames(self) -> int:
        """The number of frames in the database."""
        health = await self.get("/api/health")
        return int(health["ingest"]["frames_total"])


def _agent_id(body: bytes, content_type: str, encoding: str | None) -> str:
    with contextlib.suppress(BongsuError, OSError, EOFError, zlib.error):
        plain = gzip.decompress(body) if encoding == "gzip" else body
        form = json_form if content_type.startswith("application/json") else protobuf
        agent_id = form.decode_push(plain).agent.agent_id
        check_agent_id(agent_id)
        return agent_id
    return "agent-of-no-readable-push"


async def enrol(services: Services, agent_id: str, **enrolment: Any) -> str:
    """Enrols an agent, possibly again, and returns its token."""
    actor = Actor("system", "tests")
    _, token = await services.auth.enrolment.create(
        actor, name="tests", lifetime_ms=3_600_000, agent_id=agent_id, **enrolment
    )
    return await services.auth.enrolment.enrol(token, agent_id, "an agent", "127.0.0.1")


async def api_token(services: Services, user_id: int, scope: str = "admin", tags: dict[str, str] | None = None) -> str:
    """A token of a user that never expires, however far a test moves the clock."""
    token = new_token(Prefix.API)
    record = ApiTokenRecord(0, user_id, "tests", digest(token), scope, services.clock.now_ms(), 0, 0, tags or {})
    await services.auth.directory.change(PEOPLE, lambda connection: add_api_token(connection, record))
    return token


ADMIN, PASSWORD = "admin@bongsu.test", "a long enough secret"
# Cheap password hashes, and rate limits that no test reaches by accident.
FAST = PasswordSettings(memory_mib=1, passes=1)
MANY = RateLimits(address="1000000/minute", user="1000000/minute", login="1000000/minute", agent_per_second=1e6)


@contextlib.asynccontextmanager
async def running_app(
    folder: Path, *, clock: FakeClock | None = None, limits: Limits | None = None, **settings: Any
) -> AsyncIterator[RunningApp]:
    """Starts and stops the application like uvicorn. The client is logged in as an admin, unless ``admin_email=""`` leaves
    the application without accounts."""
    clock = clock or FakeClock()
    chosen = {
        "admin_email": ADMIN,
        "admin_password": PASSWORD,
        "password_hashing": FAST,
        "rate_limits": MANY,
    } | settings
    application = Application(Settings(data_dir=folder, limits=limits or Limits(), **chosen), clock)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with (
        application.api.router.lifespan_context(application.api),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        app = RunningApp(application, client, clock)
        if app.services.auth.directory.users:
            client.headers["Authorization"] = (
                f"Bearer {await api_token(app.services, min(app.services.auth.directory.users))}"
            )
        yield app
