"""Blocks: what goes in comes out, bit for bit; damage is noticed."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.server.storage.blocks import CorruptBlock, Head, Packed, encode_block

TIMES = np.array([1_000, 2_000, 3_500], np.int64)
VALUES = np.array([[1.0, 0.25, 5.0], [2.0, float("nan"), 5.0], [2.0**60, -0.0, 5.0]])


def opened(packed: Packed) -> Head:
    return Head.open(packed.head, packed.checksum)


@given(st.integers(1, 200), st.integers(1, 8), st.data())
def test_round_trip_is_exact(count: int, width: int, data: st.DataObject) -> None:
    numbers = st.one_of(
        st.floats(allow_nan=True, allow_infinity=True),
        st.integers(-(2**60), 2**60).map(float),
        st.sampled_from([0.0, -0.0]),
    )
    values = np.array(
        data.draw(st.lists(st.lists(numbers, min_size=width, max_size=width), min_size=count, max_size=count))
    )
    times = np.array(data.draw(st.sets(st.integers(0, 2**42), min_size=count, max_size=count).map(sorted)), np.int64)
    packed = encode_block(times, values)
    head = opened(packed)
    assert (head.times == times).all()
    found = head.columns(packed.data, range(width))
    assert (
        found.tobytes() == np.ascontiguousarray(values).tobytes()
        or ((found.view(np.int64) == values.view(np.int64)) | (np.isnan(found) & np.isnan(values))).all()
    )


def test_one_column_needs_only_its_own_bytes() -> None:
    packed = encode_block(TIMES, VALUES)
    head = opened(packed)
    for position in range(head.width):
        start, length = head.place(position)
        alone = head.column(position, packed.data[start : start + length])
        np.testing.assert_array_equal(alone, VALUES[:, position])


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    packed = encode_block(TIMES, VALUES)
    whole = bytearray(packed.head + packed.data)
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptBlock):
        Head.open(bytes(whole[: len(packed.head)]), packed.checksum).check(bytes(whole[len(packed.head) :]))


@given(st.data())
def test_a_cut_off_block_is_noticed(data: st.DataObject) -> None:
    packed = encode_block(TIMES, VALUES)
    cut = data.draw(st.integers(0, max(len(packed.head), len(packed.data)) - 1))
    head = packed.head[:cut]
    with pytest.raises(CorruptBlock):
        Head.open(head, zlib.crc32(head)).check(packed.data[:cut])


@given(st.binary(max_size=200))
def test_garbage_is_noticed(garbage: bytes) -> None:
    head = b"B2" + garbage
    with pytest.raises(CorruptBlock):
        Head.open(head, zlib.crc32(head)).check(garbage)
