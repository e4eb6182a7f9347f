"""Every statement on the table ``frames``. The hot path: bytes in, bytes out."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from bongsu.arrays import Times, Values
from bongsu.core.samples import Frame
from bongsu.server.database.dialect import (
    ROWS_PER_STATEMENT,
    KeyedQuery,
    copy_rows,
    insert_many,
    is_distributed,
)
from bongsu.server.database.tables import frames, layouts
from bongsu.server.storage.layouts import LayoutKey

FrameRow = tuple[int, int, int, bytes]  # server id, layout id, time in ms, packed values

_DOUBLE = np.dtype("<f8")


def _of_layout(key: LayoutKey) -> ColumnElement[bool]:
    return and_(frames.c.server_id == key[0], frames.c.layout_id == key[1])


def _between(key: LayoutKey, start_ms: int, end_ms: int) -> ColumnElement[bool]:
    return and_(_of_layout(key), frames.c.time_ms >= start_ms, frames.c.time_ms < end_ms)


_COLUMNS = ("server_id", "layout_id", "time_ms", "values")
# SQLite releases the interpreter lock once a statement; row by row, each insert would wait behind the event loop to get
# it back.
_INSERT_SQLITE = {
    rows: f'INSERT OR IGNORE INTO frames (server_id, layout_id, time_ms, "values") VALUES {",".join(["(?,?,?,?)"] * rows)}'  # noqa: S608, E501
    for rows in ROWS_PER_STATEMENT
}
_INSERT_POSTGRES = (
    'INSERT INTO frames (server_id, layout_id, time_ms, "values") '
    "SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bytea[]) ON CONFLICT DO NOTHING"
)


def insert_frames(connection: Connection, rows: Sequence[FrameRow]) -> int:
    """Inserts the frames that are not stored yet. Returns how many were new."""
    if not rows:
        return 0
    if connection.dialect.name == "postgresql":
        # In the order of the key, so that two API servers never wait for each other.
        rows = sorted(rows, key=itemgetter(0, 1, 2))
        if is_distributed(connection):
            return insert_many(connection, frames, _COLUMNS, rows)
        columns = tuple(list(column) for column in zip(*rows, strict=True))
        return connection.exec_driver_sql(_INSERT_POSTGRES, columns).rowcount
    # The driver's own cursor: SQLAlchemy's result handling costs more than the insert itself here.
    cursor = connection.connection.cursor()
    new = start = 0
    for size in ROWS_PER_STATEMENT:
        while len(rows) - start >= size:
            values: list[Any] = [value for row in rows[start : start + size] for value in row]
            cursor.execute(_INSERT_SQLITE[size], values)
            new += cursor.rowcount
            start += size
    cursor.close()
    return new


def insert_new_frames(connection: Connection, rows: Sequence[FrameRow]) -> bool:
    """Inserts frames, in a transaction that has begun with another statement. Returns False if some of them are stored
    already: the transaction must be rolled back."""
    if rows and is_distributed(connection):
        return copy_rows(connection, frames, _COLUMNS, sorted(rows, key=itemgetter(0, 1, 2)))
    return insert_frames(connection, rows) == len(rows)


def delete_frames(connection: Connection, key: LayoutKey, first_ms: int, last_ms: int) -> int:
    """Deletes the frames of one layout with ``first_ms <= time <= last_ms``. Returns how many."""
    return connection.execute(delete(frames).where(_between(key, first_ms, last_ms + 1))).rowcount


def take_frames(connection: Connection, key: LayoutKey, first_ms: int, last_ms: int) -> list[Frame]:
    """Deletes the frames of one layout with ``first_ms <= time <= last_ms``. Returns them, oldest first."""
    query = delete(frames).where(_between(key, first_ms, last_ms + 1)).returning(frames.c.time_ms, frames.c["values"])
    return [Frame(key[1], time_ms, values) for time_ms, values in sorted(connection.execute(query), key=itemgetter(0))]


def newest_frames(connection: Connection, key: LayoutKey, count: int = 2) -> list[Frame]:
    """The last ``count`` frames of one layout, newest first."""
    query = (
        select(frames.c.time_ms, frames.c["values"])
        .where(_of_layout(key))
        .order_by(frames.c.time_ms.desc())
        .limit(count)
    )
    return [Frame(key[1], time_ms, values) for time_ms, values in connection.execute(query)]


def newest_frame_ms(connection: Connection, key: LayoutKey) -> int | None:
    """The time of the last frame of one layout; None without frames."""
    newest_ms: int | None = connection.scalar(select(func.max(frames.c.time_ms)).where(_of_layout(key)))
    return newest_ms


def oldest_frames(connection: Connection, key: LayoutKey, limit: int, before_ms: int | None = None) -> list[Frame]:
    """The first ``limit`` frames of one layout (earlier than ``before_ms``), oldest first."""
    query = select(frames.c.time_ms, frames.c["values"]).where(_of_layout(key)).order_by(frames.c.time_ms).limit(limit)
    if before_ms is not None:
        query = query.where(frames.c.time_ms < before_ms)
    return [Frame(key[1], time_ms, values) for time_ms, values in connection.execute(query)]


def frames_between(connection: Connection, key: LayoutKey, start_ms: int, end_ms: int) -> list[Frame]:
    """The frames of one layout with ``start_ms <= time < end_ms``, oldest first."""
    query = select(frames.c.time_ms, frames.c["values"]).where(_between(key, start_ms, end_ms))
    return [Frame(key[1], time_ms, values) for time_ms, values in connection.execute(query.order_by(frames.c.time_ms))]


def replace_frame(connection: Connection, server_id: int, before: Frame, after: bytes) -> bool:
    """Replaces the values of a frame. Returns False, and changes nothing, if they are no longer those of ``before``."""
    at = _between((server_id, before.layout_id), before.time_ms, before.time_ms + 1)
    as_before = frames.c["values"] == before.values
    return connection.execute(update(frames).where(at, as_before).values(values=after)).rowcount == 1


def oldest_frame_times(connection: Connection) -> dict[int, int]:
    """Server id -> time of its oldest frame. Reads the index only."""
    query = select(frames.c.server_id, func.min(frames.c.time_ms)).group_by(frames.c.server_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def has_frames(connection: Connection, key: LayoutKey, start_ms: int, end_ms: int) -> bool:
    """Whether any frame of one layout with ``start_ms <= time < end_ms`` is not sealed yet."""
    query = select(frames.c.time_ms).where(_between(key, start_ms, end_ms))
    return connection.execute(query.limit(1)).first() is not None


def times_between(connection: Connection, key: LayoutKey, start_ms: int, end_ms: int) -> list[int]:
    """Times of the frames of one layout with ``start_ms <= time < end_ms``, oldest first. Reads the index only."""
    query = select(frames.c.time_ms).where(_between(key, start_ms, end_ms)).order_by(frames.c.time_ms)
    return list(connection.scalars(query))


@dataclass(frozen=True, slots=True)
class Unsealed:
    """How many frames of one layout are not sealed yet, and since when."""

    server_id: int
    layout_id: int
    count: int
    oldest_ms: int


def unsealed(connection: Connection) -> list[Unsealed]:
    """All layouts with frames that are not sealed yet. Counts every frame: 450,000 on PostgreSQL in 1 s."""
    key = (frames.c.server_id, frames.c.layout_id)
    query = select(*key, func.count(), func.min(frames.c.time_ms)).group_by(*key)
    return [Unsealed(*row) for row in connection.execute(query)]


def oldest_unsealed(connection: Connection) -> dict[LayoutKey, int]:
    """Layout -> time of its oldest frame that is not sealed yet. One look into the index for each layout."""
    oldest = (
        select(func.min(frames.c.time_ms))
        .where(frames.c.server_id == layouts.c.server_id, frames.c.layout_id == layouts.c.layout_id)
        .scalar_subquery()
    )
    rows = connection.execute(select(layouts.c.server_id, layouts.c.layout_id, oldest))
    return {(server_id, layout_id): time_ms for server_id, layout_id, time_ms in rows if time_ms is not None}


def count_frames(connection: Connection, keys: Sequence[LayoutKey]) -> dict[LayoutKey, int]:
    """Layout -> number of its frames that are not sealed yet."""
    counts: dict[LayoutKey, int] = {}
    for server_id, layout_id in keys:
        this = (frames.c.server_id == server_id, frames.c.layout_id == layout_id)
        counts[server_id, layout_id] = connection.scalar(select(func.count()).where(*this)) or 0
    return counts


def frame_lengths(connection: Connection) -> list[tuple[int, int, int, int]]:
    """(server id, layout id, bytes of a frame, frames of that length)."""
    key = (frames.c.server_id, frames.c.layout_id, func.length(frames.c["values"]))
    return [tuple(row) for row in connection.execute(select(*key, func.count()).group_by(*key))]


def frame_totals(connection: Connection) -> list[tuple[int, int, int, int, int, int]]:
    """(server id, layout id, frames, bytes, oldest time, newest time) of each layout."""
    key, time_ms = (frames.c.server_id, frames.c.layout_id), frames.c.time_ms
    size = func.sum(func.length(frames.c["values"]))
    query = select(*key, func.count(), size, func.min(time_ms), func.max(time_ms)).group_by(*key)
    return [(row[0], row[1], row[2], int(row[3]), row[4], row[5]) for row in connection.execute(query)]


def columns_of(times: Sequence[int], packed: Sequence[bytes]) -> tuple[Times, Values]:
    """Times (n,) and values (n, k) of the frames of one layout; n >= 1."""
    values = np.frombuffer(b"".join(packed), _DOUBLE).reshape(len(times), -1)
    return np.array(times, np.int64), values


@dataclass(frozen=True, slots=True)
class FrameColumns:
    """The columns from ``first`` on of the frames of one layout in a range. ``values``: (n, w).

    ``damaged``: times of frames that are too short for their layout, and left out.
    """

    times: Times
    values: Values
    first: int
    damaged: tuple[int, ...] = ()

    def column(self, position: int) -> Values:
        """(n,) values of one series."""
        return self.values[:, position - self.first]


_COLUMNS_OF = KeyedQuery(
    't.time_ms, substr(t."values", CAST({first} AS integer), CAST({length} AS integer))',
    "frames",
    "t.time_ms >= {start} AND t.time_ms < {end}",
    "t.time_ms",
    key=("server_id", "layout_id", "first", "length"),
    parameters=("start", "end"),
)


def frame_columns(
    connection: Connection, wanted: Mapping[LayoutKey, Sequence[int]], start_ms: int, end_ms: int
) -> dict[LayoutKey, FrameColumns]:
    """The frames of some layouts with ``start_ms <= time < end_ms``; layouts without any are left out.

    ``wanted``: positions of each (ascending); what is read is from the first to the last of them.
    """
    keys = [(*key, 8 * positions[0] + 1, 8 * (positions[-1] - positions[0] + 1)) for key, positions in wanted.items()]
    found: dict[LayoutKey, FrameColumns] = {}
    for place, rows in _COLUMNS_OF.rows(connection, keys, start_ms, end_ms):
        server_id, layout_id, first, length = keys[place]
        damaged = [time_ms for time_ms, values in rows if len(values) != length]
        if damaged:
            rows = [row for row in rows if len(row[1]) == length]
        times = np.array([row[0] for row in rows], np.int64)
        values = np.frombuffer(b"".join([row[1] for row in rows]), _DOUBLE).reshape(len(rows), length // 8)
        found[server_id, layout_id] = FrameColumns(times, values, (first - 1) // 8, tuple(damaged))
    return found


_AFTER_SQLITE = (
    'SELECT f.server_id, f.layout_id, f.time_ms, f."values" FROM json_each(?) AS wanted '
    "CROSS JOIN frames AS f ON f.server_id = wanted.value ->> 0 AND f.layout_id = wanted.value ->> 1 "
    "AND f.time_ms > wanted.value ->> 2 ORDER BY wanted.key, f.time_ms"
)
_AFTER_POSTGRES = (
    'SELECT f.server_id, f.layout_id, f.time_ms, f."values" '
    "FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) WITH ORDINALITY "
    "AS wanted(server_id, layout_id, after, place) "
    "JOIN frames AS f ON f.server_id = wanted.server_id AND f.layout_id = wanted.layout_id "
    "AND f.time_ms > wanted.after ORDER BY wanted.place, f.time_ms"
)


def frames_after(connection: Connection, after: Mapping[LayoutKey, int]) -> list[tuple[int, Frame]]:
    """(server id, frame) of the frames later than each layout's time, layout by layout, oldest first.

    One statement with a short range of the index for each layout: 1,000 ranges with a frame in each take 5 ms on
    SQLite; 1,000 statements take 150 ms.
    """
    if not after:
        return []
    ranges = [[*key, time_ms] for key, time_ms in after.items()]
    if connection.dialect.name == "postgresql":
        columns = tuple(list(column) for column in zip(*ranges, strict=True))
        rows: Sequence[Any] = connection.exec_driver_sql(_AFTER_POSTGRES, columns).all()
    else:
        cursor = connection.connection.cursor()
        cursor.execute(_AFTER_SQLITE, (json.dumps(ranges),))
        rows = cursor.fetchall()
        cursor.close()
    return [(server_id, Frame(layout_id, time_ms, values)) for server_id, layout_id, time_ms, values in rows]


def frame_times(connection: Connection, server_ids: Sequence[int]) -> dict[LayoutKey, set[int]]:
    """The times of all frames of these servers that are not sealed, by layout. Reads the index only."""
    times: dict[LayoutKey, set[int]] = defaultdict(set)
    for server_id in server_ids:
        query = select(frames.c.layout_id, frames.c.time_ms).where(frames.c.server_id == server_id)
        for layout_id, time_ms in connection.execute(query):
            times[server_id, layout_id].add(time_ms)
    return times
