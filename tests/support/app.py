"""The whole API server in this process, over a real SQLite file, with a clock that tests turn."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bongsu.core.samples import Push
from bongsu.server.app import Application
from bongsu.server.config import Limits, Settings
from bongsu.wire import protobuf
from tests.support.clock import FakeClock


@dataclass
class RunningApp:
    """An application after its start."""

    application: Application
    client: httpx.AsyncClient
    clock: FakeClock

    async def push(self, push: Push) -> httpx.Response:
        """POST /api/metrics as an agent would."""
        return await self.post(protobuf.encode_push(push))

    async def post(self, body: bytes, content_type: str = protobuf.CONTENT_TYPE, **headers: str) -> httpx.Response:
        """POST /api/metrics with any body."""
        return await self.client.post("/api/metrics", content=body, headers={"Content-Type": content_type, **headers})

    async def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of a GET that must succeed."""
        response = await self.client.get(path, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    async def stored_frames(self) -> int:
        """Frames in the database."""
        health = await self.get("/api/health")
        return int(health["ingest"]["frames_total"])


@contextlib.asynccontextmanager
async def running_app(
    folder: Path, *, clock: FakeClock | None = None, limits: Limits | None = None, **settings: Any
) -> AsyncIterator[RunningApp]:
    """Starts and stops the application as uvicorn would."""
    clock = clock or FakeClock()
    application = Application(Settings(data_dir=folder, limits=limits or Limits(), **settings), clock)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with (
        application.api.router.lifespan_context(application.api),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        yield RunningApp(application, client, clock)
