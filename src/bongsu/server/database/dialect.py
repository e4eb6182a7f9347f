"""What differs between SQLite and PostgreSQL."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Insert, Select, Table, bindparam, delete, tuple_
from sqlalchemy.dialects import postgresql, sqlite


def insert_or_ignore(connection: Connection, table: Table) -> Insert:
    """An INSERT that leaves a row alone whose key is there already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


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
    PostgreSQL, where each would wait for the network.

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
            f"JOIN {table} AS t ON {of_key}{where} ORDER BY w.place, {order}"
        )
        self._postgres = postgres.format(**named)

    def rows(
        self, connection: Connection, keys: Sequence[Sequence[int]], *parameters: int
    ) -> Iterator[tuple[int, Sequence[Sequence[Any]]]]:
        """The rows of each key that has some: its place, and they."""
        if connection.dialect.name == "postgresql":
            if keys:
                columns = [list(column) for column in zip(*keys, strict=True)]
                found = connection.exec_driver_sql(self._postgres, (*columns, *parameters)).all()
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
