"""``bongsu agent top``: this machine live in the terminal, from the same collectors that the agent sends from."""

import socket
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from bongsu.agent.collectors.base import Reading
from bongsu.agent.collectors.cpu import CpuCollector
from bongsu.agent.collectors.disk import DiskCollector
from bongsu.agent.collectors.memory import MemoryCollector
from bongsu.agent.collectors.network import NetworkCollector
from bongsu.agent.collectors.processes import Process, ProcessSampler
from bongsu.agent.collectors.system import SystemCollector
from bongsu.agent.config import load
from bongsu.agent.wiring import NAMES, collectors
from bongsu.core.errors import ConfigError
from bongsu.core.units import format_bytes, format_duration

REFRESH_SECONDS = 1.0
# The longest sparkline is that of a very wide terminal.
HISTORY = 240
WIDE = 120
SPARKS = "▁▂▃▄▅▆▇█"
_SHOWN = (CpuCollector, MemoryCollector, DiskCollector, NetworkCollector, SystemCollector)

Style = str
Line = list[tuple[str, Style]]


@dataclass(slots=True)
class View:
    """What one screen shows."""

    hostname: str = ""
    values: dict[str, float] = field(default_factory=dict)
    labelled: dict[str, dict[str, float]] = field(default_factory=dict)
    rates: dict[str, dict[str, float]] = field(default_factory=dict)
    history: dict[str, deque[float]] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)


class Watcher:
    """Takes readings and keeps their recent past."""

    def __init__(self, wanted: Sequence[object]) -> None:
        self._collectors = [collector for collector in wanted if isinstance(collector, _SHOWN)]
        self._sampler = ProcessSampler()
        self._counters: dict[tuple[str, str], float] = {}
        self._at = 0.0
        self.view = View(socket.gethostname())

    def look(self) -> View:
        now = time.monotonic()
        passed, self._at = now - self._at, now
        view = self.view
        view.values.clear()
        view.labelled.clear()
        view.rates.clear()
        for collector in self._collectors:
            for reading in collector.collect():
                self._take(reading, passed)
        view.processes = self._sampler.look()
        self._remember("cpu", view.values.get("cpu_usage_ratio", 0.0))
        self._remember("memory", view.values.get("memory_usage_ratio", 0.0))
        for way in ("receive", "transmit"):
            self._remember(way, sum(view.rates.get(f"network_{way}_bytes_total", {}).values()))
        for way in ("read", "write"):
            self._remember(way, sum(view.rates.get(f"disk_{way}_bytes_total", {}).values()))
        return view

    def _take(self, reading: Reading, passed: float) -> None:
        if not reading.labels:
            self.view.values[reading.metric] = reading.value
            return
        name = reading.labels[-1][1]
        self.view.labelled.setdefault(reading.metric, {})[name] = reading.value
        if reading.metric.endswith("_bytes_total"):
            key = (reading.metric, name)
            before = self._counters.get(key, reading.value)
            self._counters[key] = reading.value
            self.view.rates.setdefault(reading.metric, {})[name] = max(0.0, reading.value - before) / max(passed, 1e-9)

    def _remember(self, name: str, value: float) -> None:
        self.view.history.setdefault(name, deque(maxlen=HISTORY)).append(value)


def level(ratio: float) -> Style:
    """Green, yellow from 70 %, red from 90 %."""
    return "red" if ratio >= 0.9 else "yellow" if ratio >= 0.7 else "green"


def bar(ratio: float, width: int) -> Line:
    """A bar of exactly ``width`` columns; eighths of a column are shown."""
    ratio = min(1.0, max(0.0, ratio))
    eighths = round(ratio * width * 8)
    full = "█" * (eighths // 8)
    if eighths % 8:
        full += "▏▎▍▌▋▊▉"[eighths % 8 - 1]
    return [(full, level(ratio)), ("·" * (width - len(full)), "bright_black")]


def sparkline(values: Sequence[float], width: int, top: float | None = None) -> str:
    """The newest ``width`` values, the newest on the right. ``top``: what is full height; the largest, if not given."""
    recent = list(values)[-width:] if width > 0 else []
    highest = top or max(recent, default=0.0)
    if highest <= 0:
        return (SPARKS[0] * len(recent)).rjust(width)
    steps = [min(len(SPARKS) - 1, int(value / highest * (len(SPARKS) - 1) + 0.5)) for value in recent]
    return "".join(SPARKS[step] for step in steps).rjust(width)


def gauge_line(label: str, ratio: float, note: str, width: int, history: Sequence[float] | None) -> Line:
    """``CPU  ████····  42.0 %  note  ▁▂▃``; the sparkline takes what is left over."""
    bar_width = max(10, min(40, width // 4))
    line: Line = [(f"{label[:6]:7}", "bold"), *bar(ratio, bar_width), (f"{ratio * 100:6.1f} % ", level(ratio))]
    line.append((note, ""))
    rest = width - sum(len(text) for text, _ in line) - 1
    if history is not None and rest >= 8:
        line.append((" " + sparkline(history, rest, top=1.0), "cyan"))
    return line


def overview(view: View, width: int, rows: int) -> list[Line]:
    """Header, CPU, memory, disks and network, in at most ``rows`` lines."""
    values = view.values
    loads = " ".join(f"{values[name]:.2f}" for name in ("load_1m", "load_5m", "load_15m") if name in values)
    up = format_duration(values.get("system_uptime_seconds", 0.0))
    lines: list[Line] = [[(view.hostname[:30], "bold"), (f"   up {up}   load {loads}", "")]]
    roomy = rows >= 10
    if roomy:
        lines.append([])
    cores = view.labelled.get("cpu_core_usage_ratio", {})
    note = f"{values.get('cpu_cores', 0):.0f} cores"
    lines.append(gauge_line("CPU", values.get("cpu_usage_ratio", 0.0), note, width, view.history.get("cpu")))
    if roomy and 1 < len(cores) <= 64:
        lines.append([("cores  ", "bold"), *((SPARKS[min(7, int(use * 7.5))], level(use)) for use in cores.values())])
    total, free = values.get("memory_total_bytes", 0.0), values.get("memory_available_bytes", 0.0)
    note = f"{format_bytes(total - free)} of {format_bytes(total)}"
    lines.append(gauge_line("Memory", values.get("memory_usage_ratio", 0.0), note, width, view.history.get("memory")))
    if "swap_usage_ratio" in values:
        note = f"{format_bytes(values['swap_used_bytes'])} of {format_bytes(values['swap_total_bytes'])}"
        lines.append(gauge_line("Swap", values["swap_usage_ratio"], note, width, None))
    used = view.labelled.get("filesystem_usage_ratio", {})
    for mount in sorted(used, key=lambda mount: -used[mount])[: max(1, rows - len(lines) - 4)]:
        size = view.labelled["filesystem_total_bytes"][mount]
        lines.append(gauge_line("Disk", used[mount], f"{mount} of {format_bytes(size)}", width, None))
    for label, ways in (("I/O", ("read", "write")), ("Net", ("receive", "transmit"))):
        lines.append(_flow(label, ways, view, width))
    return lines[:rows]


def _flow(label: str, ways: tuple[str, str], view: View, width: int) -> Line:
    line: Line = [(f"{label:7}", "bold")]
    each = (width - 7) // 2
    for way, arrow in zip(ways, "↓↑", strict=True):
        past = view.history.get(way, deque())
        text = f"{arrow} {format_bytes(past[-1] if past else 0.0):>9}/s "
        line += [(text, ""), (sparkline(past, max(0, each - len(text) - 1)) + " ", "cyan")]
    return line


def process_lines(view: View, width: int, rows: int) -> list[Line]:
    """The processes that take most CPU, then most memory."""
    head = f"{'PID':>7} {'CPU':>6} {'MEMORY':>9} {'THR':>4} S  "
    lines: list[Line] = [[((head + "NAME").ljust(width)[:width], "bold reverse")]]
    order = sorted(view.processes, key=lambda one: (-round(one.cpu_ratio, 3), -one.memory_bytes))
    for one in order[: max(0, rows - 1)]:
        size = format_bytes(one.memory_bytes)
        numbers = f"{one.pid:>7} {one.cpu_ratio * 100:5.1f}% {size:>9} {one.threads:>4} {one.state}  "
        lines.append([(numbers, level(one.cpu_ratio) if one.cpu_ratio >= 0.7 else ""), (one.name, "")])
    return lines


def screen(view: View, width: int, height: int) -> list[Line]:
    """All lines, none longer than ``width``; processes stand below, or beside where there is room for both."""
    foot: Line = [("Ctrl-C ends", "bright_black")]
    if width >= WIDE:
        left_width = width // 2 - 1
        left = overview(view, left_width, height - 1)
        right = process_lines(view, width - left_width - 2, height - 1)
        rows = []
        for number in range(height - 1):
            beside = _fit(left[number] if number < len(left) else [], left_width, fill=True)
            rows.append([*beside, ("  ", ""), *(right[number] if number < len(right) else [])])
        return [_fit(row, width) for row in [*rows, foot]]
    above = overview(view, width, max(8, height // 2))
    below = process_lines(view, width, max(0, height - len(above) - 2))
    return [_fit(row, width) for row in [*above, [], *below, foot]][:height]


def _fit(line: Line, width: int, *, fill: bool = False) -> Line:
    fitted: Line = []
    left = width
    for text, style in line:
        fitted.append((text[:left], style))
        left -= min(left, len(text))
    if fill and left:
        fitted.append((" " * left, ""))
    return fitted


def top(file: str, flags: Mapping[str, str]) -> int:
    """Until Ctrl-C. Raises ConfigError where there is no terminal, or no rich."""
    try:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text
    except ImportError:
        raise ConfigError("top needs the package rich: pip install 'bongsu[cli]'.") from None
    if not sys.stdout.isatty():
        raise ConfigError("top needs a terminal; 'bongsu agent once' prints to anything.")
    config = load(NAMES, file=file, flags=flags)
    if psutil.LINUX and not psutil.pids():
        raise ConfigError(f"{psutil.PROCFS_PATH} shows no process; is it mounted?")
    watcher = Watcher([collector for collector, _ in collectors(config, lambda *_: None, lambda *_: None)])
    console = Console()

    def drawn() -> Text:
        lines = screen(watcher.look(), console.width, console.height)
        return Text("\n").join(Text.assemble(*line) for line in lines)

    watcher.look()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(drawn(), refresh=True)
                time.sleep(REFRESH_SECONDS)
        except KeyboardInterrupt:
            return 0
