"""Forgets layouts of which nothing is stored any more: no frame, block, rollup or frame in quarantine.

Runs once an hour, after ``storage/retention.py`` has deleted the last of them. A layout that comes back is stored anew:
its agent sends it again when the API server does not know it.

Layouts are found outside of transactions that write, and deleted by their keys if there is still nothing of them. Such
a transaction raises the revision of the servers first. So a push either stores its frames before, and the layout stays,
or its transaction finds another revision than its own and looks whether the layout is still there
(``storage/batches.py``).
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, exists, select

from bongsu.server.database.dialect import delete_by_key
from bongsu.server.database.revisions import SERVERS, bump_revision
from bongsu.server.database.tables import blocks, frames, layouts, quarantined_frames, rollups
from bongsu.server.job import Job
from bongsu.server.storage.foreign import forget_series
from bongsu.server.storage.layouts import LayoutKey

logger = logging.getLogger(__name__)

# Four looks into indexes for each: 2 ms.
LAYOUTS_PER_TRANSACTION = 100
PAUSE_SECONDS = 0.01


class LayoutRetention(Job):
    """Deletes unused layouts."""

    name = "layout-retention"
    every_seconds = 3_600

    async def run(self, stopping: asyncio.Event) -> None:
        unused = await self.database.read(unused_layouts)
        deleted = 0
        for first in range(0, len(unused), LAYOUTS_PER_TRANSACTION):
            if stopping.is_set():
                break
            some = unused[first : first + LAYOUTS_PER_TRANSACTION]
            deleted += await self.database.write(partial(forget_layouts, keys=some))
            await asyncio.sleep(PAUSE_SECONDS)
        if deleted:
            logger.info("%d layouts of which nothing is stored any more were forgotten", deleted)


def _is_unused() -> ColumnElement[bool]:
    return and_(
        *(
            ~exists().where(table.c.server_id == layouts.c.server_id, table.c.layout_id == layouts.c.layout_id)
            for table in (frames, blocks, rollups, quarantined_frames)
        )
    )


def unused_layouts(connection: Connection) -> list[LayoutKey]:
    """The layouts of which nothing is stored. Looks into indexes only: 1,000 layouts take 5 ms."""
    query = select(layouts.c.server_id, layouts.c.layout_id).where(_is_unused())
    return [(server_id, layout_id) for server_id, layout_id in connection.execute(query)]


def unused_among(connection: Connection, keys: Sequence[LayoutKey]) -> list[LayoutKey]:
    """Those of these layouts of which nothing is stored."""
    return [
        key
        for key in keys
        if connection.scalar(
            select(layouts.c.layout_id).where(
                layouts.c.server_id == key[0], layouts.c.layout_id == key[1], _is_unused()
            )
        )
        is not None
    ]


def forget_layouts(connection: Connection, keys: Sequence[LayoutKey]) -> int:
    """Deletes these layouts, if nothing is stored of them. Returns how many."""
    bump_revision(connection, SERVERS)
    unused = unused_among(connection, keys)
    for server_id, layout_id in unused:
        forget_series(connection, server_id, layout_id)
    return delete_by_key(connection, layouts, (layouts.c.server_id, layouts.c.layout_id), unused)
