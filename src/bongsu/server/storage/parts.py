"""Reading single columns of blocks and rollups, and single values of frames, without the rest of the row.

A block of a span has 170 KB, of which one series is 1: on SQLite incremental blob I/O reads the pages that hold it, on
PostgreSQL a substring of an uncompressed value reads the chunks that do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from bongsu.server.storage.layouts import LayoutKey

# Reading a part costs as much as some 8 KB read in one go.
_PART_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class PartWanted:
    """``length`` bytes from ``offset`` of the data of one row. ``step_ms``: of a rollup row; None: of a block."""

    key: LayoutKey
    step_ms: int | None
    start_ms: int
    offset: int
    length: int


def read_parts(connection: Connection, wanted: Sequence[PartWanted]) -> list[bytes]:
    """The bytes of each, in order. Empty where the row has gone, or is shorter."""
    if not wanted:
        return []
    read = _read_sqlite if connection.dialect.name == "sqlite" else _read_postgres
    return read(connection, wanted)


_SQLITE_ROWID = {
    False: "SELECT rowid FROM blocks WHERE server_id = ? AND layout_id = ? AND start_ms = ?",
    True: "SELECT rowid FROM rollups WHERE server_id = ? AND layout_id = ? AND start_ms = ? AND step_ms = ?",
}


def _read_sqlite(connection: Connection, wanted: Sequence[PartWanted]) -> list[bytes]:
    # The driver's own connection: 10 us a row, 60 through SQLAlchemy.
    driver = connection.connection.driver_connection
    assert driver is not None
    found: list[bytes] = []
    row: tuple[LayoutKey, int | None, int] | None = None
    blob = None
    try:
        for one in wanted:
            if row != (one.key, one.step_ms, one.start_ms):
                row = (one.key, one.step_ms, one.start_ms)
                if blob is not None:
                    blob.close()
                    blob = None
                parameters = (*one.key, one.start_ms, *(() if one.step_ms is None else (one.step_ms,)))
                rowid = driver.execute(_SQLITE_ROWID[one.step_ms is not None], parameters).fetchone()
                if rowid is not None:
                    table = "blocks" if one.step_ms is None else "rollups"
                    blob = driver.blobopen(table, "data", rowid[0], readonly=True)
            if blob is None or one.offset + one.length > len(blob):
                found.append(b"")
                continue
            blob.seek(one.offset)
            found.append(blob.read(one.length))
    finally:
        if blob is not None:
            blob.close()
    return found


_POSTGRES = """
SELECT substring(t.data FROM w.first FOR w.length)
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::integer[], $5::integer[], $6::integer[])
     WITH ORDINALITY AS w(server_id, layout_id, start_ms, first, length, step_ms, number)
LEFT JOIN {table} t ON t.server_id = w.server_id AND t.layout_id = w.layout_id AND t.start_ms = w.start_ms {step}
ORDER BY w.number
"""


def _read_postgres(connection: Connection, wanted: Sequence[PartWanted]) -> list[bytes]:
    found: list[bytes] = [b""] * len(wanted)
    for rollup in (False, True):
        places = [place for place, one in enumerate(wanted) if (one.step_ms is not None) is rollup]
        if not places:
            continue
        query = _POSTGRES.format(
            table="rollups" if rollup else "blocks", step="AND t.step_ms = w.step_ms" if rollup else ""
        )
        rows = [wanted[place] for place in places]
        columns = (
            [one.key[0] for one in rows],
            [one.key[1] for one in rows],
            [one.start_ms for one in rows],
            [one.offset + 1 for one in rows],
            [one.length for one in rows],
            [one.step_ms or 0 for one in rows],
        )
        parts = connection.exec_driver_sql(query, columns).scalars()
        for place, part in zip(places, parts, strict=True):
            found[place] = bytes(part or b"")
    return found


def together(places: Sequence[tuple[int, int]]) -> bool:
    """Whether to read from the first to the last of (offset, length) in one go, rather than each by itself."""
    first, last = places[0], places[-1]
    return last[0] + last[1] - first[0] <= sum(length for _, length in places) + _PART_BYTES * len(places)
