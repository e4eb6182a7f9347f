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
