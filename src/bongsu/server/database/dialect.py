"""What differs between SQLite and PostgreSQL."""

from collections.abc import Mapping, Sequence
from functools import cache
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
