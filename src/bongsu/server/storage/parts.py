"""Reads single columns of blocks and rollups without the rest of the row.

The block of a span has 170 KB, one series of it 1 KB. On SQLite, incremental blob I/O reads only the pages that hold
the series; on PostgreSQL, a substring of an uncompressed value reads only the chunks that do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from bongsu.server.database.dialect import KeyedQuery
from bongsu.server.storage.layouts import LayoutKey

# A further read costs as much as reading some 8 KB more in one go.
_PART_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class PartRequest:
    """``length`` bytes at ``offset`` of the data of one row. ``step_ms``: of a rollup row; None: of a block."""

    key: LayoutKey
    step_ms: int | None
    start_ms: int
    offset: int
    length: int


def read_parts(connection: Connection, requests: Sequence[PartRequest]) -> list[bytes]:
    """The bytes of each part, in order; empty where the row no longer exists or is shorter."""
    if not requests:
        return []
    read = _read_sqlite if connection.dialect.name == "sqlite" else _read_postgres
    return read(connection, requests)


_SQLITE_ROWID = {
    False: "SELECT rowid FROM blocks WHERE server_id = ? AND layout_id = ? AND start_ms = ?",
    True: "SELECT rowid FROM rollups WHERE server_id = ? AND layout_id = ? AND start_ms = ? AND step_ms = ?",
}


def _read_sqlite(connection: Connection, requests: Sequence[PartRequest]) -> list[bytes]:
    # The driver's own connection: 10 us a row, 60 through SQLAlchemy.
    driver = connection.connection.driver_connection
    assert driver is not None
    parts: list[bytes] = []
    row: tuple[LayoutKey, int | None, int] | None = None
    blob = None
    try:
        for part in requests:
            if row != (part.key, part.step_ms, part.start_ms):
                row = (part.key, part.step_ms, part.start_ms)
                if blob is not None:
                    blob.close()
                    blob = None
                parameters = [*part.key, part.start_ms]
                if part.step_ms is not None:
                    parameters.append(part.step_ms)
                rowid = driver.execute(_SQLITE_ROWID[part.step_ms is not None], parameters).fetchone()
                if rowid is not None:
                    table = "blocks" if part.step_ms is None else "rollups"
                    blob = driver.blobopen(table, "data", rowid[0], readonly=True)
            if blob is None or part.offset + part.length > len(blob):
                parts.append(b"")
                continue
            blob.seek(part.offset)
            parts.append(blob.read(part.length))
    finally:
        if blob is not None:
            blob.close()
    return parts


_COLUMN = "substring(t.data FROM CAST({first} AS integer) FOR CAST({length} AS integer))"
_KEY = ("server_id", "layout_id", "start", "first", "length")
_OF_BLOCKS = KeyedQuery(_COLUMN, "blocks", "t.start_ms = {start}", "t.start_ms", key=_KEY, parameters=())
_OF_ROLLUPS = KeyedQuery(
    _COLUMN,
    "rollups",
    "t.start_ms = {start} AND t.step_ms = {step}",
    "t.start_ms",
    key=(*_KEY, "step"),
    parameters=(),
)


def _read_postgres(connection: Connection, requests: Sequence[PartRequest]) -> list[bytes]:
    parts: list[bytes] = [b""] * len(requests)
    for query, rollups in ((_OF_BLOCKS, False), (_OF_ROLLUPS, True)):
        places = [place for place, part in enumerate(requests) if (part.step_ms is not None) is rollups]
        keys = []
        for part in (requests[place] for place in places):
            step = () if part.step_ms is None else (part.step_ms,)
            keys.append((*part.key, part.start_ms, part.offset + 1, part.length, *step))
        for place, rows in query.rows(connection, keys):
            parts[places[place]] = bytes(rows[0][0])
    return parts


def together(places: Sequence[tuple[int, int]]) -> bool:
    """Whether one read from the first to the last (offset, length) costs less than a read of each."""
    first, last = places[0], places[-1]
    return last[0] + last[1] - first[0] <= sum(length for _, length in places) + _PART_BYTES * len(places)
