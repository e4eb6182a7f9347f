"""Copies a database into another one, of any engine, table by table in the order of the primary keys.

A copy that was interrupted continues after the last row that arrived. The source must not change meanwhile.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Connection, Integer, Table, func, select, text

from bongsu.core.errors import BongsuError
from bongsu.server.database.database import Database, Reader
from bongsu.server.database.dialect import insert_or_ignore, page
from bongsu.server.database.migrations import current_revision, revisions, upgrade
from bongsu.server.database.tables import metadata

# Rows in a transaction: the block of a span has 170 KB.
_ROWS = {"blocks": 50, "rollups": 50}
_OTHER_ROWS = 500

Progress = Callable[[str, int, int], None]  # table, rows done, rows in all


class CopyFailed(BongsuError):
    """The copy differs from its source."""

    code = "copy_failed"


async def copy_database(source: Reader, target: Database, progress: Progress) -> int:
    """Copies all tables. Returns the number of rows that were copied.

    Raises:
        CopyFailed: the source has another version, or the target already held rows that the source does not have.
    """
    revision = await source.read(current_revision)
    if revision != revisions()[-1]:
        raise CopyFailed(
            f"The source has revision {revision}, this version needs {revisions()[-1]}: run bongsu db upgrade first."
        )
    await target.write(upgrade, patient=True)
    copied = 0
    for table in metadata.sorted_tables:
        total = await source.read(partial(_count, table=table))
        done = await target.read(partial(_count, table=table))
        last = await target.read(partial(_last, table=table))
        progress(table.name, done, total)
        while rows := await source.read(partial(_page, table=table, last=last)):
            await target.write(partial(_insert, table=table, rows=rows), patient=True)
            last = tuple(rows[-1][column.key] for column in table.primary_key)
            done += len(rows)
            copied += len(rows)
            progress(table.name, done, total)
        stored = await target.read(partial(_count, table=table))
        if stored != total:
            raise CopyFailed(
                f"{table.name}: {total} rows in the source, {stored} in the target. Copy into an empty database."
            )
    last_ids = await source.read(_last_ids)
    await target.write(partial(_continue_ids, last_ids=last_ids))
    return copied


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def _last(connection: Connection, table: Table) -> tuple[Any, ...] | None:
    key = list(table.primary_key)
    row = connection.execute(select(*key).order_by(*(column.desc() for column in key)).limit(1)).first()
    return None if row is None else tuple(row)


def _page(connection: Connection, table: Table, last: tuple[Any, ...] | None) -> list[dict[str, Any]]:
    rows = page(connection, table, list(table.columns), last, _ROWS.get(table.name, _OTHER_ROWS))
    return [dict(row._mapping) for row in rows]


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    connection.execute(insert_or_ignore(connection, table), rows)


def _with_ids() -> list[tuple[str, str]]:
    """(table, column) of the tables whose ids the database assigns."""
    keys = [(table.name, *table.primary_key) for table in metadata.sorted_tables]
    return [(key[0], key[1].name) for key in keys if len(key) == 2 and isinstance(key[1].type, Integer)]


def _last_ids(connection: Connection) -> dict[str, int]:
    """Table -> the last id that the database assigned, perhaps to a row that was deleted since."""
    if connection.dialect.name == "sqlite":
        return {row.name: row.seq for row in connection.execute(text("SELECT name, seq FROM sqlite_sequence"))}
    last: dict[str, int] = {}
    for table, column in _with_ids():
        sequence = connection.scalar(text(f"SELECT pg_get_serial_sequence('{table}', '{column}')"))
        if sequence is not None:
            query = text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")  # noqa: S608
            last[table] = connection.scalar(query) or 0
    return last


def _continue_ids(connection: Connection, last_ids: dict[str, int]) -> None:
    """New ids begin after all that the source assigned: others may mention the ids of deleted rows."""
    for table, column in _with_ids():
        last = last_ids.get(table, 0)
        if connection.dialect.name == "sqlite":
            # Only of tables whose ids are never reused.
            raised = text("UPDATE sqlite_sequence SET seq = max(seq, :last) WHERE name = :name")
            if not connection.execute(raised, {"last": last, "name": table}).rowcount and table in _never_reused():
                added = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)")
                connection.execute(added, {"last": last, "name": table})
            continue
        # The sequence does not know the rows that were copied with their ids.
        connection.execute(
            text(
                f"SELECT setval(sequence, next.last) FROM pg_get_serial_sequence('{table}', '{column}') AS sequence, "  # noqa: S608
                f"(SELECT greatest(:last, (SELECT max({column}) FROM {table})) AS last) AS next "
                "WHERE sequence IS NOT NULL AND next.last > 0"
            ),
            {"last": last},
        )


def _never_reused() -> set[str]:
    return {table.name for table in metadata.sorted_tables if table.dialect_options["sqlite"]["autoincrement"]}
