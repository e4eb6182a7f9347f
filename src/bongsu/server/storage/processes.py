"""Process lists as they are stored: ``[[pid, ...], [name, ...], ...]``, in the order of ``Process``."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from bongsu.core.samples import Process, ProcessList
from bongsu.server.database.dialect import insert_many
from bongsu.server.database.tables import process_lists
from bongsu.server.storage.lists import columns, compress, decompress, stored_at

StoredList = tuple[int, bytes]  # time in ms, data


@dataclass(frozen=True, slots=True)
class ListAt:
    """The list at or before a time (None if there is none), and the times of the lists before and after it."""

    processes: ProcessList | None
    before_ms: int | None
    after_ms: int | None


def encode_processes(processes: Sequence[Process]) -> bytes:
    """A list as it is stored."""
    return compress(columns(processes))


def decode_processes(stored: bytes) -> list[Process]:
    """The reverse of ``encode_processes``."""
    return [Process(*row) for row in columns(decompress(stored))]


def encode_lists(lists: Sequence[ProcessList]) -> list[StoredList]:
    """Lists as they are stored."""
    return [(process_list.time_ms, encode_processes(process_list.processes)) for process_list in lists]


def store_process_lists(connection: Connection, lists: Sequence[tuple[int, StoredList]]) -> None:
    """Stores the lists, each with the id of its server. Of two lists with the same time, the first stays."""
    rows = [(server_id, time_ms, data) for server_id, (time_ms, data) in lists]
    insert_many(connection, process_lists, ("server_id", "time_ms", "data"), rows)


def processes_at(connection: Connection, server_id: int, at_ms: int) -> ListAt:
    """The processes of a server at ``at_ms``."""
    found = stored_at(connection, process_lists, server_id, at_ms)
    listed = None if found.time_ms is None else ProcessList(found.time_ms, decode_processes(found.data))
    return ListAt(listed, found.before_ms, found.after_ms)
