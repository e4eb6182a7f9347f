"""Statements on ``parts`` and ``foreign_series``: samples that others than agents send, until they are frames.

Writing them is a hot path: bytes in, one statement for many rows.
"""

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, or_, select, update

from bongsu.core.series import Kind, Series
from bongsu.server.database.dialect import delete_by_key, distinct, insert_many, is_distributed
from bongsu.server.database.tables import foreign_series, parts

# Server id, time in ms, digest, received when, numbers (int64), values (doubles); both packed, little-endian.
PartRow = tuple[int, int, int, int, bytes, bytes]
PartKey = tuple[int, int, int]  # server id, time in ms, digest
SeriesRow = tuple[int, int, bytes]  # server id, number, encoded series

# Table -> its columns in the order of the rows, and their types on PostgreSQL.
_COLUMNS: dict[Table, tuple[tuple[str, ...], tuple[str, ...]]] = {
    parts: (
        ("server_id", "time_ms", "digest", "received_ms", "numbers", "values"),
        ("integer", "bigint", "bigint", "bigint", "bytea", "bytea"),
    ),
    foreign_series: (("server_id", "number", "series"), ("integer", "bigint", "bytea")),
}


def insert_parts(connection: Connection, rows: Sequence[PartRow]) -> None:
    """Inserts the parts that are not stored yet."""
    _insert(connection, parts, rows)


def insert_series(connection: Connection, rows: Sequence[SeriesRow]) -> None:
    """Inserts the series that are not stored yet."""
    _insert(connection, foreign_series, rows)


def _insert(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    columns, types = _COLUMNS[table]
    names = ", ".join(f'"{name}"' for name in columns)
    if connection.dialect.name == "postgresql":
        # In the order of the key, so that two API servers never wait for each other.
        rows = sorted(rows, key=itemgetter(0, 1, 2))
        if is_distributed(connection):
            insert_many(connection, table, columns, rows)
            return
        arrays = ", ".join(f"${place}::{type_}[]" for place, type_ in enumerate(types, 1))
        statement = f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"  # noqa: S608
        connection.exec_driver_sql(statement, tuple(list(column) for column in zip(*rows, strict=True)))
        return
    cursor = connection.connection.cursor()
    values = ",".join("?" * len(columns))
    cursor.executemany(f"INSERT OR IGNORE INTO {table.name} ({names}) VALUES ({values})", rows)  # noqa: S608
    cursor.close()


def has_series(connection: Connection, server_id: int, rows: Sequence[PartRow], new: Sequence[SeriesRow]) -> bool:
    """Whether all series of these parts of one server are stored, or among the new ones."""
    numbers = {number for row in rows for number in array("q", row[4])} - {number for _, number, _ in new}
    of_server = select(func.count()).where(foreign_series.c.server_id == server_id)
    wanted = sorted(numbers)
    return all(
        connection.scalar(of_server.where(foreign_series.c.number.in_(wanted[first : first + 500])))
        == len(wanted[first : first + 500])
        for first in range(0, len(wanted), 500)
    )


def encode_definition(series: Series) -> bytes:
    """The JSON list ``[metric, [[label, value], ...], unit, kind]``."""
    row = [series.metric, series.labels, series.unit, series.kind.value]
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def decode_definition(stored: bytes) -> Series:
    """The reverse of ``encode_definition``."""
    metric, labels, unit, kind = json.loads(stored)
    return Series(metric, tuple((name, value) for name, value in labels), unit, Kind(kind))


@dataclass(frozen=True, slots=True)
class Part:
    """A stored part."""

    server_id: int
    time_ms: int
    digest: int
    received_ms: int
    numbers: bytes
    values: bytes

    @property
    def key(self) -> PartKey:
        """The key of its row."""
        return self.server_id, self.time_ms, self.digest


def waiting_servers(connection: Connection, before_ms: int, now_ms: int) -> list[int]:
    """The servers with parts that were received before a time; or later than now, by a clock that has been set back."""
    settled = or_(parts.c.received_ms <= before_ms, parts.c.received_ms > now_ms)
    return sorted(connection.scalars(select(parts.c.server_id).where(settled).distinct()))


def settled_parts(connection: Connection, server_id: int, before_ms: int, now_ms: int, limit: int) -> list[Part]:
    """The first of these parts of one server, by their time."""
    settled = or_(parts.c.received_ms <= before_ms, parts.c.received_ms > now_ms)
    query = select(parts).where(parts.c.server_id == server_id, settled).order_by(parts.c.time_ms, parts.c.digest)
    return [Part(*row) for row in connection.execute(query.limit(limit))]


def delete_parts(connection: Connection, keys: Sequence[PartKey]) -> int:
    """Deletes parts. Returns how many were there."""
    return delete_by_key(connection, parts, [parts.c.server_id, parts.c.time_ms, parts.c.digest], keys)


def oldest_part_ms(connection: Connection) -> int | None:
    """When the part that has waited longest was received; None: there is none."""
    oldest_ms: int | None = connection.scalar(select(func.min(parts.c.received_ms)))
    return oldest_ms


def foreign_servers(connection: Connection) -> set[int]:
    """The servers that have foreign series."""
    return {server_id for (server_id,) in distinct(connection, foreign_series.c.server_id)}


def load_places(connection: Connection, server_id: int) -> list[tuple[int, int, int]]:
    """(number, layout id, position) of the series of one server that have a place."""
    columns = (foreign_series.c.number, foreign_series.c.layout_id, foreign_series.c.position)
    query = select(*columns).where(foreign_series.c.server_id == server_id, foreign_series.c.layout_id.is_not(None))
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]


def load_definitions(connection: Connection, server_id: int, numbers: Sequence[int]) -> dict[int, Series]:
    """Number -> series, of those among ``numbers`` that have no place yet."""
    found: dict[int, Series] = {}
    for first in range(0, len(numbers), 500):
        query = select(foreign_series.c.number, foreign_series.c.series).where(
            foreign_series.c.server_id == server_id,
            foreign_series.c.number.in_(numbers[first : first + 500]),
            foreign_series.c.series.is_not(None),
        )
        found.update((number, decode_definition(stored)) for number, stored in connection.execute(query))
    return found


_GIVE_PLACES_POSTGRES = (
    "UPDATE foreign_series AS f SET layout_id = p.layout_id, position = p.position, series = NULL "
    "FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::integer[]) AS p(number, leaves, layout_id, position) "
    "WHERE f.server_id = $1 AND f.number = p.number AND coalesce(f.layout_id, 0) = p.leaves"
)
_GIVE_PLACE = (
    update(foreign_series)
    .where(
        foreign_series.c.server_id == bindparam("server"),
        foreign_series.c.number == bindparam("of_number"),
        func.coalesce(foreign_series.c.layout_id, 0) == bindparam("leaves"),
    )
    .values(layout_id=bindparam("layout"), position=bindparam("place"), series=None)
)


def store_places(connection: Connection, server_id: int, places: Sequence[tuple[int, int, int, int]]) -> int:
    """Stores new places: (number, layout id it leaves or 0, layout id, position). Returns how many; fewer if another
    worker has given one of them a place meanwhile."""
    if not places:
        return 0
    if connection.dialect.name == "postgresql":
        columns = tuple(list(column) for column in zip(*places, strict=True))
        return connection.exec_driver_sql(_GIVE_PLACES_POSTGRES, (server_id, *columns)).rowcount
    rows = [
        {"server": server_id, "of_number": number, "leaves": leaves, "layout": layout_id, "place": position}
        for number, leaves, layout_id, position in places
    ]
    return connection.execute(_GIVE_PLACE, rows).rowcount


def forget_series(connection: Connection, server_id: int, layout_id: int) -> int:
    """Deletes the series of a layout that is forgotten. Returns how many."""
    this = (foreign_series.c.server_id == server_id, foreign_series.c.layout_id == layout_id)
    return connection.execute(delete(foreign_series).where(*this)).rowcount
