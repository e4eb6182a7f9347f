"""Draws the screen of ``bongsu agent top`` as lines of styled text."""

from bongsu.agent.commands.top_readings import TopReadings
from bongsu.core.text import visible
from bongsu.core.units import format_bytes
from bongsu.terminal.lines import Line, fit, level
from bongsu.terminal.overview import overview, uptime_and_load

# From this width on, processes are shown beside the overview.
WIDE_COLUMNS = 120


def host_lines(readings: TopReadings, width: int, rows: int) -> list[Line]:
    """The host's name, how long it is up and its load, then the overview, in at most ``rows`` lines."""
    lines: list[Line] = [[(readings.hostname[:30], "bold"), (f"   {uptime_and_load(readings)}", "")]]
    if rows >= 10:
        lines.append([])
    return lines + overview(readings, width, rows - len(lines))


def process_lines(readings: TopReadings, width: int, rows: int) -> list[Line]:
    """The processes that use most CPU, then most memory."""
    head = f"{'PID':>7} {'CPU':>6} {'MEMORY':>9} {'THR':>4} S  "
    lines: list[Line] = [[((head + "NAME").ljust(width)[:width], "bold reverse")]]
    order = sorted(readings.processes, key=lambda process: (-round(process.cpu_ratio, 3), -process.memory_bytes))
    for process in order[: max(0, rows - 1)]:
        size = format_bytes(process.memory_bytes)
        numbers = f"{process.pid:>7} {process.cpu_ratio * 100:5.1f}% {size:>9} {process.threads:>4} {process.state}  "
        style = level(process.cpu_ratio) if process.cpu_ratio >= 0.7 else ""
        lines.append([(numbers, style), (visible(process.name), "")])
    return lines


def screen(readings: TopReadings, width: int, height: int) -> list[Line]:
    """All lines, none longer than ``width``. Processes are below the overview, or beside it on a wide terminal."""
    footer: Line = [("Ctrl-C exits", "bright_black")]
    if width >= WIDE_COLUMNS:
        left_width = width // 2 - 1
        left = host_lines(readings, left_width, height - 1)
        right = process_lines(readings, width - left_width - 2, height - 1)
        rows = []
        for row_number in range(height - 1):
            left_row = fit(left[row_number] if row_number < len(left) else [], left_width, fill=True)
            right_row = right[row_number] if row_number < len(right) else []
            rows.append([*left_row, ("  ", ""), *right_row])
        return [fit(row, width) for row in [*rows, footer]]
    above = host_lines(readings, width, max(8, height // 2))
    below = process_lines(readings, width, max(0, height - len(above) - 2))
    return [fit(row, width) for row in [*above, [], *below, footer]][:height]
