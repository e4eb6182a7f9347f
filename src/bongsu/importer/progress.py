"""Shows how far an import has come: a bar on a terminal, or a plain line every ten seconds."""

import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

from bongsu.core.units import format_duration
from bongsu.importer.source import Source
from bongsu.importer.totals import Totals

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

PLAIN_SECONDS = 10.0
# Drawing costs more than a small request.
_DRAW_SECONDS = 0.1


class Progress:
    """Writes to ``stream``, standard error by default. Call ``close`` at the end."""

    def __init__(self, totals: Totals, stream: TextIO | None = None) -> None:
        self._totals = totals
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._began = self._shown = time.monotonic()
        self._before = totals.read
        self._bar: Bar | None = None

    def start(self, source: Source) -> None:
        """The source stands where the import continues."""
        self._shown = 0.0 if self._is_terminal else self._shown
        if self._is_terminal:
            self._bar = self._new_bar()
            self._bar.start()

    def _new_bar(self) -> "Bar":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        bar = Progress(
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.description}", markup=False),
            console=Console(file=self._stream, highlight=False),
            transient=True,
            refresh_per_second=4,
        )
        bar.add_task("", total=1.0, completed=0)
        return bar

    def update(self, source: Source) -> None:
        """Called after each request."""
        now = time.monotonic()
        if self._bar is not None:
            if now - self._shown >= _DRAW_SECONDS:
                self._shown = now
                self._bar.update(self._bar.task_ids[0], completed=source.fraction, description=self.line(source))
        elif now - self._shown >= PLAIN_SECONDS:
            self._shown = now
            print(f"{source.fraction:.1%}  {self.line(source)}", file=self._stream, flush=True)

    def line(self, source: Source) -> str:
        """The state in one line."""
        totals = self._totals
        parts = [source.place, f"{totals.stored:,} stored", f"{self.rate():,.0f} samples/s"]
        if totals.refused_samples:
            parts.append(f"{totals.refused_samples:,} refused")
        if totals.bad_lines:
            parts.append(f"{totals.bad_lines:,} bad lines")
        return "  ".join(parts)

    def rate(self) -> float:
        """Samples read a second in this run."""
        return (self._totals.read - self._before) / max(time.monotonic() - self._began, 0.001)

    def say(self, text: str) -> None:
        """Prints a line; a bar stays below it."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def summary(self) -> str:
        """What was read and what became of it, in a few lines."""
        totals = self._totals
        lines = [
            f"{totals.read:,} samples read, {totals.stored:,} stored, {totals.refused_samples:,} refused; this run: "
            f"{format_duration(time.monotonic() - self._began)}, {self.rate():,.0f} samples/s"
        ]
        if totals.lines:
            lines.append(
                f"{totals.lines:,} lines, {totals.bad_lines:,} of them left out as malformed; "
                f"{totals.left_out:,} texts left out"
            )
        if totals.refused:
            codes = ", ".join(f"{code} {samples:,}" for code, samples in totals.refused.most_common())
            lines.append(f"refused: {codes}. First: {totals.first_refusal}")
        return "\n".join(lines)
