"""Samples of a file of lines. A line that is none costs only itself: it is counted, and the first ones are shown."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from bongsu.core.errors import ConfigError
from bongsu.core.text import visible
from bongsu.importer.parsing import BadLine
from bongsu.importer.source import Batch, Sample
from bongsu.importer.text_lines import MAX_LINE_BYTES, TextLines
from bongsu.importer.totals import Totals

SHOWN_BAD_LINES = 5
# A file is known by its first bytes, so that one may grow between two runs.
_HEAD_BYTES = 1_024
# Also lines without samples are progress.
_BATCH_LINES = 100_000


class Parser(Protocol):
    """Parses lines that do not depend on each other."""

    left_out: int

    def samples(self, line: bytes) -> Iterable[Sample]:
        """The samples of a line. Raises BadLine."""


class FileSource:
    """A file whose lines ``parser`` understands."""

    def __init__(
        self, lines: TextLines, parser: Parser, totals: Totals, batch_samples: int, say: Callable[[str], None]
    ) -> None:
        self._lines = lines
        self._parser = parser
        self._totals = totals
        self._batch_samples = batch_samples
        self._say = say

    @property
    def fraction(self) -> float:
        return self._lines.fraction

    @property
    def place(self) -> str:
        return f"line {self._totals.lines:,}"

    def batches(self, position: dict[str, Any] | None) -> Iterator[Batch]:
        """Raises ConfigError if the file cannot be read."""
        totals, parser = self._totals, self._parser
        batch: list[Sample] = []
        lines = 0
        for line in self._lines.read(_offset(position)):
            totals.lines += 1
            lines += 1
            try:
                if line is None:
                    raise BadLine(f"it is longer than {MAX_LINE_BYTES:,} bytes")
                batch.extend(parser.samples(line))
            except BadLine as error:
                self._bad(line or b"", error.message)
            if len(batch) >= self._batch_samples or lines >= _BATCH_LINES:
                yield self._batch(batch)
                batch, lines = [], 0
        yield self._batch(batch)

    def _batch(self, samples: list[Sample]) -> Batch:
        self._totals.read += len(samples)
        self._totals.left_out += self._parser.left_out
        self._parser.left_out = 0
        return Batch(samples, {"offset": self._lines.position})

    def _bad(self, line: bytes, reason: str) -> None:
        self._totals.bad_lines += 1
        if self._totals.bad_lines > SHOWN_BAD_LINES:
            return
        shown = visible(line[:60].decode("utf-8", "backslashreplace"))
        self._say(f"line {self._totals.lines:,} is left out: {reason}{f': {shown}' if shown else ''}")
        if self._totals.bad_lines == SHOWN_BAD_LINES:
            self._say("further lines that are left out are only counted")


def fingerprint(path: Path) -> str:
    """Tells a file from another one at the same place, also when it has grown.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", field="FILE") from None
    # Of a small file the first line only, for the rest may be written later.
    if len(head) < _HEAD_BYTES:
        head = head.partition(b"\n")[0]
    return hashlib.sha256(head).hexdigest()[:16]


def _offset(position: dict[str, Any] | None) -> int:
    try:
        offset = int(position["offset"]) if position else 0
    except (KeyError, TypeError, ValueError):
        offset = -1
    if offset < 0:
        raise ConfigError("The state file has no valid position; begin anew with --restart.", field="--state")
    return offset
