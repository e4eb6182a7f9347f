"""What each tier holds: after a year on a fake clock, over a budget, and after space was given back."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from sqlalchemy import select

from bongsu.core.errors import ConfigError
from bongsu.core.samples import AgentIdentity, ContainerList, Frame, HostFacts, Process, ProcessList, pack
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.config import load_settings
from bongsu.server.database.database import Database, open_database
from bongsu.server.database.migrations import upgrade
from bongsu.server.database.space import file_bytes, used_bytes
from bongsu.server.database.tables import blocks, container_lists, frames, process_lists, rollups
from bongsu.server.fleet.servers import add_server
from bongsu.server.history.aggregation import increases
from bongsu.server.storage.archive import RAW, SPAN_MS, StoredRollup
from bongsu.server.storage.batches import Batch, store
from bongsu.server.storage.blocks import Head
from bongsu.server.storage.compactor import Compactor
from bongsu.server.storage.containers import encode_container_lists
from bongsu.server.storage.floors import floors
from bongsu.server.storage.processes import encode_lists
from bongsu.server.storage.retention import Retention
from bongsu.server.storage.rollup import FIRST, LAST, RESETS, Rollup, counters_of
from bongsu.server.storage.rollup_blocks import decode_rollup
from bongsu.server.storage.sealer import Sealer
from tests.support.clock import FakeClock
from tests.support.jobs import count, run_jobs
from tests.support.pushes import LAYOUT, a_frame

DAY_MS = 86_400_000
STEP_MS = 1_800_000
ROUND_MS = 4 * DAY_MS
START = 1_700_000_000_000 // SPAN_MS * SPAN_MS
COUNTERS = counters_of([series.kind for series in LAYOUT.series])


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    await opened.write(upgrade)
    await opened.write(lambda connection: add_server(connection, AgentIdentity("a" * 8, "a"), HostFacts(), START))
    yield opened
    await opened.close()


def frame_at(number: int) -> Frame:
    """CPU a saw tooth, memory a number, a counter that starts anew every 1,000 frames."""
    values = (number % 97 / 97, float(number), number % 1_000 * 10.0)
    return Frame(LAYOUT.id, START + number * STEP_MS, pack(values))


async def push(database: Database, sent: list[Frame]) -> None:
    for first in range(0, len(sent), 500):
        batch = Batch(1, sent[first : first + 500], [LAYOUT])
        await database.write(lambda connection, batch=batch: store(connection, [batch], each=True))


async def rollup_of(database: Database, step_ms: int) -> Rollup:
    """All rows of a tier as one."""
    columns = [rollups.c[name] for name in StoredRollup.__slots__]
    query = select(*columns).where(rollups.c.step_ms == step_ms).order_by(rollups.c.start_ms)
    rows = [StoredRollup(*row) for row in await database.read(lambda connection: connection.execute(query).all())]
    parts = [decode_rollup(row.opened(), row.data, COUNTERS) for row in rows]

    names = ("times", "first_ms", "last_ms", "frames", "count")
    joined = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    return Rollup(*joined, np.concatenate([part.stats for part in parts], axis=1))


async def test_a_year_leaves_in_each_tier_what_it_should_hold(database: Database, tmp_path: Path) -> None:
    """A frame every half hour, one in 40 of them days late: the jobs run every 4 days. SQLite keeps what it keeps by
    default, for 400 days; PostgreSQL, which is slower, keeps less."""
    raw, minutely, hourly, days = (7, 30, 365, 400) if database.dialect == "sqlite" else (4, 12, 70, 100)
    kept = {"retention_raw": f"{raw}d", "retention_1m": f"{minutely}d", "retention_1h": f"{hourly}d"}
    clock = FakeClock(START)
    per_round = ROUND_MS // STEP_MS
    held_back: list[Frame] = []
    number = 0
    for turn in range(days * DAY_MS // ROUND_MS):
        sent = [frame_at(number + i) for i in range(per_round)]
        number += per_round
        held_back.extend(frame for i, frame in enumerate(sent) if (turn + i) % 40 == 7)
        on_time = [frame for i, frame in enumerate(sent) if (turn + i) % 40 != 7]
        late = [frame for frame in held_back if frame.time_ms < clock.now_ms() - DAY_MS]
        held_back = [frame for frame in held_back if frame.time_ms >= clock.now_ms() - DAY_MS]
        clock.advance(ROUND_MS / 1000)
        await push(database, on_time + late)
        await run_jobs(clock, tmp_path, database=database, **kept)
    await push(database, held_back)
    clock.advance(2 * SPAN_MS / 1000)
    for _ in range(2):
        await run_jobs(clock, tmp_path, database=database, **kept)

    now_ms = clock.now_ms()
    floor = {
        RAW: (now_ms - raw * DAY_MS) // SPAN_MS * SPAN_MS,
        MINUTE_MS: (now_ms - minutely * DAY_MS) // SPAN_MS * SPAN_MS,
        HOUR_MS: (now_ms - hourly * DAY_MS) // (10 * DAY_MS) * (10 * DAY_MS),
    }
    assert await database.read(floors) == floor
    last_ms = START + (number - 1) * STEP_MS
    assert await count(database, frames) == 0

    stored = await database.read(lambda connection: connection.execute(select(blocks)).all())
    times = sorted(time_ms for row in stored for time_ms in Head.open(row.head, row.checksum).times.tolist())
    assert times == list(range(floor[RAW], last_ms + 1, STEP_MS))

    minutes = await rollup_of(database, MINUTE_MS)
    assert minutes.times.tolist() == list(range(floor[MINUTE_MS], last_ms + 1, STEP_MS))
    assert set(minutes.frames.tolist()) == {1}

    hours = await rollup_of(database, HOUR_MS)
    assert hours.times.tolist() == list(range(floor[HOUR_MS], last_ms + 1, HOUR_MS))
    assert set(hours.frames.tolist()) == {HOUR_MS // STEP_MS}
    numbers = (hours.times - START) // STEP_MS
    each = numbers[:, None] + range(HOUR_MS // STEP_MS)
    assert hours.stats[:, :, 1].T.tolist() == [[row.sum(), row.min(), row.max(), row[-1]] for row in each.astype(float)]
    counter = (each % 1_000 * 10.0).astype(float)
    assert hours.stats[FIRST, :, 2].tolist() == counter[:, 0].tolist()
    grown = hours.stats[LAST, :, 2] - hours.stats[FIRST, :, 2] + hours.stats[RESETS, :, 2]
    assert grown.tolist() == [increases(row).sum() for row in counter]


async def test_over_the_budget_the_oldest_raw_samples_go_first(database: Database, tmp_path: Path) -> None:

    noise = random.Random(1)
    clock = FakeClock(START + 12 * SPAN_MS)
    # Long values that do not compress: 600 KB a span and more.
    sent = [
        a_frame(START + number * 20_000, (noise.random(), noise.random(), noise.random()))
        for number in range(10 * SPAN_MS // 20_000)
    ]
    await push(database, sent)
    await run_jobs(clock, tmp_path, Sealer, Compactor, database=database)
    used = await database.read(used_bytes)
    starts = await database.read(lambda connection: connection.scalars(select(blocks.c.start_ms)).all())
    assert len(starts) == 10
    kept = await rollup_of(database, MINUTE_MS)
    budget = used - 3 * 20_000

    with patch("bongsu.server.config.MIB", 1):
        await run_jobs(clock, tmp_path, Retention, database=database, storage_budget=f"{budget}B")
    left = await database.read(lambda connection: connection.scalars(select(blocks.c.start_ms)).all())
    assert 0 < len(left) < 10
    assert sorted(left) == sorted(starts)[-len(left) :], "the youngest are left"
    assert await database.read(used_bytes) <= budget
    assert (await rollup_of(database, MINUTE_MS)).times.tolist() == kept.times.tolist(), "minutes are still all there"
    assert (await database.read(floors))[RAW] == min(left)


async def test_what_is_not_rolled_up_yet_is_never_deleted(database: Database, tmp_path: Path) -> None:
    clock = FakeClock(START + DAY_MS)
    await push(database, [frame_at(number) for number in range(46)])
    await run_jobs(clock, tmp_path, Sealer, database=database)
    clock.advance(20 * 86_400)
    await run_jobs(clock, tmp_path, Retention, database=database)
    assert await count(database, blocks) > 0
    await run_jobs(clock, tmp_path, Compactor, database=database)
    assert await count(database, blocks) == 0, "older than raw samples are kept, it is only rolled up"
    assert (await rollup_of(database, HOUR_MS)).frames.sum() == 46


async def test_lists_have_a_retention_of_their_own(database: Database, tmp_path: Path) -> None:
    clock = FakeClock(START + 10 * DAY_MS)
    processes = encode_lists([ProcessList(START + day * DAY_MS) for day in range(10)])
    containers = encode_container_lists([ContainerList(START + day * DAY_MS) for day in range(10)])
    batch = Batch(1, [], process_lists=processes, container_lists=containers)
    await database.write(lambda connection: store(connection, [batch]))
    await run_jobs(clock, tmp_path, Retention, database=database, retention_processes="3d")
    assert await count(database, process_lists) == await count(database, container_lists) == 3


async def test_space_is_given_back(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bongsu.server.storage.retention.RESERVE_BYTES", 0)
    clock = FakeClock(START + 10 * DAY_MS)

    many = [Process(pid, f"program-{pid}-{pid * 7919 % 10007}", "root", pid / 7) for pid in range(100)]
    lists = encode_lists([ProcessList(START + number * 1_000, many) for number in range(3_000)])
    await database.write(lambda connection: store(connection, [Batch(1, [], process_lists=lists)]))
    before = await database.read(file_bytes)
    await run_jobs(clock, tmp_path, Retention, database=database)
    assert await count(database, process_lists) == 0
    assert before > 3_000_000
    if database.dialect == "sqlite":
        assert await database.read(file_bytes) < before / 2
    else:
        # Dead rows count no more; the file is autovacuum's to look after.
        assert await database.read(used_bytes) == 0


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        pytest.param({"retention_raw": "40d"}, "retention_raw must not be longer", id="raw longer than minutes"),
        pytest.param({"retention_1h": "20d"}, "nor that than retention_1h", id="minutes longer than hours"),
        pytest.param({"storage_budget": "1MB"}, "at least 16MB", id="no room for anything"),
        pytest.param({"storage_budget": "lots"}, "not a size", id="no size"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_settings(**settings)
