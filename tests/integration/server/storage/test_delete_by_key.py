"""Rows are deleted by their keys: a look into the index for each, in the few milliseconds that ingest waits for."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert
from sqlalchemy.engine import Engine

from bongsu.server.database.database import Database, open_database
from bongsu.server.database.migrations import upgrade
from bongsu.server.database.tables import blocks, layouts, rollups
from bongsu.server.storage.archive import RAW
from bongsu.server.storage.deletion import ROWS, delete_some, some_rows
from bongsu.server.storage.expired import delete_rows
from bongsu.server.storage.layout_retention import forget_layouts
from tests.support.jobs import count

KEYS = [(1, 1, 1), (1, 1, 2)]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    await opened.write(upgrade)
    packed = {"end_ms": 1, "checksum": 1, "head": b"", "data": b""}
    for table, extra in ((blocks, {"frames": 1, "rolled": 1}), (rollups, {"step_ms": 60_000, "buckets": 1})):
        rows = [{"server_id": 1, "layout_id": 1, "start_ms": start_ms, **packed, **extra} for start_ms in range(1, 6)]
        await opened.write(lambda connection, table=table, rows=rows: connection.execute(insert(table), rows))
    unused = {"server_id": 1, "layout_id": 7, "series": b""}
    await opened.write(lambda connection: connection.execute(insert(layouts).values(unused)))
    yield opened
    await opened.close()


async def plans(database: Database, function: Callable[[Connection], Any]) -> list[str]:
    """How SQLite runs the DELETEs of a function; nothing on PostgreSQL."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if statement.startswith("DELETE"):
            statements.append((statement, parameters[0] if many else parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        await database.write(function)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert statements
    if database.dialect != "sqlite":
        return []

    def explain(connection: Connection) -> list[str]:
        return [
            row.detail
            for statement, parameters in statements
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]

    return await database.read(explain)


@pytest.mark.parametrize(
    ("function", "table", "left"),
    [
        pytest.param(lambda connection: delete_rows(connection, RAW, KEYS), blocks, 3, id="blocks below a floor"),
        pytest.param(lambda connection: delete_rows(connection, 60_000, KEYS), rollups, 3, id="rollups below a floor"),
        pytest.param(lambda connection: forget_layouts(connection, [(1, 7)]), layouts, 0, id="unused layouts"),
        *(
            pytest.param(
                lambda connection, table=table: delete_some(
                    connection, table, some_rows(connection, table, 1) or [(1,) * len(table.primary_key)]
                ),
                table,
                0,
                id=f"{table.name} of a deleted server",
            )
            for table in ROWS
        ),
    ],
)
async def test_rows_are_found_by_the_index(
    database: Database, function: Callable[[Connection], Any], table: Any, left: int
) -> None:
    details = await plans(database, function)
    assert not [detail for detail in details if detail.startswith("SCAN")], details
    assert await count(database, table) == left
