"""Layouts of which nothing is stored are forgotten, and come back when their agent sends them again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, insert, select

from bongsu.core.samples import Frame, pack
from bongsu.core.series import Kind, Layout, Series
from bongsu.core.units import DAY_MS, HOUR_MS
from bongsu.server.database.tables import blocks, frames, layouts, quarantined_frames, rollups
from bongsu.server.fleet import changes
from bongsu.server.fleet.loading import load_registry
from bongsu.server.history.sources import LayoutRows, read_layouts
from bongsu.server.storage.compactor import Compactor
from bongsu.server.storage.layout_retention import LayoutRetention, forget_layouts
from bongsu.server.storage.layouts import LayoutKey
from bongsu.server.storage.retention import Retention
from bongsu.server.storage.sealer import Sealer
from bongsu.wire import json_form
from tests.support.app import RunningApp, running_app
from tests.support.jobs import count, database_of, run_jobs
from tests.support.pushes import LAYOUT, a_frame, a_push

OLD = Layout.of((Series("old_bytes", (), "bytes", Kind.GAUGE),))
SHORT: dict[str, Any] = {"retention_raw": "1d", "retention_1m": "2d", "retention_1h": "20d"}


@pytest.fixture
async def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningApp]:
    """It hears of changes when a test refreshes it."""
    monkeypatch.setattr(changes, "POLL_SECONDS", 3_600)
    async with running_app(tmp_path, **SHORT) as running:
        yield running


@pytest.fixture
async def other(app: RunningApp, tmp_path: Path) -> AsyncIterator[RunningApp]:
    """A second API server on the same database."""
    await push(app, OLD, a_frame_of_old(app))
    async with running_app(tmp_path, clock=app.clock, **SHORT) as running:
        running.tokens = app.tokens
        yield running


def a_frame_of_old(app: RunningApp) -> Frame:
    return Frame(OLD.id, app.clock.now_ms(), pack([1.0]))


async def push(app: RunningApp, layout: Layout | None, *sent: Frame) -> httpx.Response:
    body = json_form.encode_push(a_push(sent, layouts=(layout,) if layout else ()))
    return await app.post(body, json_form.CONTENT_TYPE)


async def maintain(app: RunningApp, folder: Path) -> None:
    await run_jobs(app.clock, folder, Sealer, Compactor, Retention, LayoutRetention, **SHORT)


async def stored(app: RunningApp) -> set[int]:
    return set(await database_of(app).read(lambda connection: connection.scalars(select(layouts.c.layout_id)).all()))


async def forget(app: RunningApp) -> int:
    """As the worker does."""
    return await database_of(app).write(lambda connection: forget_layouts(connection, [(1, OLD.id), (1, LAYOUT.id)]))


async def delete_frames(app: RunningApp) -> None:
    """Leaves nothing of the old layout, as retention does."""
    await database_of(app).write(lambda connection: connection.execute(frames.delete()))


async def test_a_layout_goes_with_its_last_rollup(app: RunningApp, tmp_path: Path) -> None:
    assert (await push(app, OLD, a_frame_of_old(app))).status_code == 200
    kept = []
    for _ in range(5):
        app.clock.advance(DAY_MS * 8 / 1000)
        assert (await push(app, LAYOUT, a_frame(app.clock.now_ms()))).status_code == 200
        await maintain(app, tmp_path)
        left = [
            await count(database_of(app), table, table.c.layout_id == OLD.id) for table in (frames, blocks, rollups)
        ]
        kept.append(OLD.id in await stored(app))
        assert kept[-1] == any(left)
    assert kept[0], "its hours are kept for 20 days"
    assert not kept[-1]
    assert await stored(app) == {LAYOUT.id}
    await app.services.fleet.refresh()
    assert set(app.services.registry.by_id[1].layouts) == {LAYOUT.id}
    assert [metric["metric"] for metric in (await app.get("/api/metrics/catalog"))["metrics"]] == sorted(
        series.metric for series in LAYOUT.series
    )


@pytest.mark.parametrize("table", [frames, blocks, rollups, quarantined_frames], ids=lambda table: table.name)
async def test_a_layout_stays_as_long_as_anything_refers_to_it(app: RunningApp, table: Any) -> None:
    await push(app, OLD, a_frame_of_old(app))
    await delete_frames(app)
    row: dict[str, Any] = {"server_id": 1, "layout_id": OLD.id}
    for column in table.c:
        row.setdefault(column.name, b"x" if column.name in ("head", "data", "values") else 1)
    await database_of(app).write(lambda connection: connection.execute(insert(table).values(row)))
    assert await forget(app) == 0
    await database_of(app).write(lambda connection: connection.execute(table.delete()))
    assert await forget(app) == 1


@pytest.mark.parametrize("heard", [False, True], ids=["before it hears of it", "after it heard of it"])
async def test_a_forgotten_layout_is_asked_for_and_stored_anew(app: RunningApp, other: RunningApp, heard: bool) -> None:
    """Two API servers still know a layout that the worker has deleted."""
    await delete_frames(app)
    assert await forget(app) == 1
    for process in (other, app) if heard else ():
        await process.services.fleet.refresh()
        assert OLD.id not in process.services.registry.by_id[1].layouts
    app.clock.advance(10)
    unknown = {"status": 409, "unknown_layouts": [str(OLD.id)]}
    answer = await push(other, None, a_frame_of_old(app))
    assert {"status": answer.status_code, "unknown_layouts": answer.json()["unknown_layouts"]} == unknown
    assert await count(database_of(app), frames) == 0
    assert (await push(other, OLD, a_frame_of_old(app))).status_code == 200
    assert await stored(app) == {OLD.id}
    app.clock.advance(10)
    answer = await push(app, None, a_frame_of_old(app))
    if heard:
        assert {"status": answer.status_code, "unknown_layouts": answer.json()["unknown_layouts"]} == unknown
        answer = await push(app, OLD, a_frame_of_old(app))
    assert answer.status_code == 200, "the other process has stored the layout again"
    for process in (other, app):
        current = await process.get("/api/metrics/current", metric="old_bytes")
        assert [series["value"] for series in current["servers"][0]["series"]] == [1.0]


async def test_a_layout_is_kept_if_a_frame_arrives_before_it_is_deleted(app: RunningApp) -> None:
    """The worker has found it unused; then a frame of it arrives."""
    await push(app, OLD, a_frame_of_old(app))
    await delete_frames(app)
    app.clock.advance(10)
    assert (await push(app, None, a_frame_of_old(app))).status_code == 200
    assert await forget(app) == 0
    assert await stored(app) == {OLD.id}
    app.clock.advance(10)
    assert (await push(app, None, a_frame_of_old(app))).status_code == 200, "the revision has risen, and it is checked"


@pytest.mark.parametrize("forgotten", [False, True], ids=["a new layout", "a layout that was forgotten"])
async def test_what_arrives_while_the_registry_is_refreshed_stays_known(app: RunningApp, forgotten: bool) -> None:
    await push(app, LAYOUT, a_frame(app.clock.now_ms()))
    await app.client.put("/api/servers/1/tags", json={"tags": {"team": "a"}})
    if forgotten:
        await push(app, OLD, a_frame_of_old(app))
        await delete_frames(app)
        assert await forget(app) == 2
    database = database_of(app)
    read = database.read

    async def slow(function: Any) -> Any:
        answer = await read(function)
        database.read = read  # type: ignore[method-assign]
        if forgotten:
            assert (await push(app, OLD, a_frame_of_old(app))).status_code == 409
        assert (await push(app, OLD, a_frame_of_old(app))).status_code == 200
        return answer

    app.services.registry.revision = -1
    database.read = slow  # type: ignore[method-assign]
    await app.services.fleet.refresh()
    app.clock.advance(10)
    assert (await push(app, None, a_frame_of_old(app))).status_code == 200


async def test_layouts_that_ended_are_neither_read_at_the_start_nor_by_queries(
    app: RunningApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await push(app, OLD, a_frame_of_old(app))
    app.clock.advance(6 * HOUR_MS / 1000)
    await push(app, LAYOUT, a_frame(app.clock.now_ms()))
    registry = await database_of(app).read(load_registry)
    assert set(registry.by_id[1].newest) == {LAYOUT.id}, "the frame of the other is still there"
    app.clock.advance(DAY_MS * 3 / 1000)
    await push(app, LAYOUT, a_frame(app.clock.now_ms()))
    await maintain(app, tmp_path)
    assert await count(database_of(app), rollups, rollups.c.layout_id == OLD.id) > 0
    registry = await database_of(app).read(load_registry)
    state = registry.by_id[1]
    assert set(state.layouts) == {OLD.id, LAYOUT.id}
    assert set(state.newest) == {LAYOUT.id}
    assert app.clock.now_ms() - 4 * DAY_MS < (state.last_ms(OLD.id) or 0) < app.clock.now_ms() - 2 * DAY_MS
    assert [layout.id for layout in state.layouts_since(app.clock.now_ms() - HOUR_MS)] == [LAYOUT.id]
    asked: list[LayoutKey] = []

    def spied(connection: Connection, wanted: dict[LayoutKey, Any], *arguments: Any) -> dict[LayoutKey, LayoutRows]:
        asked.extend(wanted)
        return read_layouts(connection, wanted, *arguments)

    monkeypatch.setattr("bongsu.server.history.reader.read_layouts", spied)
    for start, expected in (("-1h", {LAYOUT.id}), ("-4d", {OLD.id, LAYOUT.id})):
        await app.get("/api/metrics/history", start=start)
        assert {key[1] for key in asked} == expected
    # When it wakes up, it is a layout like others.
    state.saw(a_frame_of_old(app))
    assert {layout.id for layout in state.layouts_since(app.clock.now_ms() - HOUR_MS)} == {OLD.id, LAYOUT.id}
    assert state.is_current(OLD.id)
