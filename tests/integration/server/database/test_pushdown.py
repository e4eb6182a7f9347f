"""On Citus, what people and machines ask all the time is answered by the nodes: by one shard where it is about one
server, and never by pulling tables to the coordinator or sending them between nodes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from bongsu.core.units import HOUR_MS
from bongsu.server.database.database import Database
from bongsu.server.database.dialect import is_distributed
from bongsu.server.database.distribution import metric_tables
from bongsu.server.storage.archive import SPAN_MS
from tests.integration.server.database.test_query_plans import READS
from tests.support.app import running_app
from tests.support.clock import FakeClock
from tests.support.jobs import database_of, run_jobs
from tests.support.pushes import a_push, a_ramp

START = 1_750_000_000_000 // SPAN_MS * SPAN_MS
# What is about all servers goes to all shards: what jobs look for, the layouts and newest frames of the fleet.
OF_ONE_SERVER = (*("/api/metrics/history", "/api/metrics/completeness", "/api/servers/1/processes"),)
# Signs of a plan that moves rows instead of the question.
MOVED = ("Distributed Subplan", "MapMergeJob", "pull to coordinator", "repartition")

Statement = tuple[str, Any]


@contextmanager
def statements() -> Iterator[list[Statement]]:
    """The statements about metric tables that are run meanwhile, with their parameters."""
    names = [table.name for table in metric_tables()]
    noted: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        words = statement.replace('"', " ").split()
        if words[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH") and not {*names}.isdisjoint(words):
            noted.append((statement, parameters[0] if many else parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def plans(database: Database, noted: list[Statement]) -> dict[str, str]:
    """Statement -> how Citus runs it."""

    def explain(connection: Connection) -> dict[str, str]:
        assert is_distributed(connection)
        found = {}
        for statement, parameters in dict(noted).items():
            rows = connection.exec_driver_sql(f"EXPLAIN (COSTS OFF) {statement}", parameters)
            found[statement] = "\n".join(row[0] for row in rows)
        return found

    return await database.write(explain)


@pytest.fixture(autouse=True)
def _on_citus(database_url: str, request: pytest.FixtureRequest) -> None:
    if "citus" not in request.node.callspec.id:
        pytest.skip("only on Citus")


async def test_jobs_and_pushes_move_no_tables(tmp_path: Path) -> None:
    clock = FakeClock(START + 2 * HOUR_MS)
    async with running_app(tmp_path, clock=clock) as app:
        with statements() as noted:
            for name in ("web-1", "web-2", "web-3"):
                assert (await app.push(a_push(a_ramp(START, 700), name=name))).status_code == 200
            clock.advance(9 * HOUR_MS / 1000)
            await run_jobs(clock, tmp_path)
            clock.advance(9 * 24 * HOUR_MS / 1000)
            await run_jobs(clock, tmp_path)
        found = await plans(database_of(app), noted)
    assert len(found) > 20
    moved = [f"{statement}\n{plan}" for statement, plan in found.items() if any(sign in plan for sign in MOVED)]
    assert moved == []


@pytest.mark.parametrize(
    ("path", "parameters"), READS, ids=[f"{path}-{place}" for place, (path, _) in enumerate(READS)]
)
async def test_questions_move_no_tables_and_those_of_one_server_go_to_one_shard(
    tmp_path: Path, path: str, parameters: dict[str, Any]
) -> None:
    clock = FakeClock(START + 2 * HOUR_MS)
    one = path in OF_ONE_SERVER
    async with running_app(tmp_path, clock=clock) as app:
        for name in ("web-1",) if one else ("web-1", "web-2", "web-3"):
            assert (await app.push(a_push(a_ramp(START, 700), name=name))).status_code == 200
        clock.advance(9 * HOUR_MS / 1000)
        await run_jobs(clock, tmp_path)
        await app.push(a_push(a_ramp(clock.now_ms() - 50_000, 5)))
        if "end" in parameters:
            parameters = parameters | {"start": clock.now_ms() / 1000 - 3_600, "end": clock.now_ms() / 1000}
        # What it polls when something new was stored.
        await app.services.fleet.refresh(with_reported=True)
        with statements() as noted:
            answer = await app.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        found = await plans(database_of(app), noted)
    for statement, plan in found.items():
        assert not any(sign in plan for sign in MOVED), f"{statement}\n{plan}"
        if one:
            assert "Task Count: 1\n" in plan, f"{statement}\n{plan}"
