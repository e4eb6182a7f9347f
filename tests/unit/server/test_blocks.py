"""A block gives back, bit for bit, what was put in; a broken one is noticed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bongsu.server.storage.blocks import Block, CorruptBlock, encode_block

SHAPES = st.tuples(st.integers(1, 50), st.integers(1, 6))
SPECIAL = st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 2.0**53, 2.0**53 - 1, 1e308, 0.1, 7.0])


@given(
    values=hnp.arrays(np.float64, SHAPES, elements=st.floats() | SPECIAL),
    start=st.integers(0, 2**45),
    steps=st.lists(st.integers(1, 10**7), min_size=50, max_size=50),
)
def test_bit_for_bit(values: np.ndarray, start: int, steps: list[int]) -> None:
    times = start + np.cumsum(steps[: len(values)], dtype=np.int64)
    block = Block.open(encode_block(times, values))
    assert block.times.tolist() == times.tolist()
    assert block.width == values.shape[1]
    assert block.columns(range(block.width)).tobytes() == values.tobytes()


def test_one_column_is_read_without_the_others() -> None:
    times = np.arange(100, dtype=np.int64)
    values = np.stack([np.sin(times), np.full(100, 3.5), times * 1000.0], axis=1)
    data = bytearray(encode_block(times, values))
    data[-1] ^= 0xFF  # the last column's end
    block = Block.open(bytes(data))
    assert block.column(0).tolist() == values[:, 0].tolist()
    assert block.column(1).tolist() == [3.5] * 100


def test_columns_that_stand_still_cost_next_to_nothing() -> None:
    times = np.arange(720, dtype=np.int64) * 10_000
    assert len(encode_block(times, np.full((720, 100), 0.25))) < 100 * 13 + 100


@pytest.mark.parametrize("cut", [0, 1, 10, 14, 40, -1], ids=lambda cut: f"cut at {cut}")
def test_a_block_cut_off_is_corrupt(cut: int) -> None:
    times = np.arange(50, dtype=np.int64)
    data = encode_block(times, np.random.default_rng(1).normal(size=(50, 3)))
    with pytest.raises(CorruptBlock):
        Block.open(data[:cut]).columns(range(3))


@given(garbage=st.binary(max_size=200))
def test_garbage_is_corrupt(garbage: bytes) -> None:
    with pytest.raises(CorruptBlock):
        Block.open(b"B1" + garbage).columns(range(1))
