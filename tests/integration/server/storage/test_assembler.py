"""Parts become frames, each sample exactly once, whatever comes late, is sealed already, or happens meanwhile."""

import asyncio
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, delete, insert, select, update

from bongsu.arrays import STALE
from bongsu.core.units import DAY_MS, HOUR_MS
from bongsu.server.config import Settings
from bongsu.server.database.tables import blocks, foreign_series, frames, layouts, parts, rollups, servers
from bongsu.server.deletion import SETTLED_MS, Deletion
from bongsu.server.fleet.loading import load_registry
from bongsu.server.storage import assembled
from bongsu.server.storage.archive import SPAN_MS, blocks_between
from bongsu.server.storage.assembler import MOST_IN_VAIN, ORPHAN_MS, SETTLE_MS, Assembler
from bongsu.server.storage.compactor import Compactor
from bongsu.server.storage.foreign import oldest_part_ms
from bongsu.server.storage.layout_retention import LayoutRetention
from bongsu.server.storage.retention import Retention
from bongsu.server.storage.sealer import MAX_AGE_MS, STAGGER_MS, Sealer
from tests.support.app import RunningApp, running_app
from tests.support.jobs import count, database_of, run_jobs
from tests.support.remote_write import Sample, request_1, write, writer_token

NOW = 1_750_000_000_000
STEP = 15_000
LABELS = {"instance": "web-1:9100", "job": "node"}


def labels(metric: str) -> dict[str, str]:
    return {**LABELS, "__name__": metric}


async def send(app: RunningApp, *samples: tuple[str, int, float]) -> None:
    sent: list[Sample] = [(labels(metric), time_ms, value) for metric, time_ms, value in samples]
    response = await write(app, request_1(sent), await writer_token(app))
    assert response.status_code == 204, response.text


async def settle(app: RunningApp, folder: Path, *jobs: type, **settings: Any) -> None:
    app.clock.advance(SETTLE_MS / 1000)
    await run_jobs(app.clock, folder, Assembler, *jobs, **settings)
    await app.services.fleet.look()


async def history(app: RunningApp, metric: str, **parameters: Any) -> dict[int, float]:
    bounds = {"start": NOW - DAY_MS, "end": NOW + DAY_MS, "max_points": 10_000, **parameters}
    answer = await app.get("/api/metrics/history", metric=metric, **bounds)
    assert answer["missing"] == []
    return {time: value for one in answer["series"] for time, value in zip(one["times"], one["values"], strict=True)}


async def test_a_scrape_that_comes_in_several_requests_is_one_frame(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        database = database_of(app)
        await send(app, ("a", NOW, 1.0))
        await run_jobs(app.clock, tmp_path, Assembler)
        assert await count(database, parts) == 1, "it waits for the rest"
        app.clock.advance(2)
        await send(app, ("b", NOW, 2.0))
        await settle(app, tmp_path)
        assert (await count(database, parts), await count(database, frames)) == (0, 1)
        assert (await history(app, "a"), await history(app, "b")) == ({NOW: 1.0}, {NOW: 2.0})


async def test_what_comes_late_joins_its_frame(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await send(app, ("a", NOW, 1.0), ("b", NOW, 2.0), ("a", NOW + STEP, 3.0))
        await settle(app, tmp_path)
        await send(app, ("b", NOW + STEP, 4.0))
        await settle(app, tmp_path)
        assert await count(database_of(app), frames) == 2
        assert await history(app, "b") == {NOW: 2.0, NOW + STEP: 4.0}


async def test_of_another_value_for_the_same_time_the_first_stays(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await send(app, ("a", NOW, 1.0))
        await settle(app, tmp_path)
        await send(app, ("a", NOW, 9.0))
        await settle(app, tmp_path)
        assert await history(app, "a") == {NOW: 1.0}
        assert await count(database_of(app), parts) == 0


async def sealed(app: RunningApp, folder: Path) -> None:
    """All frames become blocks, those of spans that have ended rollups too."""
    app.clock.advance((SPAN_MS + MAX_AGE_MS + STAGGER_MS) / 1000 + HOUR_MS / 1000)
    await run_jobs(app.clock, folder, Sealer, Compactor)
    assert await count(database_of(app), frames) == 0
    assert await count(database_of(app), blocks, blocks.c.rolled == 0) == 0


async def test_what_comes_after_its_frame_was_sealed_joins_the_block_and_its_rollups(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        times = [NOW + STEP * index for index in range(20)]
        await send(
            app,
            *[
                (metric, time_ms, 1.0)
                for metric in ("a", "b")
                for time_ms in times
                if metric == "a" or time_ms < times[10]
            ],
        )
        await settle(app, tmp_path)
        await sealed(app, tmp_path)
        before = await history(app, "a")
        await send(app, *[("b", time_ms, 3.0) for time_ms in times[10:]], ("b", times[0], 1.0))
        await settle(app, tmp_path, Compactor)
        assert await count(database_of(app), frames) == 0
        assert await history(app, "a") == before
        assert await history(app, "b") == {time_ms: 1.0 if time_ms < times[10] else 3.0 for time_ms in times}
        hour = await history(app, "b", step="1h", resolution="1h")
        assert list(hour.values()) == [pytest.approx(2.0)]


async def test_stale_markers_survive_sealing_and_compaction_bit_for_bit(tmp_path: Path) -> None:
    stale = float(np.array([STALE]).view(np.float64)[0])
    async with running_app(tmp_path) as app:
        await send(app, *[("a", NOW + STEP * index, stale if index % 3 == 0 else float(index)) for index in range(9)])
        await send(app, *[("b", NOW + STEP * index, stale) for index in range(9)])
        await settle(app, tmp_path)
        await sealed(app, tmp_path)

        def columns(connection: Connection) -> dict[str, list[int]]:
            (row,) = connection.execute(select(layouts.c.server_id, layouts.c.layout_id)).all()
            (block,) = blocks_between(connection, (row[0], row[1]), NOW - DAY_MS, NOW + DAY_MS)
            found = block.opened().columns(block.data, range(block.opened().width))
            series = load_registry(connection).by_id[row[0]].layouts[row[1]].series
            return {s.metric: np.ascontiguousarray(found[:, i]).view(np.int64).tolist() for i, s in enumerate(series)}

        stored = await database_of(app).read(columns)
        assert stored["b"] == [STALE] * 9
        assert [index for index, value in enumerate(stored["a"]) if value == STALE] == [0, 3, 6]


async def test_two_workers_at_once_make_each_frame_once(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        for index in range(30):
            await send(app, *[(f"m{number}", NOW - (30 - index) * STEP, 1.0) for number in range(index + 3)])
        app.clock.advance(SETTLE_MS / 1000)
        settings, database = Settings(data_dir=tmp_path), database_of(app)
        workers = [Assembler(settings, database, app.clock) for _ in range(3)]
        while await count(database, parts):
            await asyncio.gather(*(worker.run(asyncio.Event()) for worker in workers))
        assert all(not worker.failures.oldest_first() for worker in workers)
        await app.services.fleet.look()
        for number in (0, 15, 31):
            assert len(await history(app, f"m{number}")) == 30 - max(0, number - 2)


async def test_a_frame_that_is_sealed_while_it_is_joined_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app(tmp_path) as app:
        await send(app, ("a", NOW, 1.0), ("b", NOW, 1.0), ("a", NOW + STEP, 2.0))
        await settle(app, tmp_path)
        await send(app, ("b", NOW + STEP, 2.0))
        app.clock.advance((MAX_AGE_MS + STAGGER_MS) / 1000 + 1)
        settings, database = Settings(data_dir=tmp_path), database_of(app)

        def seal_and_join(*arguments: Any) -> assembled.Joined:
            asyncio.run(run_jobs(app.clock, tmp_path, Sealer))  # in a thread, where no loop runs
            return assembled.join(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr("bongsu.server.storage.assembler.join", seal_and_join)
            await Assembler(settings, database, app.clock).run(asyncio.Event())
        assert await count(database, parts) == 1, "tried again, since the frame had become a block"
        assert await count(database, blocks) == 1
        await Assembler(settings, database, app.clock).run(asyncio.Event())
        assert (await count(database, parts), await count(database, frames)) == (0, 0)
        await app.services.fleet.look()
        assert await history(app, "b") == {NOW: 1.0, NOW + STEP: 2.0}


async def test_nothing_is_left_of_a_deleted_server(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await send(app, ("a", NOW, 1.0))
        await settle(app, tmp_path)
        await send(app, ("a", NOW + STEP, 1.0))
        await app.client.delete("/api/servers/1")
        app.clock.advance(SETTLED_MS / 1000)
        await run_jobs(app.clock, tmp_path, Deletion, Assembler)
        for table in (parts, foreign_series, layouts, frames, blocks, rollups, servers):
            assert await count(database_of(app), table) == 0, table.name


SHORT: dict[str, Any] = {"retention_raw": "1d", "retention_1m": "2d", "retention_1h": "20d"}


async def test_series_that_have_ended_are_forgotten_and_come_back(tmp_path: Path) -> None:
    async with running_app(tmp_path, **SHORT) as app:
        database = database_of(app)
        await send(app, ("a", NOW, 1.0))
        await settle(app, tmp_path)
        await sealed(app, tmp_path)
        app.clock.advance(40 * DAY_MS / 1000)
        await run_jobs(app.clock, tmp_path, Retention, LayoutRetention, **SHORT)
        for table in (foreign_series, layouts, blocks, rollups):
            assert await count(database, table) == 0, table.name
        later = app.clock.now_ms()
        await send(app, ("a", later, 2.0))
        await settle(app, tmp_path)
        assert await history(app, "a", start=later - 1_000, end=later + 1_000) == {later: 2.0}


async def test_a_series_that_is_forgotten_while_its_sample_is_on_its_way_is_sent_again(tmp_path: Path) -> None:
    async with running_app(tmp_path, **SHORT) as app:
        token = await writer_token(app)
        assert (await write(app, request_1([(labels("a"), NOW, 1.0)]), token)).status_code == 204
        await settle(app, tmp_path)
        # As if its data had ended long ago: another process forgets it, and this one has not looked since.
        await database_of(app).write(lambda connection: [connection.execute(delete(table)) for table in (frames,)])
        await run_jobs(app.clock, tmp_path, LayoutRetention)
        body = request_1([(labels("a"), NOW + STEP, 2.0)])
        statuses = [(await write(app, body, token)).status_code for _ in range(2)]
        assert statuses in ([503, 204], [204, 204])
        await settle(app, tmp_path)
        assert await history(app, "a") == {NOW + STEP: 2.0}


async def test_samples_of_which_nobody_knows_the_series_are_dropped_in_the_end(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        database = database_of(app)
        await send(app, ("a", NOW, 1.0))
        await database.write(lambda connection: connection.execute(delete(foreign_series)))
        await settle(app, tmp_path)
        assert await count(database, parts) == 1
        assert await database.read(oldest_part_ms) == NOW
        app.clock.advance(ORPHAN_MS / 1000)
        await settle(app, tmp_path)
        assert await count(database, parts) == 0


async def test_a_layout_that_another_version_of_zlib_has_packed_grows(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await send(app, ("a", NOW, 1.0))
        await settle(app, tmp_path)

        def pack_otherwise(connection: Connection) -> None:
            series = connection.scalar(select(layouts.c.series))
            connection.execute(update(layouts).values(series=zlib.compress(zlib.decompress(series), 1)))

        await database_of(app).write(pack_otherwise)
        await send(app, ("a", NOW + STEP, 2.0), ("b", NOW + STEP, 3.0))
        await settle(app, tmp_path)
        assert (await count(database_of(app), parts), await count(database_of(app), layouts)) == (0, 1)
        assert await history(app, "b") == {NOW + STEP: 3.0}


async def test_what_always_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*_: Any, **__: Any) -> None:
        raise assembled.Changed

    monkeypatch.setattr("bongsu.server.storage.assembler.store_assembled", changed)
    async with running_app(tmp_path) as app:
        await send(app, ("a", NOW, 1.0))
        app.clock.advance(SETTLE_MS / 1000)
        assembler = Assembler(Settings(data_dir=tmp_path), database_of(app), app.clock)
        for _ in range(MOST_IN_VAIN):
            assert assembler.failures.oldest_first() == []
            await assembler.run(asyncio.Event())
        assert len(assembler.failures.oldest_first()) == 1


async def test_what_arrives_while_the_assembler_rests_is_not_later_for_it(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        assembler = Assembler(Settings(data_dir=tmp_path), database_of(app), app.clock)
        await assembler.run(asyncio.Event())  # finds nothing, and rests
        await send(app, ("a", NOW, 1.0))
        app.clock.advance(SETTLE_MS / 1000)
        await assembler.run(asyncio.Event())
        assert await count(database_of(app), parts) == 0


async def test_a_clock_that_was_set_back_holds_nothing_up(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await send(app, ("a", NOW, 1.0))
        app.clock.step(-3_600)
        await settle(app, tmp_path)
        assert await count(database_of(app), parts) == 0


async def test_a_server_that_cannot_be_assembled_costs_itself_only(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        database = database_of(app)
        await send(app, ("a", NOW, 1.0))
        damaged = {
            "server_id": 99,
            "time_ms": NOW,
            "digest": 1,
            "received_ms": NOW,
            "numbers": b"12345678",
            "values": b"1",
        }
        await database.write(lambda connection: connection.execute(insert(parts).values(damaged)))
        app.clock.advance(SETTLE_MS / 1000)
        assembler = Assembler(Settings(data_dir=tmp_path), database, app.clock)
        await assembler.run(asyncio.Event())
        (failure,) = assembler.failures.oldest_first()
        assert failure.what == "assembling samples of server 99"
        await app.services.fleet.look()
        assert await history(app, "a") == {NOW: 1.0}


async def test_health_tells_how_long_samples_have_waited(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await send(app, ("a", NOW, 1.0))
        app.clock.advance(600)
        health = await app.get("/api/health")
        assert health["storage"]["unassembled_since_ms"] == NOW
        await settle(app, tmp_path)
        assert (await app.get("/api/health"))["storage"]["unassembled_since_ms"] is None
