"""Container lists as they are stored: ``[containers by column, events by column, events dropped]``.

0.8 KB for 20 containers, so 1.1 MB for a day of lists each minute; 1,000 containers that come and go in it add 0.1 MB.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from bongsu.core.samples import Container, ContainerEvent, ContainerList
from bongsu.server.database.dialect import insert_many
from bongsu.server.database.tables import container_lists
from bongsu.server.storage.lists import columns, compress, decompress, stored_at

StoredContainers = tuple[int, int, bytes]  # time in ms, number of events, data
# Of a database driver's variables in one statement.
SERVERS_PER_READ = 500


@dataclass(frozen=True, slots=True)
class ContainersAt:
    """The list at or before a time (None if there is none), and the times of the lists before and after it."""

    containers: ContainerList | None
    before_ms: int | None
    after_ms: int | None


def encode_container_lists(lists: Sequence[ContainerList]) -> list[StoredContainers]:
    """Lists as they are stored."""
    return [
        (
            one.time_ms,
            len(one.events),
            compress([columns(one.containers), columns(one.events), one.events_dropped]),
        )
        for one in lists
    ]


def decode_container_list(time_ms: int, stored: bytes) -> ContainerList:
    """The reverse."""
    containers, events, dropped = decompress(stored)
    return ContainerList(
        time_ms,
        [Container(*row) for row in columns(containers)],
        [ContainerEvent(*row) for row in columns(events)],
        dropped,
    )


def store_container_lists(connection: Connection, lists: Sequence[tuple[int, StoredContainers]]) -> None:
    """Stores the lists, each with the id of its server. Of two lists with the same time, the first stays."""
    rows = [(server_id, *stored) for server_id, stored in lists]
    insert_many(connection, container_lists, ("server_id", "time_ms", "events", "data"), rows)


def containers_at(connection: Connection, server_id: int, at_ms: int) -> ContainersAt:
    """The containers of a server at ``at_ms``."""
    found = stored_at(connection, container_lists, server_id, at_ms)
    listed = None if found.time_ms is None else decode_container_list(found.time_ms, found.data)
    return ContainersAt(listed, found.before_ms, found.after_ms)


def lists_between(connection: Connection, server_id: int, start_ms: int, end_ms: int) -> list[ContainerList]:
    """The lists of a server in ``[start_ms, end_ms)``, oldest first."""
    lists = container_lists.c
    query = (
        select(lists.time_ms, lists.data)
        .where(lists.server_id == server_id, lists.time_ms >= start_ms, lists.time_ms < end_ms)
        .order_by(lists.time_ms)
    )
    return [decode_container_list(*row) for row in connection.execute(query)]


def newest_lists(
    connection: Connection, server_ids: Sequence[int], start_ms: int, end_ms: int
) -> dict[int, ContainerList]:
    """Server -> its newest list in ``[start_ms, end_ms)``, of the servers that have one."""
    lists = container_lists.c
    found = {}
    for first in range(0, len(server_ids), SERVERS_PER_READ):
        newest = (
            select(lists.server_id, func.max(lists.time_ms).label("time_ms"))
            .where(lists.server_id.in_(server_ids[first : first + SERVERS_PER_READ]))
            .where(lists.time_ms >= start_ms, lists.time_ms < end_ms)
            .group_by(lists.server_id)
            .subquery()
        )
        same = (newest.c.server_id == lists.server_id) & (newest.c.time_ms == lists.time_ms)
        query = select(lists.server_id, lists.time_ms, lists.data).join(newest, same)
        for server_id, time_ms, data in connection.execute(query):
            found[server_id] = decode_container_list(time_ms, data)
    return found


def lists_with_events(
    connection: Connection, server_id: int, start_ms: int, end_ms: int, slack_ms: int
) -> Iterator[ContainerList]:
    """The lists of a server that tell what happened in ``[start_ms, end_ms)``, newest first: since the list before, at
    most ``slack_ms`` earlier."""
    lists = container_lists.c
    query = (
        select(lists.time_ms, lists.data)
        .where(lists.server_id == server_id, lists.time_ms >= start_ms, lists.time_ms < end_ms + slack_ms)
        .where(lists.events > 0)
        .order_by(lists.time_ms.desc())
    )
    for time_ms, data in connection.execute(query):
        yield decode_container_list(time_ms, data)
