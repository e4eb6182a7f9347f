"""The screen of ``bongsu watch``: one server on a terminal, updated in place."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bongsu.core.events import Event
from bongsu.core.liveness import down_after_ms
from bongsu.core.series import Kind, Series
from bongsu.core.text import visible
from bongsu.core.units import format_bytes, format_duration, format_rate, format_value
from bongsu.terminal.lines import Line, Style, cells, fit, padded, sparkline
from bongsu.terminal.overview import HISTORY_VALUES, Readings, overview, uptime_and_load
from bongsu.watch.frames import StreamFrame
from bongsu.watch.happenings import sentence
from bongsu.wire.live import State

_STATES: dict[State, tuple[str, Style]] = {
    State.UP: ("● up", "green"),
    State.LATE: ("◐ late", "yellow"),
    State.DOWN: ("○ down", "bold red"),
    State.RETIRED: ("◌ retired", "bright_black"),
}
_REMEMBERED = frozenset(
    (
        "cpu_usage_ratio",
        "memory_usage_ratio",
        "disk_read_bytes_total",
        "disk_write_bytes_total",
        "network_receive_bytes_total",
        "network_transmit_bytes_total",
    )
)
# A gap or an event is told for so long.
_TOLD_SECONDS = 60.0
# Columns of a table of single series.
_NAME_COLUMNS, _VALUE_COLUMNS = 56, 14


@dataclass(slots=True)
class _Latest:
    """The newest value of a series. ``kept_until_ms``: when it is stale, unless another one comes."""

    value: float
    rate: float | None
    interval_ms: int
    kept_until_ms: int


class Screen:
    """``output.Output``; ``lines`` draws what is known at present."""

    def __init__(
        self, server: str, url: str, *, single: bool = False, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``single``: a table of the series, instead of the overview."""
        self._server, self._url, self._single = visible(server), url, single
        self._monotonic = monotonic
        self._latest: dict[Series, _Latest] = {}
        self._readings = Readings()
        self._series_history: dict[Series, deque[float]] = {}
        self._frame_ms = 0
        self._interval_ms = 0
        self._heard = monotonic()
        self._state: State | None = None
        self._streams: int | None = None
        self._behind = False
        self._gap: tuple[int, int, float] | None = None
        # The newest event, and since when it has been known.
        self._happened: tuple[str, float] | None = None
        # When the next attempt to connect is due, and why; None: connected.
        self._lost: tuple[float, str] | None = None

    def frame(self, frame: StreamFrame) -> None:
        """Takes its values over, and forgets those that did not come again for long."""
        self._heard = self._monotonic()
        kept_until_ms = frame.time_ms + down_after_ms(frame.interval_ms)
        for series, value, rate in frame.readings:
            self._latest[series] = _Latest(value, rate, frame.interval_ms, kept_until_ms)
            if self._single:
                shown = (math.nan if rate is None else rate) if series.kind is Kind.COUNTER else value
                history = self._series_history.setdefault(series, deque(maxlen=HISTORY_VALUES))
                history.append(shown if math.isfinite(shown) else 0.0)
        is_newer = frame.time_ms > self._frame_ms
        self._frame_ms = max(self._frame_ms, frame.time_ms)
        for series in [series for series, latest in self._latest.items() if latest.kept_until_ms < self._frame_ms]:
            del self._latest[series]
            self._series_history.pop(series, None)
        # Of all streams: some series are sampled less often.
        self._interval_ms = min((latest.interval_ms for latest in self._latest.values()), default=0)
        self._read_again()
        if is_newer and any(series.metric in _REMEMBERED for series, _, _ in frame.readings):
            self._readings.remember()

    def state(self, state: State) -> None:
        """Shown in the first line."""
        self._state = state

    def selected(self, streams: int) -> None:
        """0 is told."""
        self._streams = streams

    def gap(self, start_ms: int, end_ms: int) -> None:
        """Told for a while."""
        self._gap = (start_ms, end_ms, self._monotonic())

    def event(self, event: Event) -> None:
        """Told for a while."""
        text = sentence(event)
        if text is not None:
            self._happened = (f"{_clock(event.time_ms)} {text}", self._monotonic())

    def behind(self, present: bool) -> None:
        """Told as long as it lasts."""
        self._behind = present

    def connected(self) -> None:
        """Ends the notice."""
        self._lost = None

    def waiting(self, seconds: float, reason: str) -> None:
        """A notice counts down."""
        self._lost = (self._monotonic() + seconds, reason)

    def _read_again(self) -> None:
        readings = self._readings
        readings.values.clear()
        readings.labelled.clear()
        readings.rates.clear()
        for series, latest in self._latest.items():
            if not series.labels:
                if math.isfinite(latest.value):
                    readings.values[series.metric] = latest.value
                continue
            label = series.labels[-1][1]
            if math.isfinite(latest.value):
                readings.labelled.setdefault(series.metric, {})[label] = latest.value
            if latest.rate is not None and math.isfinite(latest.rate):
                readings.rates.setdefault(series.metric, {})[label] = latest.rate

    def lines(self, width: int, height: int) -> list[Line]:
        """At most ``height`` lines, none wider than ``width``."""
        body: list[Line] = [self._head(), [(uptime_and_load(self._readings), "")], [self._notice()]]
        room = height - len(body) - 2
        body += self._table(width, room) if self._single else self._overview(width, room)
        body += [[]] * (height - 1 - len(body))
        footer: Line = [("Ctrl-C exits", "bright_black"), (f"   {self._url}", "bright_black")]
        return [fit(line, width) for line in [*body[: height - 1], footer]][:height]

    def _head(self) -> Line:
        name, style = _STATES.get(self._state, ("", "")) if self._state is not None else ("", "")
        if not self._frame_ms:
            return [(self._server, "bold"), (f"  {name}", style), ("  waiting for the first frame", "")]
        seconds = self._monotonic() - self._heard
        text = f"  last frame {_clock(self._frame_ms)}"
        if seconds * 1000 > 2 * self._interval_ms:
            text += f", {format_duration(seconds)} ago"
        return [(self._server, "bold"), (f"  {name}", style), (text, "")]

    def _notice(self) -> tuple[str, Style]:
        """What a person should know; the most important of all."""
        if self._lost is not None:
            due, reason = self._lost
            seconds = math.ceil(due - self._monotonic())
            return (f"reconnecting in {seconds} s: {reason}" if seconds > 0 else f"reconnecting: {reason}", "yellow")
        if self._behind:
            return ("this API server cannot see at present what others take in", "yellow")
        if self._streams == 0:
            text = "sends none of these series at present" if self._single else "sends nothing at present"
            return (text, "yellow")
        if self._happened is not None and self._monotonic() - self._happened[1] < _TOLD_SECONDS:
            return (self._happened[0], "yellow")
        if self._gap is not None and self._monotonic() - self._gap[2] < _TOLD_SECONDS:
            start_ms, end_ms, _ = self._gap
            return (f"{_clock(start_ms)} to {_clock(end_ms)} was not sent; the history has it", "yellow")
        return ("", "")

    def _overview(self, width: int, rows: int) -> list[Line]:
        devices = self._devices(width)
        above = overview(self._readings, width, rows if not devices else max(8, rows * 2 // 3))
        room = rows - len(above) - 1
        if not devices or room < 2:
            return above
        shown = devices if len(devices) <= room else devices[: room - 1]
        if len(shown) < len(devices):
            shown = [*shown, [(f"and {len(devices) - len(shown)} more", "bright_black")]]
        return [*above, [], *shown]

    def _devices(self, width: int) -> list[Line]:
        """Disks and network interfaces, one a line."""
        lines: list[Line] = []
        busy = self._readings.labelled.get("disk_busy_ratio", {})
        for label, family, directions in (
            ("I/O", "disk", ("read", "write")),
            ("Net", "network", ("receive", "transmit")),
        ):
            rates = [self._readings.rates.get(f"{family}_{direction}_bytes_total", {}) for direction in directions]
            for device in sorted({device for rate in rates for device in rate}):
                traffic = [
                    f"{arrow} {format_bytes(rate.get(device, 0.0)):>9}/s"
                    for arrow, rate in zip("↓↑", rates, strict=True)
                ]
                line: Line = [
                    (f"{label:7}", "bold"),
                    (padded(visible(device), 16 if width >= 60 else 8), ""),
                    ("  ".join(["", *traffic]), ""),
                ]
                if family == "disk" and device in busy:
                    line.append((f"  busy {busy[device] * 100:5.1f} %", ""))
                lines.append(line)
        return lines

    def _table(self, width: int, rows: int) -> list[Line]:
        """One line for each series: name, value, growth per second of a counter, the last values."""
        if not self._latest:
            return []
        names = {series: visible(str(series)) for series in self._latest}
        name_width = min(max(cells(name) for name in names.values()), _NAME_COLUMNS, max(8, width - _VALUE_COLUMNS - 1))
        ordered = sorted(self._latest, key=lambda series: (series.metric, series.labels))
        hidden = max(0, len(ordered) - rows)
        lines: list[Line] = []
        for series in ordered[: rows - 1 if hidden else rows]:
            latest = self._latest[series]
            if series.kind is Kind.COUNTER:
                text = format_rate(series.unit, math.nan if latest.rate is None else latest.rate)
            else:
                text = format_value(series.metric, series.unit, latest.value)
            spark_width = width - name_width - _VALUE_COLUMNS - 2
            line: Line = [(padded(names[series], name_width), ""), (f" {text:>{_VALUE_COLUMNS - 1}}", "bold")]
            if spark_width >= 8:
                highest = 1.0 if series.unit == "ratio" else None
                line.append(("  " + sparkline(self._series_history.get(series, ()), spark_width, highest), "cyan"))
            lines.append(line)
        if hidden:
            lines.append([(f"and {hidden + 1} more", "bright_black")])
        return lines


def _clock(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000).astimezone().strftime("%H:%M:%S")
