"""Lines of styled text: bars, sparklines, gauges, and how wide they are."""

import unicodedata
from collections.abc import Sequence

SPARKS = "▁▂▃▄▅▆▇█"

Style = str
Line = list[tuple[str, Style]]


def cells(text: str) -> int:
    """How many columns a terminal takes for it: two for Korean, Chinese and Japanese characters."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(character) for character in text)


def _cells_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """The longest beginning that takes at most ``width`` columns."""
    if cells(text) <= width:
        return text
    used = 0
    for index, character in enumerate(text):
        used += _cells_of(character)
        if used > width:
            return text[:index]
    return text


def padded(text: str, width: int) -> str:
    """The text in exactly ``width`` columns; what is longer ends with an ellipsis."""
    if cells(text) > width:
        text = cut(text, max(0, width - 1)) + "…" if width > 0 else ""
    return text + " " * (width - cells(text))


def fit(line: Line, width: int, *, fill: bool = False) -> Line:
    """The line cut to ``width`` columns; ``fill``: to exactly so many."""
    fitted: Line = []
    remaining = width
    for text, style in line:
        shown = cut(text, remaining)
        fitted.append((shown, style))
        remaining -= cells(shown)
        if len(shown) < len(text):  # nothing after a text that was cut
            break
    if fill and remaining:
        fitted.append((" " * remaining, ""))
    return fitted


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
    top = len(SPARKS) - 1
    steps = [max(0, min(top, int(value / full_height * top + 0.5))) for value in recent]
    return "".join(SPARKS[step] for step in steps).rjust(width)


def gauge_line(label: str, ratio: float, note: str, width: int, history: Sequence[float] | None) -> Line:
    """``CPU  ████····  42.0 %  note  ▁▂▃``; the sparkline takes the remaining columns."""
    bar_width = max(10, min(40, width // 4))
    line: Line = [(f"{label[:6]:7}", "bold"), *bar(ratio, bar_width), (f"{ratio * 100:6.1f} % ", level(ratio))]
    line.append((note, ""))
    remaining = width - sum(cells(text) for text, _ in line) - 1
    if history is not None and remaining >= 8:
        line.append((" " + sparkline(history, remaining, highest=1.0), "cyan"))
    return line
