"""What takes long for a large fleet runs in threads, so that the event loop can take in frames. ``benchmarks/stalls.py``
measures it."""

import gzip
import importlib
import threading
from pathlib import Path
from typing import Any

import pytest

from bongsu.core.samples import Process, ProcessList
from bongsu.server.fleet.selection import _positions
from bongsu.wire import json_form
from tests.support.app import running_app
from tests.support.clock import FakeClock
from tests.support.pushes import a_push, a_ramp

NOW = 1_790_000_000_000


@pytest.mark.parametrize(
    ("path", "parameters", "work"),
    [
        ("metrics/current", {}, "bongsu.server.api.metrics._entries"),
        ("metrics/current", {"labels": "device=eth*"}, "bongsu.server.fleet.selection.family_of"),
        ("metrics/catalog", {}, "bongsu.server.api.metrics.CatalogMetric"),
        ("metrics/history", {"labels": "device=eth*", "type": "network"}, "bongsu.server.fleet.selection.family_of"),
        ("metrics/history", {}, "bongsu.server.history.task.make_plan"),
        ("metrics/history", {}, "bongsu.server.history.reader.points_of_all"),
        ("metrics/history", {}, "bongsu.server.history.reader._tag"),
        ("metrics/history", {"across": "avg"}, "bongsu.server.history.groups.Groups._group"),
        ("metrics/history", {"across": "avg"}, "bongsu.server.history.groups.Groups._combine"),
        ("metrics/history", {}, "bongsu.server.api.history_answers.dumped"),
        ("metrics/history", {"format": "csv"}, "bongsu.server.history.export._row"),
        ("metrics/history", {"format": "arrow"}, "bongsu.server.history.export._batches"),
        ("metrics/history", {"format": "parquet"}, "bongsu.server.history.export._batches"),
        ("servers", {}, "bongsu.server.api.servers._server"),
    ],
)
async def test_answers_are_made_in_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, parameters: dict[str, Any], work: str
) -> None:
    monkeypatch.setattr("bongsu.server.api.history_answers.SMALL_POINTS", 1)
    monkeypatch.setattr("bongsu.server.history.reader.SMALL_SERVERS", 0)
    monkeypatch.setattr("bongsu.server.history.reader.SMALL_SERIES", 0)
    _positions.cache_clear()
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await app.push(a_push(a_ramp(NOW - 300_000, 30)))
        threads = _spy(monkeypatch, work)
        answer = await app.client.get(f"/api/{path}", params={"type": ["cpu", "memory", "network"]} | parameters)
        assert answer.status_code == 200, answer.text
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    "work",
    [
        "bongsu.wire.json_form._parsed",
        "bongsu.server.ingest.endpoint.gunzip",
        "bongsu.server.ingest.endpoint.check_layouts",
        "bongsu.server.ingest.lists.encode_lists",
    ],
)
async def test_large_pushes_are_read_in_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    monkeypatch.setattr("bongsu.server.ingest.endpoint.LARGE_BYTES", 10)
    monkeypatch.setattr("bongsu.server.ingest.endpoint.LARGE_LAYOUTS", 1)
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        token = await app.agent_token(a_push().agent.agent_id)
        threads = _spy(monkeypatch, work)
        push = a_push(a_ramp(NOW - 300_000, 30))
        push.process_lists = [ProcessList(NOW, [Process(1, "init", "root", 0.5, 1)])]
        body = gzip.compress(json_form.encode_push(push))
        answer = await app.post(body, json_form.CONTENT_TYPE, token=token, **{"Content-Encoding": "gzip"})
        assert answer.status_code == 200, answer.text
        assert await app.stored_frames() == 30
    assert threads
    assert threading.get_ident() not in threads


def _spy(monkeypatch: pytest.MonkeyPatch, work: str) -> set[int]:
    """The threads in which this function or class is called from now on."""
    threads: set[int] = set()
    where, _, name = work.rpartition(".")
    try:
        owner: Any = importlib.import_module(where)
    except ModuleNotFoundError:
        module, _, class_name = where.rpartition(".")
        owner = getattr(importlib.import_module(module), class_name)
    real = getattr(owner, name)

    def spied(*arguments: Any, **named: Any) -> Any:
        threads.add(threading.get_ident())
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, spied)
    return threads


async def test_the_first_requests_find_their_routes_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        app.application.build_routes()
        built = _spy(monkeypatch, "fastapi.routing._EffectiveRouteContext.from_api_route")
        for path in ("servers", "metrics/catalog", "alerts/rules", "alerts/silences", "health"):
            assert (await app.client.get(f"/api/{path}")).status_code == 200
    assert not built


async def test_the_openapi_document_is_made_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        threads = _spy(monkeypatch, "fastapi.FastAPI.openapi")
        document = await app.client.get("/api/openapi.json")
    assert "/api/metrics" in document.json()["paths"]
    assert threads
    assert threading.get_ident() not in threads
