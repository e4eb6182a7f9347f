"""Process lists: what was pushed is what one finds at a time."""

import asyncio
import gzip
import math
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bongsu.core.errors import Unavailable
from bongsu.core.samples import Process, ProcessList, Push
from bongsu.server.config import Limits, Settings
from bongsu.server.database.database import open_database
from bongsu.server.database.tables import process_lists
from bongsu.server.storage import retention
from bongsu.server.storage.processes import decode_processes, encode_processes
from bongsu.server.storage.retention import Retention
from bongsu.wire import json_form, protobuf
from tests.support.app import RunningApp, running_app
from tests.support.pushes import a_frame, a_push, an_agent

NOW = 1_750_000_000_000
BACKUP = Process(4711, "backup", "root", 1.75, 300 << 20, 4, NOW - 3_600_000)
POSTGRES = Process(812, "postgres", "postgres", 0.25, 4 << 30, 1, NOW - 86_400_000)
SHELL = Process(99, "상태 \"x'", "", 0.0, 0, 1, 0)


def a_list(time_ms: int, *processes: Process) -> ProcessList:
    return ProcessList(time_ms, list(processes or (BACKUP, POSTGRES, SHELL)))


def listed(*lists: ProcessList, name: str = "web-1", frames: tuple = ()) -> Push:
    push = a_push(frames, name=name, layouts=() if not frames else (a_push().layouts[0],))
    push.process_lists = list(lists)
    return push


async def times(app: RunningApp, at: object) -> tuple[int | None, int | None, int | None]:
    answer = await app.get("/api/servers/1/processes", at=at)
    return answer["before_ms"], answer["time_ms"], answer["after_ms"]


async def count(app: RunningApp) -> int:
    database = app.application.api.state.services.database
    return await database.read(lambda connection: connection.scalar(select(func.count()).select_from(process_lists)))


async def test_what_ate_the_cpu_at_a_time(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        response = await app.push(listed(a_list(NOW - 30_000), frames=(a_frame(NOW),)))
        assert protobuf.decode_result(response.content).accepted == 1, "frames are counted, lists are not"
        answer = await app.get("/api/servers/1/processes")
        assert answer | {"processes": None} == {
            "server_id": 1,
            "time_ms": NOW - 30_000,
            "before_ms": None,
            "after_ms": None,
            "processes": None,
        }
        assert [Process(**one) for one in answer["processes"]] == [BACKUP, POSTGRES, SHELL]
        by_memory = await app.get("/api/servers/1/processes", sort="memory", limit=2)
        assert [one["name"] for one in by_memory["processes"]] == ["postgres", "backup"]


async def test_one_can_step_from_list_to_list(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(listed(*(a_list(NOW - age) for age in (90_000, 60_000, 30_000))))
        await app.push(listed(a_list(NOW - 45_000), name="web-2"))
        assert await times(app, NOW - 90_001) == (None, None, NOW - 90_000)
        assert await times(app, NOW - 90_000) == (None, NOW - 90_000, NOW - 60_000)
        assert await times(app, NOW - 30_001) == (NOW - 90_000, NOW - 60_000, NOW - 30_000)
        assert await times(app, "now") == (NOW - 60_000, NOW - 30_000, None)
        assert await times(app, "-1m") == (NOW - 90_000, NOW - 60_000, NOW - 30_000)


async def test_a_server_without_lists_and_an_empty_list(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        await app.push(a_push([a_frame(NOW)]))
        assert await times(app, "now") == (None, None, None)
        await app.push(listed(ProcessList(NOW)))
        answer = await app.get("/api/servers/1/processes")
        assert (answer["time_ms"], answer["processes"]) == (NOW, [])


async def test_a_retry_changes_nothing(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        push = listed(a_list(NOW - 30_000), a_list(NOW, BACKUP), frames=(a_frame(NOW),))
        for _ in range(2):
            assert (await app.push(push)).status_code == 200
        assert (await app.push(listed(a_list(NOW, SHELL), a_list(NOW, SHELL)))).status_code == 200
        assert await count(app) == 2
        answer = await app.get("/api/servers/1/processes")
        assert [one["name"] for one in answer["processes"]] == ["backup"]


async def test_lists_alone_make_a_server_and_json_is_taken_as_well(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        body = gzip.compress(json_form.encode_push(Push(an_agent(), process_lists=[a_list(NOW)])))
        response = await app.post(body, "application/json", **{"Content-Encoding": "gzip"})
        assert response.json() == {"accepted": 0, "duplicates": 0, "server_time_ms": NOW}
        assert await times(app, "now") == (None, NOW, None)


@pytest.mark.parametrize(
    ("lists", "status", "code", "field", "limit"),
    [
        pytest.param([a_list(NOW)] * 4, 413, "too_large", "process_lists", 3, id="many lists"),
        pytest.param(
            [a_list(NOW, *[SHELL] * 6)], 413, "too_large", "process_lists[0].processes", 5, id="many processes"
        ),
        pytest.param(
            [a_list(NOW), a_list(NOW + 300_001)], 400, "time_ahead", "process_lists[1].time_ms", 300, id="future"
        ),
        pytest.param([a_list(0)], 400, "invalid_time", "process_lists[0].time_ms", None, id="no time"),
        pytest.param(
            [a_list(NOW, SHELL, Process(1, "한" * 6))],
            400,
            "invalid_input",
            "process_lists[0].processes[1].name",
            16,
            id="18 bytes of name",
        ),
        pytest.param(
            [a_list(NOW, Process(1, "a", "u" * 17))],
            400,
            "invalid_input",
            "process_lists[0].processes[0].user",
            16,
            id="long user",
        ),
        *(
            pytest.param(
                [a_list(NOW, Process(1, "a", cpu_ratio=ratio))],
                400,
                "invalid_input",
                "process_lists[0].processes[0].cpu_ratio",
                None,
                id=f"share {ratio}",
            )
            for ratio in (math.nan, math.inf, -0.1)
        ),
    ],
)
async def test_a_refused_list_names_the_field_and_stores_nothing(
    tmp_path: Path, lists: list[ProcessList], status: int, code: str, field: str, limit: float | None
) -> None:
    limits = Limits(process_lists_per_request=3, processes_per_list=5, process_name_bytes=16)
    async with running_app(tmp_path, limits=limits) as app:
        response = await app.push(listed(*lists, frames=(a_frame(NOW),)))
        error = protobuf.decode_result(response.content).error
        assert error is not None
        assert (response.status_code, error.code, error.field, error.limit) == (status, code, field, limit)
        assert (await app.get("/api/servers"))["servers"] == []


@pytest.mark.parametrize(
    ("server", "parameters", "status", "code", "field"),
    [
        pytest.param(7, {}, 404, "unknown_server", "server_id", id="unknown server"),
        pytest.param(10**30, {}, 404, "unknown_server", "server_id", id="no such number"),
        pytest.param("x", {}, 422, "invalid_input", "server_id", id="server is a word"),
        pytest.param(1, {"at": "yesterday"}, 400, "invalid_input", "at", id="time is a word"),
        pytest.param(1, {"sort": "name"}, 422, "invalid_input", "sort", id="unknown order"),
        pytest.param(1, {"limit": 0}, 422, "invalid_input", "limit", id="no processes"),
    ],
)
async def test_bad_queries_name_the_field(
    tmp_path: Path, server: object, parameters: dict[str, object], status: int, code: str, field: str
) -> None:
    async with running_app(tmp_path) as app:
        await app.push(listed(a_list(NOW)))
        response = await app.client.get(f"/api/servers/{server}/processes", params=parameters)
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["field"]) == (status, code, field)


async def test_lists_are_kept_as_long_as_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS_PER_TRANSACTION", 4)

    async def delete(app: RunningApp) -> None:
        settings = Settings(data_dir=tmp_path)
        database = open_database(settings.effective_database_url)
        await Retention(settings, database, app.clock).run(asyncio.Event())
        await database.close()

    week_ms = 7 * 86_400_000
    async with running_app(tmp_path) as app:
        for name in ("web-1", "web-2"):
            await app.push(listed(*(a_list(NOW - week_ms + second * 1000) for second in range(-5, 2)), name=name))
        await delete(app)
        assert await count(app) == 4, "of each server the one that is as old as the limit, and the younger one"
        app.clock.advance(2)
        await delete(app)
        assert await count(app) == 0


async def test_lists_wait_for_the_disk_within_the_same_bounds(tmp_path: Path) -> None:
    async with running_app(tmp_path) as app:
        ingest = app.application.api.state.services.ingest
        await app.agent_token(listed(a_list(NOW)).agent.agent_id)
        ingest.commits._queue_limit = 10
        with pytest.raises(Unavailable):
            await ingest.push(listed(a_list(NOW)))
        assert await count(app) == 0


def test_a_list_survives_storage_and_is_small() -> None:
    one = [BACKUP, POSTGRES, SHELL, BACKUP._replace(memory_bytes=2**64 - 1, cpu_ratio=0.1 + 0.2)]
    assert decode_processes(encode_processes(one)) == one
    assert decode_processes(encode_processes([])) == []
    many = [Process(1000 + n, f"worker-{n % 4}", "www-data", n / 7, n << 20, 4, NOW - n * 1000) for n in range(20)]
    assert len(encode_processes(many)) < 20 * 40
