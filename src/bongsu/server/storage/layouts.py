"""Statements on the table ``layouts``. Equal series and layouts of many servers share one object in memory."""

import json
import logging
import zlib
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from weakref import WeakValueDictionary

from sqlalchemy import Connection, select, update

from bongsu.core.errors import Conflict
from bongsu.core.series import Kind, Layout, Series
from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import layouts

logger = logging.getLogger(__name__)

LayoutKey = tuple[int, int]  # server id, layout id

# 1,000 servers with 150 series each have most of them in common; without sharing, their series alone take 45 MB.
_series: dict[Series, Series] = {}
_layouts: WeakValueDictionary[tuple[int, tuple[Series, ...]], Layout] = WeakValueDictionary()
# Series of containers come and go for ever. When there are so many, sharing starts again.
MOST_SHARED_SERIES = 200_000


def intern_layout(layout: Layout) -> Layout:
    """The shared object with this content."""
    shared = _layouts.get((layout.id, layout.series))
    if shared is None:
        if len(_series) > MOST_SHARED_SERIES:
            _series.clear()
        shared = Layout(layout.id, tuple(_series.setdefault(series, series) for series in layout.series))
        _layouts[shared.id, shared.series] = shared
    return shared


@lru_cache(64)
def encode_series(layout: tuple[Series, ...]) -> bytes:
    """zlib of the JSON list ``[metric, [[label, value], ...], unit, kind]``."""
    rows = [[series.metric, series.labels, series.unit, series.kind.value] for series in layout]
    return zlib.compress(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode(), 9)


def decode_series(stored: bytes) -> tuple[Series, ...]:
    """The reverse of ``encode_series``."""
    return tuple(
        Series(metric, tuple((name, value) for name, value in labels), unit, Kind(kind))
        for metric, labels, unit, kind in json.loads(zlib.decompress(stored))
    )


def store_layout(connection: Connection, server_id: int, layout: Layout) -> None:
    """Stores a layout; storing the same content again changes nothing. Content that cannot be read is replaced, and so
    is a layout of which fewer series have a name.

    Raises:
        Conflict: another API server stored this id with different series.
    """
    packed = encode_series(layout.series)
    row = {"server_id": server_id, "layout_id": layout.id, "series": packed}
    if connection.execute(insert_or_ignore(connection, layouts).values(row)).rowcount == 1:
        return
    this = (layouts.c.server_id == server_id, layouts.c.layout_id == layout.id)
    stored = connection.scalar(select(layouts.c.series).where(*this))
    if stored is None or stored == packed:
        return
    series = _readable(server_id, layout.id, stored)
    known = None if series is None else Layout(layout.id, series)
    if known is None or (known.agrees_with(layout) and len(known.named) < len(layout.named)):
        connection.execute(update(layouts).where(*this).values(series=packed))
    elif not known.agrees_with(layout):
        raise Conflict(
            f"Layout {layout.id} is stored with different series; different content needs a different id.",
            code="layout_conflict",
            field="layouts",
        )


def replace_layout(connection: Connection, server_id: int, before: Layout | None, after: Layout) -> bool:
    """Stores a layout of foreign series that is new (``before`` None) or has more of them than before. Returns False,
    and changes nothing, if another worker has stored something else."""
    packed = encode_series(after.series)
    if before is None:
        row = {"server_id": server_id, "layout_id": after.id, "series": packed}
        return connection.execute(insert_or_ignore(connection, layouts).values(row)).rowcount == 1
    this = (layouts.c.server_id == server_id, layouts.c.layout_id == after.id)
    stored = connection.scalar(select(layouts.c.series).where(*this))
    # Compared by content: another version of zlib packs it otherwise.
    if stored is None or decode_series(stored) != before.series:
        return False
    unchanged = layouts.c.series == stored
    return connection.execute(update(layouts).where(*this, unchanged).values(series=packed)).rowcount == 1


def has_layouts(connection: Connection, keys: Sequence[LayoutKey]) -> bool:
    """Whether all of these layouts are stored."""
    query = select(layouts.c.layout_id)
    return all(
        connection.execute(
            query.where(layouts.c.server_id == server_id, layouts.c.layout_id == layout_id).limit(1)
        ).first()
        for server_id, layout_id in keys
    )


def _readable(server_id: int, layout_id: int, stored: bytes) -> tuple[Series, ...] | None:
    """The series of a stored layout; None, and a line in the log, if the row is damaged."""
    try:
        return decode_series(stored)
    except Exception:
        logger.error("server %d: layout %d cannot be read; its agent will send it again", server_id, layout_id)
        return None


def load_layout(connection: Connection, server_id: int, layout_id: int) -> Layout | None:
    """One layout of one server; None if it does not exist."""
    query = select(layouts.c.series).where(layouts.c.server_id == server_id, layouts.c.layout_id == layout_id)
    stored = connection.scalar(query)
    return None if stored is None else intern_layout(Layout(layout_id, decode_series(stored)))


def load_layouts(connection: Connection, server_id: int | None = None) -> dict[int, list[Layout]]:
    """All layouts by server id, or those of one server. Those that cannot be read are left out."""
    query = select(layouts.c.server_id, layouts.c.layout_id, layouts.c.series)
    if server_id is not None:
        query = query.where(layouts.c.server_id == server_id)
    by_server: dict[int, list[Layout]] = {}
    decoded: dict[tuple[int, bytes], Layout] = {}
    for owner, layout_id, stored in connection.execute(query):
        key = (layout_id, stored)
        if key not in decoded:
            series = _readable(owner, layout_id, stored)
            if series is None:
                continue
            decoded[key] = intern_layout(Layout(layout_id, series))
        by_server.setdefault(owner, []).append(decoded[key])
    return by_server


def load_some_layouts(
    connection: Connection, keys: Sequence[LayoutKey]
) -> tuple[dict[LayoutKey, Layout], dict[LayoutKey, str]]:
    """These layouts, as far as they exist, and why some of them cannot be read."""
    by_server: dict[int, list[int]] = defaultdict(list)
    for server_id, layout_id in keys:
        by_server[server_id].append(layout_id)
    loaded: dict[LayoutKey, Layout] = {}
    broken: dict[LayoutKey, str] = {}
    decoded: dict[tuple[int, bytes], Layout] = {}
    for server_id, layout_ids in by_server.items():
        query = select(layouts.c.layout_id, layouts.c.series).where(
            layouts.c.server_id == server_id, layouts.c.layout_id.in_(layout_ids)
        )
        for layout_id, stored in connection.execute(query):
            try:
                if (layout_id, stored) not in decoded:
                    decoded[layout_id, stored] = intern_layout(Layout(layout_id, decode_series(stored)))
                loaded[server_id, layout_id] = decoded[layout_id, stored]
            except (zlib.error, ValueError, TypeError) as error:
                broken[server_id, layout_id] = type(error).__name__
    return loaded, broken


def layout_keys(connection: Connection) -> list[LayoutKey]:
    """The layouts of every server. Reads the index only: 1,000 in 1 ms."""
    query = select(layouts.c.server_id, layouts.c.layout_id)
    return [(server_id, layout_id) for server_id, layout_id in connection.execute(query)]
