"""What differs between SQLite and PostgreSQL."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite

FrameRow = tuple[int, int, int, bytes]  # server id, layout id, time in ms, packed values

# Rows of one INSERT on SQLite, which lets go of the interpreter lock once a statement; row by row, each of them would
# wait behind the event loop to get it back. Few sizes, so that the driver's statement cache (128) holds them all.
_ROWS_PER_STATEMENT = (256, 64, 16, 4, 1)
_SQLITE_STATEMENTS = {
    rows: f'INSERT OR IGNORE INTO frames (server_id, layout_id, time_ms, "values") VALUES {",".join(["(?,?,?,?)"] * rows)}'  # noqa: S608, E501
    for rows in _ROWS_PER_STATEMENT
}
_POSTGRES_STATEMENT = (
    'INSERT INTO frames (server_id, layout_id, time_ms, "values") '
    "SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bytea[]) ON CONFLICT DO NOTHING"
)


def insert_frames(connection: Connection, rows: Sequence[FrameRow]) -> int:
    """Inserts the frames that are not stored yet. Returns how many that were."""
    if not rows:
        return 0
    if connection.dialect.name == "postgresql":
        columns = tuple(list(column) for column in zip(*rows, strict=True))
        return connection.exec_driver_sql(_POSTGRES_STATEMENT, columns).rowcount
    # The driver's own cursor: SQLAlchemy's result handling costs more than the insert itself here.
    cursor = connection.connection.cursor()
    new = start = 0
    for size in _ROWS_PER_STATEMENT:
        while len(rows) - start >= size:
            values: list[Any] = [value for row in rows[start : start + size] for value in row]
            cursor.execute(_SQLITE_STATEMENTS[size], values)
            new += cursor.rowcount
            start += size
    cursor.close()
    return new


def insert_or_ignore(connection: Connection, table: Table) -> Insert:
    """An INSERT that leaves a row alone whose key is there already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


_FRAMES_AFTER_SQLITE = (
    'SELECT f.server_id, f.layout_id, f.time_ms, f."values" FROM json_each(?) AS wanted '
    "CROSS JOIN frames AS f ON f.server_id = wanted.value ->> 0 AND f.layout_id = wanted.value ->> 1 "
    "AND f.time_ms > wanted.value ->> 2 ORDER BY wanted.key, f.time_ms"
)
_FRAMES_AFTER_POSTGRES = (
    'SELECT f.server_id, f.layout_id, f.time_ms, f."values" '
    "FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) WITH ORDINALITY "
    "AS wanted(server_id, layout_id, after, place) "
    "JOIN frames AS f ON f.server_id = wanted.server_id AND f.layout_id = wanted.layout_id "
    "AND f.time_ms > wanted.after ORDER BY wanted.place, f.time_ms"
)


def select_frames_after(connection: Connection, wanted: Sequence[Sequence[int]]) -> Sequence[FrameRow]:
    """The frames of each (server, layout, time) later than its time: a short range of the index each, in one
    statement. 1,000 ranges with a frame in each take 5 ms on SQLite; as 1,000 statements 150 ms."""
    if connection.dialect.name == "postgresql":
        columns = tuple(list(column) for column in zip(*wanted, strict=True))
        return [tuple(row) for row in connection.exec_driver_sql(_FRAMES_AFTER_POSTGRES, columns)]
    cursor = connection.connection.cursor()
    cursor.execute(_FRAMES_AFTER_SQLITE, (json.dumps(wanted),))
    found: Sequence[FrameRow] = cursor.fetchall()
    cursor.close()
    return found
