"""Reads ``*.prom`` files, which cron jobs and scripts write, as node_exporter's textfile collector does.

Write a file under another name in the same folder and rename it, so that no half of it is ever read. A file that cannot
be read costs only its own series. The metrics about the files have the names that they have in node_exporter, so its
alert rules fit.
"""

import os
import stat
from collections.abc import Iterator, Sequence

from bongsu.agent.scrape.page import OverLimitError, Page
from bongsu.agent.scrape.text_format import ParseError
from bongsu.core.errors import BongsuError
from bongsu.core.units import format_bytes

SUFFIX = ".prom"
MAX_FILES = 1_000
MAX_FILE_BYTES = 4 * 1024**2
_PIECE_BYTES = 65_536


class TextfileError(BongsuError):
    """Some textfiles cannot be read."""

    code = "textfiles_failed"


class Textfiles:
    """The files in some folders."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = folders

    def read_into(self, page: Page) -> None:
        """Reads all files.

        Raises:
            TextfileError: some of them, or a folder, cannot be read. What could be read is on the page.
        """
        problems: list[str] = []
        files = 0
        for folder in self._folders:
            for path in self._paths(folder, problems):
                files += 1
                if files > MAX_FILES:
                    problems.append(f"there are more than {MAX_FILES:,} textfiles; the others are not read")
                    break
                mark = page.mark()
                try:
                    written_at = _read(path, page)
                except FileNotFoundError:
                    page.back_to(mark)  # renamed or deleted meanwhile
                except (OSError, BongsuError) as error:
                    page.back_to(mark)
                    reason = error.message if isinstance(error, BongsuError) else error.strerror or str(error)
                    problems.append(f"{path}: {reason.rstrip('.')}")
                else:
                    page.add("node_textfile_mtime_seconds", {"file": _shown(path)}, written_at)
        page.add("node_textfile_scrape_error", {}, 1.0 if problems else 0.0)
        if problems:
            more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
            raise TextfileError("; ".join(problems[:3]) + more + ".")

    def abort(self) -> None:
        """Nothing waits for long."""

    def close(self) -> None:
        """Nothing stays open."""

    def _paths(self, folder: str, problems: list[str]) -> Iterator[str]:
        try:
            names = sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX) and not name.startswith("."))
        except OSError as error:
            problems.append(f"{folder}: {error.strerror}")
            return
        for name in names:
            yield os.path.join(folder, name)


def _read(path: str, page: Page) -> float:
    """Reads one file. Returns when it was written, in Unix seconds.

    Raises:
        OSError: it cannot be read.
        ParseError: it is not in Prometheus' text format.
        OverLimitError: it is over a limit.
    """
    # A pipe would block until somebody writes to it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ParseError("This is not a file.")
        size = 0
        while piece := os.read(descriptor, _PIECE_BYTES):
            size += len(piece)
            if size > MAX_FILE_BYTES:
                raise OverLimitError(f"The file is larger than {format_bytes(MAX_FILE_BYTES)}.", limit=MAX_FILE_BYTES)
            page.feed(piece)
    finally:
        os.close(descriptor)
    page.end()
    return status.st_mtime


def _shown(path: str) -> str:
    # File names are bytes: those that are not UTF-8 arrive as lone surrogates.
    return path.encode(errors="replace").decode()
