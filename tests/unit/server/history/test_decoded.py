"""What was decoded is kept within a budget, and shared."""

import numpy as np
import pytest

from bongsu.server.history.decoded import Decoded, DecodedRows
from bongsu.server.history.rollups import SeriesRollup
from bongsu.server.storage.blocks import CorruptBlock, Head, encode_block

FRAMES = 100
TIMES = np.arange(FRAMES, dtype=np.int64) * 10_000
VALUES = np.column_stack([np.sqrt(np.arange(FRAMES)), np.arange(FRAMES) % 7]).astype(np.float64)
PACKED = encode_block(TIMES, VALUES)
COLUMN_BYTES = 8 * FRAMES


def a_head() -> Head:
    return Head.open(PACKED.head, PACKED.checksum)


def part(position: int) -> bytes:
    offset, length = a_head().place(position)
    return PACKED.data[offset : offset + length]


def row(decoded: DecodedRows, number: int) -> Decoded:
    return decoded.get((1, 2, 0, number, number + 1, PACKED.checksum), a_head)


def test_a_row_is_opened_once_and_its_columns_are_decoded_once() -> None:
    decoded = DecodedRows()
    first = row(decoded, 1)
    assert decoded.get((1, 2, 0, 1, 2, PACKED.checksum), pytest.fail) is first
    column = decoded.column(first, 1, part(1))
    assert column.tolist() == VALUES[:, 1].tolist()
    assert first.columns == {1: pytest.approx(column)}
    assert row(decoded, 2) is not first


def test_arrays_that_answers_share_cannot_be_written() -> None:
    decoded = DecodedRows()
    first = row(decoded, 1)
    rolled = SeriesRollup.of_columns(TIMES, {0: VALUES[:, 0], 1: VALUES[:, 1]}, {1}, 60_000)
    decoded.keep_rolled(first, rolled, 60_000)
    arrays = [first.head.times, decoded.column(first, 0, part(0)), *rolled[0].arrays, *rolled[1].arrays]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[..., 0] = 0


def test_what_was_used_longest_ago_goes_first() -> None:
    decoded = DecodedRows(limit_bytes=3 * (a_head().nbytes + COLUMN_BYTES))
    rows = {number: row(decoded, number) for number in range(3)}
    for each in rows.values():
        decoded.column(each, 0, part(0))
    assert row(decoded, 0) is rows[0]
    decoded.column(row(decoded, 3), 0, part(0))
    assert [rows[number].kept for number in range(3)] == [True, False, True]
    assert row(decoded, 0) is rows[0]
    assert row(decoded, 1) is not rows[1]


def test_the_budget_holds_and_a_row_that_went_no_longer_counts() -> None:
    limit = 2 * (a_head().nbytes + COLUMN_BYTES)
    decoded = DecodedRows(limit)
    rows = [row(decoded, number) for number in range(20)]
    for each in rows:
        decoded.column(each, 0, part(0))
        assert decoded.size_bytes <= limit
    # A query that still uses it gets its columns.
    assert not rows[0].kept
    before = decoded.size_bytes
    assert decoded.column(rows[0], 1, part(1)).tolist() == VALUES[:, 1].tolist()
    assert decoded.size_bytes == before


def test_damaged_columns_and_heads_are_not_kept() -> None:
    decoded = DecodedRows()
    first = row(decoded, 1)
    with pytest.raises(CorruptBlock):
        decoded.column(first, 0, part(0)[:-1] + b"\xff")
    assert decoded.column(first, 0, part(0)).tolist() == VALUES[:, 0].tolist()

    def damaged() -> Head:
        return Head.open(PACKED.head[:-1] + b"\xff", PACKED.checksum)

    with pytest.raises(CorruptBlock):
        decoded.get((1, 2, 0, 9, 10, PACKED.checksum), damaged)
    assert row(decoded, 9).head.times.tolist() == TIMES.tolist()
