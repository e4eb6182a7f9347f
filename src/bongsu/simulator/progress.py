"""Shows what a simulator is doing: one line that is updated on a terminal, or a plain line every ten seconds."""

import asyncio
import os
import shutil
import sys
import time
from typing import TextIO

from bongsu.core.units import format_duration
from bongsu.simulator.fleet import Fleet

TERMINAL_SECONDS, PLAIN_SECONDS = 0.5, 10.0
# Rates are those of the last few seconds, or they would jump with every tick.
RATE_SECONDS = 10.0
BAR_WIDTH = 20
_TO_START_AND_CLEAR = "\r\x1b[K"


class Progress:
    """Writes to ``stream``, standard error by default."""

    def __init__(self, fleet: Fleet, stream: TextIO | None = None) -> None:
        self._fleet = fleet
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._began = time.monotonic()
        # (when, frames stored, samples stored)
        self._history: list[tuple[float, int, int]] = [(self._began, 0, 0)]

    async def run(self) -> None:
        """Writes until it is cancelled."""
        while True:
            await asyncio.sleep(TERMINAL_SECONDS if self._is_terminal else PLAIN_SECONDS)
            self._write(self.line())

    def close(self) -> None:
        """Removes the line from a terminal."""
        if self._is_terminal:
            self._stream.write(_TO_START_AND_CLEAR)
            self._stream.flush()

    def _write(self, line: str) -> None:
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(_TO_START_AND_CLEAR + line[:width])
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def line(self) -> str:
        """The state in one line, without its end."""
        fleet, totals = self._fleet, self._fleet.totals
        frames, samples = self._rates()
        parts = [self._time(), f"{fleet.enrolled:,} servers"]
        if fleet.enrolled < fleet.options.servers:
            waiting = f", waiting: {fleet.enrolment.waiting}" if fleet.enrolment.waiting else ""
            parts[1] = f"{fleet.enrolled:,} of {fleet.options.servers:,} servers enrolled{waiting}"
        left = fleet.history_left
        if left:
            parts.append(f"{left:,} frames of history left")
        parts += [f"{frames:,.1f} frames/s", f"{samples:,.0f} samples/s"]
        if totals.latencies.count:
            parts.append(f"ack p50 {totals.latencies.percentile(50):.0f} p99 {totals.latencies.percentile(99):.0f} ms")
        parts.append(f"{totals.failed_requests + totals.rejected:,} errors")
        if fleet.uplink.away:
            parts.append(f"the API server is away ({fleet.uplink.away}), frames are sent later")
        return "  ".join(parts)

    def _time(self) -> str:
        passed = time.monotonic() - self._began
        if not self._fleet.options.run_ms:
            return format_duration(passed)
        whole = self._fleet.options.run_ms / 1000
        done = min(BAR_WIDTH, int(BAR_WIDTH * passed / whole))
        return f"[{'#' * done}{'-' * (BAR_WIDTH - done)}] {format_duration(passed)} of {format_duration(whole)}"

    def _rates(self) -> tuple[float, float]:
        """Frames and samples stored a second."""
        totals, now = self._fleet.totals, time.monotonic()
        while len(self._history) > 1 and self._history[1][0] <= now - RATE_SECONDS:
            self._history.pop(0)
        then, frames, samples = self._history[0]
        self._history.append((now, totals.stored, totals.samples))
        seconds = max(now - then, 0.001)
        return (totals.stored - frames) / seconds, (totals.samples - samples) / seconds

    def summary(self) -> str:
        """What was sent and what became of it, in a few lines."""
        totals = self._fleet.totals
        lines = [
            f"{self._fleet.enrolled:,} servers in {format_duration(time.monotonic() - self._began)}: "
            f"{totals.sent:,} frames sent, {totals.stored:,} stored, {totals.duplicates:,} duplicates, "
            f"{totals.rejected:,} rejected, {totals.late:,} late, {totals.lost:,} lost",
            f"{totals.samples:,} samples and {totals.process_lists:,} process lists stored in {totals.requests:,} "
            f"requests, {totals.failed_requests:,} of them failed",
        ]
        if totals.latencies.count:
            percentiles = [f"p{percent} {totals.latencies.percentile(percent):.1f} ms" for percent in (50, 99)]
            lines[-1] += f"; acknowledged in {', '.join(percentiles)}"
        if totals.rejection:
            lines.append(f"rejected: {totals.rejection}")
        if totals.refused:
            name, reason = next(iter(totals.refused.items()))
            others = len(totals.refused) - 1
            lines.append(f"given up: {name}{f' and {others:,} others' if others else ''}: {reason}")
        return "\n".join(lines)
