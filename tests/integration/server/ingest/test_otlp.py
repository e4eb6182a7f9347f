"""POST /v1/metrics: what is stored, and what the answer says of the rest."""

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from bongsu.server.config import Limits
from bongsu.server.storage.assembler import SETTLE_MS, Assembler
from tests.support.app import RunningApp, running_app
from tests.support.jobs import run_jobs
from tests.support.remote_write import writer_token

NOW = 1_750_000_000_000


def body(*points: tuple[str, int, float], host: str = "web-1", kind: str = "gauge") -> dict[str, Any]:
    """An export of metrics (name, time in ms, value)."""
    metrics = [
        {
            "name": name,
            kind: {"dataPoints": [{"timeUnixNano": str(time_ms * 1_000_000), "asDouble": value}]},
        }
        for name, time_ms, value in points
    ]
    attributes = [{"key": "host.name", "value": {"stringValue": host}}] if host else []
    return {"resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": metrics}]}]}


async def export(app: RunningApp, content: bytes, **headers: str) -> httpx.Response:
    token = headers.pop("token", "") or await writer_token(app)
    sent = {"Content-Type": "application/json", "Authorization": f"Bearer {token}", **headers}
    return await app.client.post("/v1/metrics", content=content, headers=sent)


async def test_samples_are_stored_of_the_host_or_of_the_token(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        for host, value in (("web-1", 1.0), ("", 2.0)):
            response = await export(app, json.dumps(body(("queue.length", NOW, value), host=host)).encode())
            assert (response.status_code, response.json()) == (200, {})
        app.clock.advance(SETTLE_MS / 1000)
        await run_jobs(app.clock, tmp_path, Assembler)
        await app.services.fleet.look()
        names = {server["id"]: server["name"] for server in (await app.get("/api/servers"))["servers"]}
        answer = await app.get("/api/metrics/history", metric="queue_length", start=NOW - 1, end=NOW + 1)
        assert {names[series["server_id"]]: series["values"] for series in answer["series"]} == {
            "web-1": [1.0],
            "tests": [2.0],
        }


async def test_partial_success_counts_what_was_not_stored_and_says_why(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        sent = body(("a", NOW, 1.0), ("b", NOW + 400_000, 1.0), ("", NOW, 1.0))
        sent["resourceMetrics"] += body(("c", NOW, 1.0), kind="sum")["resourceMetrics"]
        response = await export(app, json.dumps(sent).encode())
        partial = response.json()["partialSuccess"]
        assert (response.status_code, partial["rejectedDataPoints"]) == (200, "3")
        assert "cumulative" in partial["errorMessage"]
        assert (await app.get("/api/health"))["ingest"]["samples_refused_total"] == {
            "time_ahead": 1,
            "invalid_metric": 1,
            "no_temporality": 1,
        }


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        pytest.param(b"[", {}, 400, id="no JSON"),
        pytest.param(b"\xff", {"Content-Type": "application/x-protobuf"}, 400, id="no protobuf"),
        pytest.param(b"x", {"Content-Type": "text/plain"}, 415, id="another type"),
        pytest.param(b"x", {"Content-Encoding": "br"}, 415, id="another encoding"),
        pytest.param(gzip.compress(bytes(2_000_000)), {"Content-Encoding": "gzip"}, 413, id="a bomb"),
        pytest.param(b"{}", {"token": "none"}, 401, id="no token"),
    ],
)
async def test_what_cannot_be_read_is_refused(
    tmp_path: Path, content: bytes, headers: dict[str, str], status: int
) -> None:
    async with running_app(tmp_path, limits=Limits(write_bytes=1_000_000)) as app:
        response = await export(app, content, **headers)
        assert response.status_code == status
        if response.headers["Content-Type"] == "application/json":
            assert response.json()["message"]
        else:
            assert response.content.startswith(b"\x12"), "the message of a google.rpc.Status"
