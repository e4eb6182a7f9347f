"""Merges the blocks of one span into as few as possible and makes its rollups. Pure computation: rows in, rows out."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Times
from bongsu.core.series import Layout
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.server.storage.archive import RAW, ROW_SPAN_MS, StoredBlock, StoredRollup, make_block
from bongsu.server.storage.blocks import CorruptBlock, Head, encode_columns, pack_parts
from bongsu.server.storage.layouts import LayoutKey
from bongsu.server.storage.rollup import Rollup, coarser, combined, counters_of, more_complete, of_frames
from bongsu.server.storage.rollup_blocks import decode_rollup, encode_rollup

logger = logging.getLogger(__name__)

# A span at 2.5 s: 10 MB of values for 150 series. Larger blocks save no more space, but slow down reading one series.
MAX_FRAMES = 8_640
# Values held in memory at a time: 8 MB, whatever the interval and the number of series.
MAX_VALUES = 1_000_000


@dataclass(slots=True)
class Compacted:
    """The blocks ``read``, the blocks that replace them, and rollup rows with the checksum of the row each replaces."""

    read: list[StoredBlock]
    blocks: list[StoredBlock] = field(default_factory=list)
    rollups: list[tuple[StoredRollup, int | None]] = field(default_factory=list)


def compact(
    key: LayoutKey,
    layout: Layout,
    span_ms: int,
    stored: Sequence[StoredBlock],
    minutes: StoredRollup | None,
    hours: StoredRollup | None,
    floors: dict[int, int],
) -> Compacted:
    """Compacts the blocks ``stored``: all blocks of the span that starts at ``span_ms``.

    As long as its earlier samples are there, its rollups are made from all raw samples of the span. Once they are gone
    (the span is below the raw floor, in ``floors``), late frames are added to the existing rollups and then dropped as
    well. A corrupt block stays as it is, for ``bongsu db check`` to find, and so do the rollups of its samples.
    """
    counters = counters_of([series.kind for series in layout.series])
    given_up = span_ms < floors[RAW] and not any(block.info.rolled for block in stored)
    heads = [(block, _opened(block, layout)) for block in stored]
    result = Compacted(list(stored))
    if not given_up:
        result.blocks = [_as_rolled(block) for block, head in heads if head is None]
    sources = [(block, head) for block, head in heads if head is not None]
    if not sources:
        return result
    times, order = _order([head.times for _, head in sources])
    fine: list[Rollup] = []
    parts: list[list[bytes]] = [[] for _ in range(0, len(times), MAX_FRAMES)]
    # A single block need not be encoded again.
    reencode = not given_up and len(sources) > 1
    series_at_a_time = max(1, MAX_VALUES // len(times))
    for first in range(0, len(layout.series), series_at_a_time):
        positions = range(first, min(first + series_at_a_time, len(layout.series)))
        values = np.concatenate([head.columns(block.data, positions) for block, head in sources])[order]
        fine.append(of_frames(times, values, counters[first : positions.stop], MINUTE_MS))
        if reencode:
            for index, part in enumerate(parts):
                rows = values[index * MAX_FRAMES : (index + 1) * MAX_FRAMES]
                part.extend(encode_columns(np.ascontiguousarray(rows.T)))
    if reencode:
        result.blocks += [
            _block(key, times[index * MAX_FRAMES : (index + 1) * MAX_FRAMES], part) for index, part in enumerate(parts)
        ]
    elif not given_up:
        result.blocks.append(_as_rolled(sources[0][0]))
    _roll(result, key, span_ms, _side_by_side(fine), minutes, hours, counters, floors, add=given_up)
    return result


def _opened(block: StoredBlock, layout: Layout) -> Head | None:
    try:
        head = block.opened()
        head.check(block.data)
    except CorruptBlock:
        logger.error("server %d: the block at %d is corrupt", block.info.server_id, block.info.start_ms)
        return None
    return head if head.width == len(layout.series) else None


def _as_rolled(block: StoredBlock) -> StoredBlock:
    return StoredBlock(replace(block.info, rolled=True), block.head, block.data)


def _order(times: list[Times]) -> tuple[Times, npt.NDArray[np.int64]]:
    """All times, ascending and unique, and their places in the concatenation."""
    return np.unique(np.concatenate(times), return_index=True)


def _side_by_side(rollups: list[Rollup]) -> Rollup:
    """One rollup of all series, from rollups of some series each over the same frames."""
    first = rollups[0]
    return Rollup(
        first.times,
        first.first_ms,
        first.last_ms,
        first.frames,
        np.concatenate([rollup.count for rollup in rollups], axis=1),
        np.concatenate([rollup.stats for rollup in rollups], axis=2),
    )


def _roll(
    result: Compacted,
    key: LayoutKey,
    span_ms: int,
    fine: Rollup,
    minutes: StoredRollup | None,
    hours: StoredRollup | None,
    counters: npt.NDArray[np.bool_],
    floors: dict[int, int],
    *,
    add: bool,
) -> None:
    """Adds the rollup rows to the result."""
    kept = span_ms >= floors[MINUTE_MS]
    if kept:
        old = _read(minutes, counters)
        if old is not None:
            fine = combined(old, fine, counters) if add else more_complete(old, fine)
        result.rollups.append((_rollup_row(key, MINUTE_MS, span_ms, fine, counters), _checksum(minutes)))
    row_ms = span_ms - span_ms % ROW_SPAN_MS[HOUR_MS]
    if row_ms < floors[HOUR_MS]:
        return
    coarse = coarser(fine, counters, HOUR_MS)
    old = _read(hours, counters)
    if old is not None:
        coarse = combined(old, coarse, counters) if add and not kept else more_complete(old, coarse)
    result.rollups.append((_rollup_row(key, HOUR_MS, row_ms, coarse, counters), _checksum(hours)))


def _read(row: StoredRollup | None, counters: npt.NDArray[np.bool_]) -> Rollup | None:
    if row is None:
        return None
    try:
        return decode_rollup(row.opened(), row.data, counters)
    except CorruptBlock:
        logger.error("server %d: the rollup of %d ms at %d is corrupt", row.server_id, row.step_ms, row.start_ms)
        return None


def _checksum(row: StoredRollup | None) -> int | None:
    return None if row is None else row.checksum


def _rollup_row(
    key: LayoutKey, step_ms: int, start_ms: int, rollup: Rollup, counters: npt.NDArray[np.bool_]
) -> StoredRollup:
    packed = encode_rollup(rollup, counters)
    end_ms = int(rollup.times[-1]) + step_ms
    return StoredRollup(*key, step_ms, start_ms, end_ms, len(rollup.times), packed.checksum, packed.head, packed.data)


def _block(key: LayoutKey, times: Times, parts: list[bytes]) -> StoredBlock:
    return make_block(key, int(times[0]), int(times[-1]), len(times), pack_parts(times, parts), rolled=True)
