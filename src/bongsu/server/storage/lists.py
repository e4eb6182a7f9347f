"""Statements on the tables of lists, ``process_lists`` and ``container_lists``: a row of each server and time.

``data`` is the zlib of a JSON list of columns. By column, similar texts are neighbours and compress well.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, select

from bongsu.server.database.dialect import distinct


@dataclass(frozen=True, slots=True)
class StoredAt:
    """The list at or before a time (None if there is none), and the times of the lists before and after it."""

    time_ms: int | None
    data: bytes
    before_ms: int | None
    after_ms: int | None


def compress(content: Any) -> bytes:
    """Content of JSON as it is stored."""
    return zlib.compress(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), 9)


def decompress(stored: bytes) -> Any:
    """The reverse of ``compress``."""
    return json.loads(zlib.decompress(stored))


def columns(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """The columns of rows, and the rows of columns."""
    return list(zip(*rows, strict=True))


def stored_at(connection: Connection, table: Table, server_id: int, at_ms: int) -> StoredAt:
    """The list of a server at ``at_ms``."""
    of_server = table.c.server_id == server_id
    time_ms = table.c.time_ms
    row = connection.execute(
        select(time_ms, table.c.data).where(of_server, time_ms <= at_ms).order_by(time_ms.desc()).limit(1)
    ).first()
    after_ms = connection.scalar(select(time_ms).where(of_server, time_ms > at_ms).order_by(time_ms).limit(1))
    if row is None:
        return StoredAt(None, b"", None, after_ms)
    before_ms = connection.scalar(select(time_ms).where(of_server, time_ms < row[0]).order_by(time_ms.desc()).limit(1))
    return StoredAt(row[0], row[1], before_ms, after_ms)


def list_owners(connection: Connection, table: Table) -> list[int]:
    """The servers that have lists."""
    return [server_id for (server_id,) in distinct(connection, table.c.server_id)]


def list_times_before(connection: Connection, table: Table, server_id: int, before_ms: int, limit: int) -> list[int]:
    """Times of the first ``limit`` lists of a server that are older than ``before_ms``."""
    query = select(table.c.time_ms).where(table.c.server_id == server_id, table.c.time_ms < before_ms)
    return list(connection.scalars(query.order_by(table.c.time_ms).limit(limit)))


def delete_lists(connection: Connection, table: Table, server_id: int, last_ms: int) -> int:
    """Deletes the lists of a server up to ``last_ms``. Returns how many."""
    old = (table.c.server_id == server_id, table.c.time_ms <= last_ms)
    return connection.execute(delete(table).where(*old)).rowcount
