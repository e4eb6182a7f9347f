"""Draws the screen of ``bongsu agent top`` as lines of styled text."""

from collections.abc import Sequence

from bongsu.agent.commands.top_readings import TopReadings
from bongsu.core.units import format_bytes, format_duration

# From this width on, processes are shown beside the overview.
WIDE_COLUMNS = 120
SPARKS = "▁▂▃▄▅▆▇█"

Style = str
Line = list[tuple[str, Style]]


def level(ratio: float) -> Style:
    """Green, yellow from 70 %, red from 90 %."""
    return "red" if ratio >= 0.9 else "yellow" if ratio >= 0.7 else "green"


def bar(ratio: float, width: int) -> Line:
    """A bar of exactly ``width`` columns, with a resolution of an eighth of a column."""
    ratio = min(1.0, max(0.0, ratio))
    eighths = round(ratio * width * 8)
    full = "█" * (eighths // 8)
    if eighths % 8:
        full += "▏▎▍▌▋▊▉"[eighths % 8 - 1]
    return [(full, level(ratio)), ("·" * (width - len(full)), "bright_black")]


def sparkline(values: Sequence[float], width: int, highest: float | None = None) -> str:
    """The newest ``width`` values, the newest on the right. ``highest``: the value of full height, by default the
    largest."""
    recent = list(values)[-width:] if width > 0 else []
    full_height = highest or max(recent, default=0.0)
    if full_height <= 0:
        return (SPARKS[0] * len(recent)).rjust(width)
    steps = [min(len(SPARKS) - 1, int(value / full_height * (len(SPARKS) - 1) + 0.5)) for value in recent]
    return "".join(SPARKS[step] for step in steps).rjust(width)


def gauge_line(label: str, ratio: float, note: str, width: int, history: Sequence[float] | None) -> Line:
    """``CPU  ████····  42.0 %  note  ▁▂▃``; the sparkline takes the remaining columns."""
    bar_width = max(10, min(40, width // 4))
    line: Line = [(f"{label[:6]:7}", "bold"), *bar(ratio, bar_width), (f"{ratio * 100:6.1f} % ", level(ratio))]
    line.append((note, ""))
    remaining = width - sum(len(text) for text, _ in line) - 1
    if history is not None and remaining >= 8:
        line.append((" " + sparkline(history, remaining, highest=1.0), "cyan"))
    return line


def overview(readings: TopReadings, width: int, rows: int) -> list[Line]:
    """Header, CPU, memory, filesystems, disk and network traffic, in at most ``rows`` lines."""
    values = readings.values
    loads = " ".join(f"{values[name]:.2f}" for name in ("load_1m", "load_5m", "load_15m") if name in values)
    up = format_duration(values.get("system_uptime_seconds", 0.0))
    lines: list[Line] = [[(readings.hostname[:30], "bold"), (f"   up {up}   load {loads}", "")]]
    has_room = rows >= 10
    if has_room:
        lines.append([])
    cores = readings.labelled.get("cpu_core_usage_ratio", {})
    note = f"{values.get('cpu_cores', 0):.0f} cores"
    lines.append(gauge_line("CPU", values.get("cpu_usage_ratio", 0.0), note, width, readings.history.get("cpu")))
    if has_room and 1 < len(cores) <= 64:
        sparks = [(SPARKS[min(7, int(usage * 7.5))], level(usage)) for usage in cores.values()]
        lines.append([("cores  ", "bold"), *sparks])
    total, available = values.get("memory_total_bytes", 0.0), values.get("memory_available_bytes", 0.0)
    note = f"{format_bytes(total - available)} of {format_bytes(total)}"
    lines.append(
        gauge_line("Memory", values.get("memory_usage_ratio", 0.0), note, width, readings.history.get("memory"))
    )
    if "swap_usage_ratio" in values:
        note = f"{format_bytes(values['swap_used_bytes'])} of {format_bytes(values['swap_total_bytes'])}"
        lines.append(gauge_line("Swap", values["swap_usage_ratio"], note, width, None))
    usage_by_mount = readings.labelled.get("filesystem_usage_ratio", {})
    for mount in sorted(usage_by_mount, key=lambda mount: -usage_by_mount[mount])[: max(1, rows - len(lines) - 4)]:
        size = readings.labelled["filesystem_total_bytes"][mount]
        lines.append(gauge_line("Disk", usage_by_mount[mount], f"{mount} of {format_bytes(size)}", width, None))
    for label, directions in (("I/O", ("read", "write")), ("Net", ("receive", "transmit"))):
        lines.append(_traffic_line(label, directions, readings, width))
    return lines[:rows]


def _traffic_line(label: str, directions: tuple[str, str], readings: TopReadings, width: int) -> Line:
    line: Line = [(f"{label:7}", "bold")]
    column_width = (width - 7) // 2
    for direction, arrow in zip(directions, "↓↑", strict=True):
        history = readings.history.get(direction, ())
        text = f"{arrow} {format_bytes(history[-1] if history else 0.0):>9}/s "
        line += [(text, ""), (sparkline(history, max(0, column_width - len(text) - 1)) + " ", "cyan")]
    return line


def process_lines(readings: TopReadings, width: int, rows: int) -> list[Line]:
    """The processes that use most CPU, then most memory."""
    head = f"{'PID':>7} {'CPU':>6} {'MEMORY':>9} {'THR':>4} S  "
    lines: list[Line] = [[((head + "NAME").ljust(width)[:width], "bold reverse")]]
    order = sorted(readings.processes, key=lambda process: (-round(process.cpu_ratio, 3), -process.memory_bytes))
    for process in order[: max(0, rows - 1)]:
        size = format_bytes(process.memory_bytes)
        numbers = f"{process.pid:>7} {process.cpu_ratio * 100:5.1f}% {size:>9} {process.threads:>4} {process.state}  "
        lines.append([(numbers, level(process.cpu_ratio) if process.cpu_ratio >= 0.7 else ""), (process.name, "")])
    return lines


def screen(readings: TopReadings, width: int, height: int) -> list[Line]:
    """All lines, none longer than ``width``. Processes are below the overview, or beside it on a wide terminal."""
    footer: Line = [("Ctrl-C exits", "bright_black")]
    if width >= WIDE_COLUMNS:
        left_width = width // 2 - 1
        left = overview(readings, left_width, height - 1)
        right = process_lines(readings, width - left_width - 2, height - 1)
        rows = []
        for row_number in range(height - 1):
            left_row = _fit(left[row_number] if row_number < len(left) else [], left_width, fill=True)
            right_row = right[row_number] if row_number < len(right) else []
            rows.append([*left_row, ("  ", ""), *right_row])
        return [_fit(row, width) for row in [*rows, footer]]
    above = overview(readings, width, max(8, height // 2))
    below = process_lines(readings, width, max(0, height - len(above) - 2))
    return [_fit(row, width) for row in [*above, [], *below, footer]][:height]


def _fit(line: Line, width: int, *, fill: bool = False) -> Line:
    fitted: Line = []
    remaining = width
    for text, style in line:
        fitted.append((text[:remaining], style))
        remaining -= min(remaining, len(text))
    if fill and remaining:
        fitted.append((" " * remaining, ""))
    return fitted
