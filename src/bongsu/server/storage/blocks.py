"""The format of a block: many frames of one layout, column by column, each column readable without the others.

::

    head  +------+-------+-------+------------+-------------+---------------------------------+
          | "B2" | n u32 | k u32 | length u32 | times (pco) | (end u32, crc32 u32) per column |
          +------+-------+-------+------------+-------------+---------------------------------+
    data  +--------+-----+--------+
          | column | ... | column |   ``end`` counts from the first
          +--------+-----+--------+
    column := 0 double              all n values are equal to this one, bit for bit
            | 1 pco(float64[n])
            | 2 pco(int64[n])       whole numbers below 2^53, given back as doubles

All numbers are little-endian. Head and data are two columns of a row. A reader takes the head, which gives the place
and the checksum of each column, and then the bytes of the columns it needs. The checksum of the head is in the row, so
the checksums cover every byte. Measured on the real capture (150 series of which 44 change), all series / changing
ones: 0.28 / 0.92 bytes a sample at 720 frames, 0.24 / 0.80 at 4,320.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pcodec import ChunkConfig, standalone

from bongsu.arrays import Times, Values
from bongsu.core.errors import BongsuError

_HEAD = struct.Struct("<2sIII")
_MAGIC = b"B2"
_PLACE = np.dtype([("end", "<u4"), ("crc", "<u4")])
_CONSTANT, _DOUBLES, _WHOLE = range(3)
# 8 of 12. Level 4 is 20 % faster and 6 % larger; level 12 takes three times as long for 1 % less.
_CONFIG = ChunkConfig(compression_level=8)
_EXACT = 2.0**53

Number = TypeVar("Number", np.int64, np.float64)


class CorruptBlock(BongsuError):
    """A stored block cannot be read."""

    code = "corrupt_block"


@dataclass(frozen=True, slots=True)
class Packed:
    """An encoded block."""

    head: bytes
    data: bytes

    @property
    def checksum(self) -> int:
        """crc32 of the head, which holds those of the columns."""
        return zlib.crc32(self.head)


def encode_block(times: Times, values: Values) -> Packed:
    """``times``: (n,) int64 ms, ascending; ``values``: (n, k) float64, NaN = no value. n and k are at least 1."""
    return pack_parts(times, encode_columns(np.ascontiguousarray(values.T)))


def pack_parts(times: Times, parts: list[bytes]) -> Packed:
    """A block of encoded columns."""
    places = np.empty(len(parts), _PLACE)
    places["end"] = np.cumsum([len(part) for part in parts])
    places["crc"] = [zlib.crc32(part) for part in parts]
    packed_times = standalone.simple_compress(np.ascontiguousarray(times), _CONFIG)
    head = _HEAD.pack(_MAGIC, len(times), len(parts), len(packed_times))
    return Packed(b"".join((head, packed_times, places.tobytes())), b"".join(parts))


def encode_columns(columns: Values) -> list[bytes]:
    """``columns``: (k, n) float64, contiguous. Returns one encoded column for each row."""
    bits = columns.view(np.int64)
    constant = (bits == bits[:, :1]).all(axis=1)
    return [
        bytes([_CONSTANT]) + column[:1].tobytes() if same else _encode(column)
        for column, same in zip(columns, constant, strict=True)
    ]


def _encode(column: Values) -> bytes:
    if np.isfinite(column).all() and (np.abs(column) < _EXACT).all():
        whole = column.astype(np.int64)
        # Compared bit for bit, so that -0.0 stays -0.0.
        if (whole.astype(np.float64).view(np.int64) == column.view(np.int64)).all():
            return b"".join((bytes([_WHOLE]), standalone.simple_compress(whole, _CONFIG)))
    return b"".join((bytes([_DOUBLES]), standalone.simple_compress(column, _CONFIG)))


def decode_column(part: bytes, count: int) -> Values:
    """The (count,) values of one encoded column.

    Raises:
        CorruptBlock: the bytes are not an encoded column.
    """
    if not part:
        raise CorruptBlock
    if part[0] == _CONSTANT and len(part) == 9:
        return np.full(count, struct.unpack_from("<d", part, 1)[0])
    if part[0] == _WHOLE:
        return _decompress(part[1:], np.int64, count).astype(np.float64)
    if part[0] == _DOUBLES:
        return _decompress(part[1:], np.float64, count)
    raise CorruptBlock


@dataclass(frozen=True, slots=True)
class Head:
    """A parsed head: the times, and the place of each column in the data."""

    times: Times
    _places: npt.NDArray[np.void]

    @classmethod
    def open(cls, head: bytes, checksum: int) -> "Head":
        """Parses a head.

        Raises:
            CorruptBlock: its checksum does not match, or it is malformed.
        """
        if zlib.crc32(head) != checksum:
            raise CorruptBlock
        try:
            magic, count, width, length = _HEAD.unpack_from(head)
            if magic != _MAGIC:
                raise CorruptBlock
            start = _HEAD.size + length
            times = _decompress(head[_HEAD.size : start], np.int64, count)
            places = np.frombuffer(head, _PLACE, width, start)
        except (struct.error, ValueError):
            raise CorruptBlock from None
        return cls(times, places)

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self._places)

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        return self.times.nbytes + self._places.nbytes

    @property
    def length(self) -> int:
        """The size of the data in bytes."""
        return int(self._places["end"][-1])

    def place(self, position: int) -> tuple[int, int]:
        """Offset and length of one column in the data.

        Raises:
            CorruptBlock: there is no such column.
        """
        if not 0 <= position < self.width:
            raise CorruptBlock
        start = int(self._places["end"][position - 1]) if position else 0
        return start, int(self._places["end"][position]) - start

    def checked(self, position: int, part: bytes) -> bytes:
        """Returns the part. Raises CorruptBlock when its checksum does not match."""
        if zlib.crc32(part) != self._places["crc"][position]:
            raise CorruptBlock
        return part

    def column(self, position: int, part: bytes) -> Values:
        """(n,) values of one series from its part of the data.

        Raises:
            CorruptBlock: the part is damaged.
        """
        return decode_column(self.checked(position, part), len(self.times))

    def part(self, position: int, data: "bytes | memoryview") -> bytes:
        """The bytes of one column, cut from the whole data. Raises CorruptBlock when there is no such column."""
        start, length = self.place(position)
        return bytes(data[start : start + length])

    def check(self, data: bytes) -> None:
        """Raises CorruptBlock when any byte of the data is damaged."""
        for position in range(self.width):
            self.checked(position, self.part(position, data))
        if len(data) != self.length:
            raise CorruptBlock

    def columns(self, data: bytes, positions: Sequence[int]) -> Values:
        """(n, len(positions)) values.

        Raises:
            CorruptBlock: one of the columns is damaged.
        """
        values = np.empty((len(positions), len(self.times)))
        for row, position in enumerate(positions):
            values[row] = self.column(position, self.part(position, data))
        return values.T


def _decompress(packed: bytes, dtype: type[Number], count: int) -> npt.NDArray[Number]:
    try:
        values: npt.NDArray[Number] | None = standalone.simple_decompress(packed)
    except (RuntimeError, ValueError):
        raise CorruptBlock from None
    if values is None or values.dtype != np.dtype(dtype) or len(values) != count:
        raise CorruptBlock
    return values
