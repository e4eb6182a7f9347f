"""Verifies every stored byte: checksums of blocks and rollups, lengths of frames, and SQLite's own structure."""

import datetime as dt
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Table, select

from bongsu.server.database.database import Database
from bongsu.server.database.dialect import page
from bongsu.server.database.tables import blocks, layouts, rollups
from bongsu.server.storage.blocks import CorruptBlock, Head
from bongsu.server.storage.frames import frame_lengths
from bongsu.server.storage.layouts import decode_series
from bongsu.server.storage.quarantine import quarantined

# Rows of blocks read at a time: some 20 MB.
PAGE = 100

Row = tuple[Any, ...]


async def check_database(database: Database) -> AsyncIterator[str]:
    """Yields every problem as a line of text."""
    for problem in await database.read(_structure):
        yield problem
    widths, problems = await database.read(_layouts)
    for problem in problems:
        yield problem
    for problem in await database.read(lambda connection: _frames(connection, widths)):
        yield problem
    for server_id, layout_id, count in await database.read(quarantined):
        yield f"server {server_id}: {count} frames of layout {layout_id} are in quarantine"
    for table, what in ((blocks, "block"), (rollups, "rollup")):
        last: Row | None = None
        while rows := await database.read(partial(_page, table=table, last=last)):
            for problem in _damaged(table, what, rows, widths):
                yield problem
            last = rows[-1][: len(table.primary_key)]


def _structure(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    answers = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(20)")]
    return [] if answers == ["ok"] else [f"SQLite: {answer}" for answer in answers]


def _layouts(connection: Connection) -> tuple[dict[tuple[int, int], int], list[str]]:
    widths, problems = {}, []
    for server_id, layout_id, stored in connection.execute(select(layouts)):
        try:
            series = decode_series(stored)
        except Exception:
            problems.append(f"server {server_id}: layout {layout_id} cannot be read")
            continue
        widths[server_id, layout_id] = len(series)
    return widths, problems


def _frames(connection: Connection, widths: dict[tuple[int, int], int]) -> list[str]:
    problems = []
    for server_id, layout_id, size, count in frame_lengths(connection):
        width = widths.get((server_id, layout_id))
        if width is None:
            problems.append(f"server {server_id}: {count} frames of layout {layout_id}, which does not exist")
        elif size != 8 * width:
            problems.append(
                f"server {server_id}: {count} frames of layout {layout_id} have {size} bytes instead of {8 * width}"
            )
    return problems


def _page(connection: Connection, table: Table, last: Row | None) -> Sequence[Row]:
    columns = [*table.primary_key, table.c.checksum, table.c.head, table.c.data]
    return [tuple(row) for row in page(connection, table, columns, last, PAGE)]


def _damaged(table: Table, what: str, rows: Sequence[Row], widths: dict[tuple[int, int], int]) -> Iterator[str]:
    extra = 0 if table is blocks else 1  # the column of a rollup that all series share
    for *key, checksum, head, data in rows:
        server_id, layout_id, start_ms = key[0], key[1], key[-1]
        moment = dt.datetime.fromtimestamp(start_ms / 1000, dt.UTC).isoformat(timespec="seconds")
        name = f"server {server_id}: the {what} of layout {layout_id} at {moment} ({start_ms})"
        try:
            opened = Head.open(head, checksum)
            opened.check(data)
        except CorruptBlock:
            yield f"{name} is corrupt"
            continue
        width = widths.get((server_id, layout_id))
        if width is None:
            yield f"{name} belongs to a layout that does not exist"
        elif opened.width != width + extra:
            yield f"{name} has {opened.width - extra} series, its layout has {width}"
