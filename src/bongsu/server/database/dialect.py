"""What differs between SQLite, PostgreSQL and Citus."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Insert, Row, Select, Table, bindparam, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

# Rows in one INSERT; few sizes, so that the statement cache of a driver (100 or 128) holds them all.
ROWS_PER_STATEMENT = (256, 64, 16, 4, 1)


def is_distributed(connection: Connection) -> bool:
    """Whether Citus distributes the metric tables (``database/distribution.py``).

    Looked up once for each connection to PostgreSQL: every statement is right in both cases, it only takes longer where
    another one would be better.
    """
    if connection.dialect.name != "postgresql":
        return False
    known = connection.info.get("distributed")
    if known is None:
        citus = connection.exec_driver_sql("SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL").scalar()
        found = "SELECT count(*) FROM pg_catalog.pg_dist_partition WHERE logicalrelid = to_regclass('frames')"
        known = connection.info["distributed"] = bool(citus and connection.exec_driver_sql(found).scalar())
    return bool(known)


def begin_everywhere(connection: Connection) -> None:
    """Has each node of Citus begin the transaction, which it would with the first statement that needs it: so that all
    of them show the state of this moment."""
    if is_distributed(connection):
        connection.exec_driver_sql("SELECT count(*) FROM quarantined_frames")


def insert_or_ignore(connection: Connection, table: Table) -> Insert:
    """An INSERT that leaves a row alone whose key is there already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def insert_many(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """Inserts the rows whose keys are not there yet. Returns how many; on Citus alone in one statement for many rows:
    one for each row would wait for its node."""
    if not is_distributed(connection):
        statement = insert_or_ignore(connection, table)
        return connection.execute(statement, [dict(zip(columns, row, strict=True)) for row in rows]).rowcount
    new = start = 0
    for size in ROWS_PER_STATEMENT:
        while len(rows) - start >= size:
            values = tuple(value for row in rows[start : start + size] for value in row)
            new += connection.exec_driver_sql(_values_text(table.name, tuple(columns), size), values).rowcount
            start += size
    return new


@cache
def _values_text(table: str, columns: tuple[str, ...], rows: int) -> str:
    width = len(columns)
    values = (", ".join(f"${row * width + place}" for place in range(1, width + 1)) for row in range(rows))
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({'), ('.join(values)}) ON CONFLICT DO NOTHING"  # noqa: S608


def copy_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool:
    """Inserts rows by COPY, in a transaction that has begun with another statement (PostgreSQL only). Returns False if
    the key of one of them is there already, or it failed in another way: the transaction must be rolled back.

    On Citus, a commit of 100 frames takes 110 us of CPU for each of them, half of it on the coordinator. INSERT takes
    200 with a list of values; with arrays, which the coordinator reads as a query, 3,000.
    """
    import asyncpg  # not needed on SQLite

    driver: Any = connection.connection.driver_connection
    try:
        await_only(driver.copy_records_to_table(table.name, records=rows, columns=columns))
    except (asyncpg.UniqueViolationError, asyncpg.InternalServerError):
        # Citus passes on what a node says at the end of a COPY, but not the code of the error. If it is another one,
        # whoever inserts the rows again is told.
        return False
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        gone = isinstance(error, (asyncpg.PostgresConnectionError, asyncpg.InterfaceError))
        raise DBAPIError("COPY", None, error, connection_invalidated=gone) from error
    return True


def delete_by_key(
    connection: Connection,
    table: Table,
    columns: Sequence[Column[Any]],
    keys: Sequence[Sequence[Any]],
    *where: ColumnElement[bool],
) -> int:
    """Deletes the rows with these values of ``columns``, as far as they match ``where``. Returns how many.

    SQLite scans the whole table for a list of tuples, so it gets a statement for each key: a look into the index.
    """
    if not keys:
        return 0
    if connection.dialect.name == "postgresql":
        return connection.execute(delete(table).where(tuple_(*columns).in_(keys), *where)).rowcount
    named = {f"key_{column.name}": column for column in columns}
    statement = delete(table).where(*(column == bindparam(name) for name, column in named.items()), *where)
    return connection.execute(statement, [dict(zip(named, key, strict=True)) for key in keys]).rowcount


def distinct(connection: Connection, *columns: Column[Any]) -> list[tuple[Any, ...]]:
    """The different values of the first columns of a key, in order; whole numbers from 0 on.

    A skip scan: one look into the index for each. On Citus, which would send each of them to all shards, one statement
    that reads the whole index of every shard.
    """
    query = select(*columns).order_by(*columns)
    if is_distributed(connection):
        return [tuple(row) for row in connection.execute(query.distinct())]
    found: list[tuple[Any, ...]] = []
    last: tuple[Any, ...] = (-1,) * len(columns)
    while (row := connection.execute(query.where(tuple_(*columns) > last).limit(1)).first()) is not None:
        last = tuple(row)
        found.append(last)
    return found


def page(
    connection: Connection, table: Table, columns: Sequence[Column[Any]], after: tuple[Any, ...] | None, limit: int
) -> Sequence[Row[Any]]:
    """The next ``limit`` rows in the order of the primary key, after a key; None: the first."""
    key = list(table.primary_key)
    where = [] if after is None else [tuple_(*key) > after]
    if is_distributed(connection):
        # Each shard would send so many rows, of 170 KB each; of keys that does not matter.
        keys = connection.execute(select(*key).where(*where).order_by(*key).limit(limit)).all()
        if not keys:
            return []
        where.append(tuple_(*key) <= tuple(keys[-1]))
    return connection.execute(select(*columns).where(*where).order_by(*key).limit(limit)).all()


def fetch_rows(connection: Connection, query: Select[Any], parameters: Mapping[str, int]) -> Sequence[Sequence[Any]]:
    """The rows of a SELECT of numbers, texts and bytes: a constant, of which all values are named parameters.

    On SQLite by the driver's own cursor: 15 us a query instead of 65, and a history of 20 servers makes 80 of these.
    """
    if connection.dialect.name == "postgresql":
        return connection.execute(query, parameters).all()
    text, names = _sqlite_text(query)
    cursor = connection.connection.cursor()
    try:
        cursor.execute(text, [parameters[name] for name in names])
        return cursor.fetchall()
    finally:
        cursor.close()


@cache
def _sqlite_text(query: Select[Any]) -> tuple[str, tuple[str, ...]]:
    compiled = query.compile(dialect=sqlite.dialect(paramstyle="qmark"))
    return str(compiled), tuple(compiled.positiontup or ())


class KeyedQuery:
    """A SELECT of the rows of one table for each of many layouts.

    A statement for each on SQLite, where a join with the list takes twice as long, since it sorts; one for all on
    PostgreSQL, where each would wait for the network. Citus sends it to all shards, unless it names the one server that
    all keys are of.

    ``columns`` and ``where``: SQL in which ``t`` is the table, ``{name}`` a column of the key, whose first are
    ``server_id`` and ``layout_id``, or one of ``parameters``; all of them are whole numbers.
    """

    def __init__(
        self, columns: str, table: str, where: str, order: str, *, key: Sequence[str], parameters: Sequence[str]
    ) -> None:
        of_key = "t.server_id = {server_id} AND t.layout_id = {layout_id} AND "
        numbered = {name: f"?{place}" for place, name in enumerate((*key, *parameters), 1)}
        sqlite = f"SELECT {columns} FROM {table} AS t WHERE {of_key}{where} ORDER BY {order}"  # noqa: S608
        self._sqlite = sqlite.format(**numbered)
        types = ["integer" if name == "server_id" else "bigint" for name in key]
        arrays = ", ".join(f"${place}::{type_}[]" for place, type_ in enumerate(types, 1))
        named = {name: f"w.{name}" for name in key}
        named |= {name: f"${place}::bigint" for place, name in enumerate(parameters, len(key) + 1)}
        postgres = (
            f"SELECT w.place - 1, {columns} "  # noqa: S608
            f"FROM unnest({arrays}) WITH ORDINALITY AS w({', '.join(key)}, place) "
            f"JOIN {table} AS t ON {of_key}{where}"
        )
        ordered = f" ORDER BY w.place, {order}"
        self._postgres = postgres.format(**named) + ordered
        self._one_server = f"{postgres.format(**named)} AND t.server_id = ${len(key) + len(parameters) + 1}{ordered}"

    def rows(
        self, connection: Connection, keys: Sequence[Sequence[int]], *parameters: int
    ) -> Iterator[tuple[int, Sequence[Sequence[Any]]]]:
        """The rows of each key that has some: its place, and they."""
        if connection.dialect.name == "postgresql":
            if keys:
                columns = [list(column) for column in zip(*keys, strict=True)]
                text, values = self._postgres, (*columns, *parameters)
                if is_distributed(connection) and len(set(columns[0])) == 1:
                    text, values = self._one_server, (*values, columns[0][0])
                found = connection.exec_driver_sql(text, values).all()
                for place, rows in groupby(found, itemgetter(0)):
                    yield place, [row[1:] for row in rows]
            return
        cursor = connection.connection.cursor()
        try:
            for place, key in enumerate(keys):
                rows = cursor.execute(self._sqlite, (*key, *parameters)).fetchall()
                if rows:
                    yield place, rows
        finally:
            cursor.close()
