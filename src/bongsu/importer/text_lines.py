"""Reads a file line by line, gzip or not, from any position, and never more than one line into memory."""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bongsu.core.errors import ConfigError

MAX_LINE_BYTES = 1_048_576
_GZIP_MAGIC = b"\x1f\x8b"


class TextLines:
    """A file of lines. Positions count bytes after decompression."""

    def __init__(self, path: Path, compression: str = "auto") -> None:
        """``compression``: ``auto``, ``yes`` or ``no``. Raises ConfigError if the file cannot be read."""
        self.path = path
        self.position = 0
        try:
            self._raw = path.open("rb")
            self._size = os.fstat(self._raw.fileno()).st_size
            magic = self._raw.read(len(_GZIP_MAGIC))
            self._raw.seek(0)
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}.", field="FILE") from None
        self.is_compressed = compression == "yes" or (compression == "auto" and magic == _GZIP_MAGIC)
        self._stream: BinaryIO = (
            io.BufferedReader(gzip.GzipFile(fileobj=self._raw)) if self.is_compressed else self._raw
        )

    @property
    def fraction(self) -> float:
        """How much of the file has been read, 0 to 1."""
        done = self._raw.tell() if self.is_compressed else self.position
        return min(done / self._size, 1.0) if self._size else 1.0

    def read(self, position: int = 0) -> Iterator[bytes | None]:
        """The lines after ``position``, without their ends; None stands for one that is longer than MAX_LINE_BYTES.

        Raises:
            ConfigError: the file cannot be read on.
        """
        try:
            self._skip(position)
            while line := self._stream.readline(MAX_LINE_BYTES + 1):
                self.position += len(line)
                if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
                    yield line.rstrip(b"\r\n")
                    continue
                while line and not line.endswith(b"\n"):
                    line = self._stream.readline(MAX_LINE_BYTES)
                    self.position += len(line)
                yield None
        except (OSError, EOFError, zlib.error) as error:  # of a damaged or cut gzip file, too
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(f"{self.path} cannot be read on after byte {self.position:,}: {reason}.") from None

    def _skip(self, position: int) -> None:
        if not self.is_compressed:
            self._stream.seek(position)
            self.position = position
            return
        while self.position < position:  # decompressing again is the only way
            piece = self._stream.read(min(position - self.position, MAX_LINE_BYTES))
            if not piece:
                return
            self.position += len(piece)

    def close(self) -> None:
        self._stream.close()
        self._raw.close()
