"""Reads the small files of /proc and /sys."""

import os

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def read_bytes(path: str) -> bytes:
    """Reads the file with a single system call.

    Raises:
        OSError: it does not exist or cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        return file.read() or b""


def read_first(*paths: str) -> bytes:
    """The content of the first file that can be read; empty if none can, as on systems other than Linux."""
    for path in paths:
        try:
            return read_bytes(path)
        except OSError:
            continue
    return b""


def number_after(text: bytes, key: bytes) -> int | None:
    """The number in the last column of the line that begins with the word ``key``, or in the second if a unit follows;
    None without such a line."""
    for line in text.splitlines():
        columns = line.split()
        if len(columns) > 1 and columns[0] == key:
            number = columns[1] if columns[-1] == b"kB" else columns[-1]
            return int(number) if number.isdigit() else None
    return None
