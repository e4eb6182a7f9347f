"""Statements on the table ``process_lists``.

A list is stored as the zlib of a JSON list of columns, in the order of ``Process``: ``[[pid, ...], [name, ...], ...]``.
By column, similar names are neighbours and compress well.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from bongsu.core.samples import Process, ProcessList
from bongsu.server.database.dialect import distinct, insert_many
from bongsu.server.database.tables import process_lists

StoredList = tuple[int, bytes]  # time in ms, data


@dataclass(frozen=True, slots=True)
class ListAt:
    """The list at or before a time (None if there is none), and the times of the lists before and after it."""

    processes: ProcessList | None
    before_ms: int | None
    after_ms: int | None


def encode_processes(processes: Sequence[Process]) -> bytes:
    """A list as it is stored."""
    columns = list(zip(*processes, strict=True))
    return zlib.compress(json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode(), 9)


def decode_processes(stored: bytes) -> list[Process]:
    """The reverse of ``encode_processes``."""
    return [Process(*row) for row in zip(*json.loads(zlib.decompress(stored)), strict=True)]


def encode_lists(lists: Sequence[ProcessList]) -> list[StoredList]:
    """Lists as they are stored."""
    return [(process_list.time_ms, encode_processes(process_list.processes)) for process_list in lists]


def store_process_lists(connection: Connection, lists: Sequence[tuple[int, StoredList]]) -> None:
    """Stores the lists, each with the id of its server. Of two lists with the same time, the first stays."""
    rows = [(server_id, time_ms, data) for server_id, (time_ms, data) in lists]
    insert_many(connection, process_lists, ("server_id", "time_ms", "data"), rows)


def processes_at(connection: Connection, server_id: int, at_ms: int) -> ListAt:
    """The processes of a server at ``at_ms``."""
    of_server = process_lists.c.server_id == server_id
    time_ms = process_lists.c.time_ms
    row = connection.execute(
        select(time_ms, process_lists.c.data).where(of_server, time_ms <= at_ms).order_by(time_ms.desc()).limit(1)
    ).first()
    after_ms = connection.scalar(select(time_ms).where(of_server, time_ms > at_ms).order_by(time_ms).limit(1))
    if row is None:
        return ListAt(None, None, after_ms)
    before_ms = connection.scalar(select(time_ms).where(of_server, time_ms < row[0]).order_by(time_ms.desc()).limit(1))
    return ListAt(ProcessList(row[0], decode_processes(row[1])), before_ms, after_ms)


def list_owners(connection: Connection) -> list[int]:
    """The servers that have lists."""
    return [server_id for (server_id,) in distinct(connection, process_lists.c.server_id)]


def list_times_before(connection: Connection, server_id: int, before_ms: int, limit: int) -> list[int]:
    """Times of the first ``limit`` lists of a server that are older than ``before_ms``."""
    time_ms = process_lists.c.time_ms
    query = select(time_ms).where(process_lists.c.server_id == server_id, time_ms < before_ms)
    return list(connection.scalars(query.order_by(time_ms).limit(limit)))


def delete_lists(connection: Connection, server_id: int, last_ms: int) -> int:
    """Deletes the lists of a server up to ``last_ms``. Returns how many."""
    old = (process_lists.c.server_id == server_id, process_lists.c.time_ms <= last_ms)
    return connection.execute(delete(process_lists).where(*old)).rowcount
