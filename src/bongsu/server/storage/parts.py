"""Reads single columns of blocks and rollups without the rest of the row.

The block of a span has 170 KB, one series of it 1 KB. On SQLite, incremental blob I/O reads only the pages that hold
the series; on PostgreSQL, a substring of an uncompressed value reads only the chunks that do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

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


_POSTGRES = """
SELECT substring(t.data FROM w.first FOR w.length)
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::integer[], $5::integer[], $6::integer[])
     WITH ORDINALITY AS w(server_id, layout_id, start_ms, first, length, step_ms, place)
LEFT JOIN {table} t ON t.server_id = w.server_id AND t.layout_id = w.layout_id AND t.start_ms = w.start_ms {step}
ORDER BY w.place
"""


def _read_postgres(connection: Connection, requests: Sequence[PartRequest]) -> list[bytes]:
    parts: list[bytes] = [b""] * len(requests)
    for rollup in (False, True):
        places = [place for place, part in enumerate(requests) if (part.step_ms is not None) is rollup]
        if not places:
            continue
        query = _POSTGRES.format(
            table="rollups" if rollup else "blocks", step="AND t.step_ms = w.step_ms" if rollup else ""
        )
        rows = [requests[place] for place in places]
        columns = (
            [row.key[0] for row in rows],
            [row.key[1] for row in rows],
            [row.start_ms for row in rows],
            [row.offset + 1 for row in rows],
            [row.length for row in rows],
            [row.step_ms or 0 for row in rows],
        )
        data = connection.exec_driver_sql(query, columns).scalars()
        for place, content in zip(places, data, strict=True):
            parts[place] = bytes(content or b"")
    return parts


def together(places: Sequence[tuple[int, int]]) -> bool:
    """Whether one read from the first to the last (offset, length) costs less than a read of each."""
    first, last = places[0], places[-1]
    return last[0] + last[1] - first[0] <= sum(length for _, length in places) + _PART_BYTES * len(places)
