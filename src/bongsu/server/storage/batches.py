"""Stores pushes: the layouts, frames and lists of many requests in one transaction.

Nothing is stored for a server that was deleted or retired, or for a layout that was forgotten, after the request was
checked: if the revision of the servers has risen since then, the transaction checks the request again. No such change
is committed between that and the end of the transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from sqlalchemy import Connection, select

from bongsu.core.errors import Conflict, Forbidden, Unauthenticated, UnknownLayouts
from bongsu.core.samples import Frame
from bongsu.core.series import Layout
from bongsu.server.database.revisions import REPORTED, SERVERS, bump_revision, hold_revision
from bongsu.server.database.tables import layouts, servers
from bongsu.server.storage.containers import StoredContainers, store_container_lists
from bongsu.server.storage.foreign import PartRow, SeriesRow, has_series, insert_parts, insert_series
from bongsu.server.storage.frames import FrameRow, insert_frames, insert_new_frames
from bongsu.server.storage.layouts import store_layout
from bongsu.server.storage.processes import StoredList, store_process_lists


@dataclass(slots=True)
class Batch:
    """One request's part of a group commit. ``revision``: of the servers, at which it was checked. ``values``: how many
    its frames or parts have. ``parts``, ``series``: foreign samples, and those of their series that may be new."""

    server_id: int
    frames: Sequence[Frame]
    layouts: Sequence[Layout] = ()
    process_lists: Sequence[StoredList] = ()
    revision: int = 0
    values: int = 0
    parts: Sequence[PartRow] = ()
    series: Sequence[SeriesRow] = ()
    container_lists: Sequence[StoredContainers] = ()


class ServerRetired(Forbidden):
    """This server is retired: its frames are accepted again when a person restores it."""

    code = "server_retired"


class UnknownSeries(Conflict):
    """Foreign series were forgotten: their samples must be sent again with them."""

    code = "unknown_series"


class SomeStoredAlready(Exception):
    """Some frames of the group were stored before, which is rare: roll back and count request by request."""


def store(connection: Connection, batches: Sequence[Batch], *, each: bool = False) -> list[int]:
    """Stores the batches. Returns the number of new frames in each; the others were stored before.

    Raises:
        SomeStoredAlready: not all frames are new, and ``each`` is False. The transaction must be rolled back.
        BongsuError: the server of a batch is deleted or retired, or one of its layouts is not stored any more.
    """
    revision = hold_revision(connection, SERVERS)
    doubtful = [batch for batch in batches if batch.revision != revision]
    if doubtful:
        _check_again(connection, doubtful)
    # In the order of the keys, so that two API servers never wait for each other.
    ordered = sorted(batches, key=attrgetter("server_id"))
    with_layouts = [batch for batch in ordered if batch.layouts]
    for batch in with_layouts:
        for layout in batch.layouts:
            store_layout(connection, batch.server_id, layout)
    if with_layouts:
        bump_revision(connection, REPORTED)
    lists = [(batch.server_id, process_list) for batch in ordered for process_list in batch.process_lists]
    if lists:
        store_process_lists(connection, lists)
    containers = [(batch.server_id, one) for batch in ordered for one in batch.container_lists]
    if containers:
        store_container_lists(connection, containers)
    with_parts = [batch for batch in ordered if batch.parts]
    if with_parts:
        insert_series(connection, [row for batch in with_parts for row in batch.series])
        insert_parts(connection, [row for batch in with_parts for row in batch.parts])
    if each:
        new = {id(batch): insert_frames(connection, _rows([batch])) for batch in ordered}
        return [new[id(batch)] for batch in batches]
    if not insert_new_frames(connection, _rows(batches)):
        raise SomeStoredAlready
    return [len(batch.frames) for batch in batches]


def _check_again(connection: Connection, batches: Sequence[Batch]) -> None:
    server_ids = {batch.server_id for batch in batches}
    query = select(servers.c.id, servers.c.retired_ms).where(servers.c.id.in_(server_ids))
    retired = {server_id: retired_ms > 0 for server_id, retired_ms in connection.execute(query)}
    keys = select(layouts.c.server_id, layouts.c.layout_id).where(layouts.c.server_id.in_(server_ids))
    stored = {(server_id, layout_id) for server_id, layout_id in connection.execute(keys)}
    for batch in batches:
        if batch.server_id not in retired:
            raise Unauthenticated("This server was deleted.", code="invalid_token", field="Authorization")
        if retired[batch.server_id]:
            raise ServerRetired
        sent = {layout.id for layout in batch.layouts}
        used = dict.fromkeys(frame.layout_id for frame in batch.frames if frame.layout_id not in sent)
        unknown = [layout_id for layout_id in used if (batch.server_id, layout_id) not in stored]
        if unknown:
            raise UnknownLayouts(unknown, field="frames")
        if batch.parts and not has_series(connection, batch.server_id, batch.parts, batch.series):
            raise UnknownSeries


def _rows(batches: Sequence[Batch]) -> list[FrameRow]:
    return [
        (batch.server_id, frame.layout_id, frame.time_ms, frame.values) for batch in batches for frame in batch.frames
    ]
