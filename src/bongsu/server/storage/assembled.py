"""Joins assembled frames with what is stored of their layouts, and writes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection

from bongsu.arrays import Flags
from bongsu.core.samples import Frame
from bongsu.core.series import Layout
from bongsu.server.database.revisions import REPORTED, SERVERS, bump_revision, hold_revision
from bongsu.server.storage.archive import BlockInfo, StoredBlock, blocks_between, infos_between, make_block
from bongsu.server.storage.assembly import Bits, Rows, merged
from bongsu.server.storage.blocks import CorruptBlock, encode_block
from bongsu.server.storage.compactor import SpanChanged, replace_blocks
from bongsu.server.storage.foreign import Part, delete_parts, store_places
from bongsu.server.storage.frames import FrameRow, frames_between, insert_new_frames, replace_frame
from bongsu.server.storage.layouts import LayoutKey, has_layouts, replace_layout
from bongsu.server.storage.places import Given


class Changed(Exception):
    """What the frames were made for has changed meanwhile: read it again. The transaction must be rolled back."""


@dataclass(frozen=True, slots=True)
class Present:
    """What is stored of one layout at the times of new rows: its frames there, and the blocks that may hold some."""

    frames: list[Frame]
    blocks: list[StoredBlock]


@dataclass(slots=True)
class Joined:
    """What to write of one layout: new frames, frames with more values than before, and blocks that have more values
    (the old one first). ``infos``: the blocks that it was computed with."""

    start_ms: int
    end_ms: int
    infos: list[BlockInfo]
    frames: list[FrameRow] = field(default_factory=list)
    replaced: list[tuple[Frame, bytes]] = field(default_factory=list)
    blocks: list[tuple[StoredBlock, StoredBlock]] = field(default_factory=list)
    differing: int = 0


def read_present(connection: Connection, key: LayoutKey, rows: Rows) -> Present:
    """What is stored of a layout at the times of the rows. Of nearly all rows, which are new, that is nothing."""
    start_ms, end_ms = int(rows.times[0]), int(rows.times[-1]) + 1
    return Present(frames_between(connection, key, start_ms, end_ms), blocks_between(connection, key, start_ms, end_ms))


def join(key: LayoutKey, rows: Rows, present: Present) -> Joined:
    """Puts new rows beside, or into, what is stored. A block that cannot be read stays as it is."""
    infos = [block.info for block in present.blocks]
    result = Joined(int(rows.times[0]), int(rows.times[-1]) + 1, infos)
    left = np.ones(len(rows.times), bool)
    for block in present.blocks:
        left &= ~_join_block(key, rows, block, result)
    row_of = {time_ms: row for row, time_ms in enumerate(rows.times.tolist())}
    for frame in present.frames:
        row = row_of.get(frame.time_ms)
        if row is None or not left[row] or len(frame.values) != 8 * rows.bits.shape[1]:
            continue
        left[row] = False
        both, differing = merged(np.frombuffer(frame.values, "<i8"), rows.bits[row])
        result.differing += differing
        after = _packed(both)
        if after != frame.values:
            result.replaced.append((frame, after))
    for new in np.flatnonzero(left).tolist():
        result.frames.append((*key, int(rows.times[new]), _packed(rows.bits[new])))
    return result


def _join_block(key: LayoutKey, rows: Rows, block: StoredBlock, result: Joined) -> Flags:
    """Puts the rows that a block has the times of into it. Returns which of the rows that are."""
    try:
        head = block.opened()
        inside = np.isin(rows.times, head.times)
        if not inside.any():
            return inside
        stored = np.ascontiguousarray(head.columns(block.data, range(head.width))).view(np.int64)
    except CorruptBlock:
        return np.zeros(len(rows.times), bool)
    places = np.searchsorted(head.times, rows.times[inside])
    both, differing = merged(stored[places], rows.bits[inside])
    result.differing += differing
    if not np.array_equal(both, stored[places]):
        stored[places] = both
        packed = encode_block(head.times, stored.view(np.float64))
        info = block.info
        result.blocks.append((block, make_block(key, info.start_ms, info.end_ms, info.frames, packed, rolled=False)))
    return inside


def _packed(bits: Bits) -> bytes:
    return bits.astype("<i8").tobytes()


def store_assembled(
    connection: Connection,
    parts: Sequence[Part],
    given: Given,
    before: Mapping[int, Layout],
    pending: Mapping[LayoutKey, Joined],
) -> None:
    """Writes frames, blocks, places and layouts (``before``: by id, what was read of them), and deletes the parts.

    Raises:
        Changed: something of it has changed since it was read.
    """
    server_id = parts[0].server_id
    # No layout is forgotten, and no server deleted, from here to the end of the transaction.
    hold_revision(connection, SERVERS)
    if delete_parts(connection, [part.key for part in parts]) != len(parts):
        raise Changed
    for layout in given.changed.values():
        if not replace_layout(connection, server_id, before.get(layout.id), layout):
            raise Changed
    if not has_layouts(connection, [*pending]):
        raise Changed
    if store_places(connection, server_id, given.places) != len(given.places):
        raise Changed
    for key, joined in pending.items():
        if infos_between(connection, key, joined.start_ms, joined.end_ms) != joined.infos:
            raise Changed
        for frame, after in joined.replaced:
            if not replace_frame(connection, server_id, frame, after):
                raise Changed
        try:
            replace_blocks(connection, [old for old, _ in joined.blocks], [new for _, new in joined.blocks], ())
        except SpanChanged:
            raise Changed from None
    rows = [row for joined in pending.values() for row in joined.frames]
    if not insert_new_frames(connection, rows):
        raise Changed
    if given.changed:
        bump_revision(connection, REPORTED)
