"""The readings of one server, and the overview of them: CPU, memory, filesystems, disk and network traffic."""

from collections import deque
from dataclasses import dataclass, field

from bongsu.core.text import visible
from bongsu.core.units import format_bytes, format_duration
from bongsu.terminal.lines import SPARKS, Line, gauge_line, level, sparkline

# As many values as the sparkline of a very wide terminal shows.
HISTORY_VALUES = 240


@dataclass(slots=True)
class Readings:
    """``values``: metric -> value. ``labelled`` and ``rates``: metric -> value of the last label -> value, or growth
    per second. What has no value is absent. ``history``: cpu, memory, read, write, receive, transmit -> last values."""

    values: dict[str, float] = field(default_factory=dict)
    labelled: dict[str, dict[str, float]] = field(default_factory=dict)
    rates: dict[str, dict[str, float]] = field(default_factory=dict)
    history: dict[str, deque[float]] = field(default_factory=dict)

    def remember(self) -> None:
        """Adds the present values to the history."""
        self._remember("cpu", self.values.get("cpu_usage_ratio", 0.0))
        self._remember("memory", self.values.get("memory_usage_ratio", 0.0))
        for family, directions in (("network", ("receive", "transmit")), ("disk", ("read", "write"))):
            for direction in directions:
                rates = self.rates.get(f"{family}_{direction}_bytes_total", {})
                self._remember(direction, sum(rates.values()))

    def _remember(self, name: str, value: float) -> None:
        self.history.setdefault(name, deque(maxlen=HISTORY_VALUES)).append(value)


def uptime_and_load(readings: Readings) -> str:
    """``up 11d 13h   load 1.00 2.00 3.00``"""
    values = readings.values
    parts = []
    if "system_uptime_seconds" in values:
        parts.append(f"up {format_duration(values['system_uptime_seconds'])}")
    loads = [f"{values[name]:.2f}" for name in ("load_1m", "load_5m", "load_15m") if name in values]
    if loads:
        parts.append(f"load {' '.join(loads)}")
    return "   ".join(parts)


def overview(readings: Readings, width: int, rows: int) -> list[Line]:
    """At most ``rows`` lines; what has no value is left out."""
    values = readings.values
    lines: list[Line] = []
    if "cpu_usage_ratio" in values:
        note = f"{values['cpu_cores']:.0f} cores" if "cpu_cores" in values else ""
        lines.append(gauge_line("CPU", values["cpu_usage_ratio"], note, width, readings.history.get("cpu")))
    cores = readings.labelled.get("cpu_core_usage_ratio", {})
    if rows >= 8 and 1 < len(cores) <= 64:
        sparks = [(SPARKS[max(0, min(7, int(usage * 7.5)))], level(usage)) for usage in cores.values()]
        lines.append([("cores  ", "bold"), *sparks])
    if "memory_usage_ratio" in values:
        note = ""
        if "memory_total_bytes" in values and "memory_available_bytes" in values:
            total, available = values["memory_total_bytes"], values["memory_available_bytes"]
            note = f"{format_bytes(total - available)} of {format_bytes(total)}"
        lines.append(gauge_line("Memory", values["memory_usage_ratio"], note, width, readings.history.get("memory")))
    if "swap_usage_ratio" in values:
        note = f"{format_bytes(values.get('swap_used_bytes', 0))} of {format_bytes(values.get('swap_total_bytes', 0))}"
        lines.append(gauge_line("Swap", values["swap_usage_ratio"], note, width, None))
    usage_by_mount = readings.labelled.get("filesystem_usage_ratio", {})
    sizes = readings.labelled.get("filesystem_total_bytes", {})
    for mount in sorted(usage_by_mount, key=lambda mount: -usage_by_mount[mount])[: max(1, rows - len(lines) - 4)]:
        note = visible(mount) + (f" of {format_bytes(sizes[mount])}" if mount in sizes else "")
        lines.append(gauge_line("Disk", usage_by_mount[mount], note, width, None))
    for label, family, directions in (("I/O", "disk", ("read", "write")), ("Net", "network", ("receive", "transmit"))):
        if any(f"{family}_{direction}_bytes_total" in readings.rates for direction in directions):
            lines.append(_traffic_line(label, directions, readings, width))
    return lines[:rows]


def _traffic_line(label: str, directions: tuple[str, str], readings: Readings, width: int) -> Line:
    line: Line = [(f"{label:7}", "bold")]
    column_width = (width - 7) // 2
    for direction, arrow in zip(directions, "↓↑", strict=True):
        history = readings.history.get(direction, ())
        text = f"{arrow} {format_bytes(history[-1] if history else 0.0):>9}/s "
        line += [(text, ""), (sparkline(history, max(0, column_width - len(text) - 1)) + " ", "cyan")]
    return line
