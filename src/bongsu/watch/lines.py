"""One line for each frame, for pipes and files: as text or as JSON. What else happens goes to standard error."""

import json
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from bongsu.core.events import Event
from bongsu.core.series import Kind, family_of
from bongsu.core.text import visible
from bongsu.core.units import format_rate, format_value
from bongsu.watch.frames import StreamFrame
from bongsu.watch.happenings import sentence
from bongsu.wire.live import State


def utc(time_ms: int) -> str:
    """``2026-11-26T16:20:00.000Z``"""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_line(frame: StreamFrame) -> str:
    """The time, then ``series=value`` for each series: a counter's growth per second, ``-`` without a value. There are
    no spaces in values and units."""
    words = [utc(frame.time_ms)]
    for series, value, rate in frame.readings:
        if series.kind is Kind.COUNTER:
            text = format_rate(series.unit, math.nan if rate is None else rate)
        else:
            text = format_value(series.metric, series.unit, value)
        words.append(f"{visible(str(series))}={text.replace(' ', '')}")
    return " ".join(words)


def as_json(frame: StreamFrame, server_id: int, server: str) -> str:
    """One object; the series as ``bongsu agent once --format json`` has them. NaN and infinity become null."""
    return json.dumps(
        {
            "time_ms": frame.time_ms,
            "time": utc(frame.time_ms),
            "server_id": server_id,
            "server": server,
            "series": [
                {
                    "metric": series.metric,
                    "labels": dict(series.labels),
                    "type": family_of(series.metric),
                    "unit": series.unit,
                    "kind": series.kind.value,
                    "value": _finite(value),
                    "rate": _finite(rate),
                }
                for series, value, rate in frame.readings
            ],
        },
        ensure_ascii=False,
        allow_nan=False,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


class Lines:
    """``output.Output`` on standard output and standard error."""

    def __init__(
        self,
        server_id: int,
        server: str,
        *,
        as_json: bool = False,
        say: Callable[[str], None] = lambda line: print(line, flush=True),
        note: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    ) -> None:
        self._server_id, self._server, self._json = server_id, server, as_json
        self._say = say
        self._note = note
        self._state = State.UP
        self._streams = -1
        self._lost = False

    def frame(self, frame: StreamFrame) -> None:
        """Prints it."""
        self._say(as_json(frame, self._server_id, self._server) if self._json else as_line(frame))

    def state(self, state: State) -> None:
        """Notes a change; a server that is up at first is no news."""
        if state is not self._state:
            self._state = state
            self._note(f"{visible(self._server)} is {state.name.lower()}.")

    def selected(self, streams: int) -> None:
        """Notes when there is nothing to wait for."""
        if streams == 0 and self._streams != 0:
            self._note(f"{visible(self._server)} sends none of these series at present.")
        self._streams = streams

    def gap(self, start_ms: int, end_ms: int) -> None:
        """Notes what is missing."""
        self._note(f"Frames from {utc(start_ms)} to {utc(end_ms)} were not sent; the history has them.")

    def event(self, event: Event) -> None:
        """Notes it."""
        text = sentence(event)
        if text is not None:
            self._note(f"{utc(event.time_ms)} {visible(self._server)}: {text}")

    def behind(self, present: bool) -> None:
        """Notes both."""
        self._note(f"The API server {'cannot' if present else 'can'} see what other API servers take in.")

    def connected(self) -> None:
        """Notes that it goes on."""
        if self._lost:
            self._lost = False
            self._note("Connected again.")

    def waiting(self, seconds: float, reason: str) -> None:
        """Notes why, and until when."""
        self._lost = True
        self._note(f"{reason} Reconnecting in {math.ceil(seconds)} s.")
