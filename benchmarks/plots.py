"""Bar charts as SVG: readable on light and dark pages, and without anything to install."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABEL_WIDTH, NUMBER_WIDTH = 760, 280, 90
ROW, GAP, TOP = 22, 10, 44

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px }
.unit, .other-label { fill: #57606a }
.own { fill: #0f766e }
.other { fill: #a3adb8 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .unit, .other-label { fill: #9da7b3 }
  .own { fill: #2dd4bf }
  .other { fill: #57606a }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar. ``own``: of Bongsu; ``group``: bars of different groups are set apart, and each group has a scale."""

    label: str
    value: float
    own: bool
    group: str = ""


def number(value: float) -> str:
    """A figure with three digits that count."""
    if value >= 1_000_000:
        return f"{value / 1e6:.2f} M"
    if value >= 10_000:
        return f"{value / 1e3:,.0f} k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def bars(title: str, unit: str, found: Sequence[Bar]) -> str:
    """The chart; its title and figures are also text, which screen readers and searches find."""
    room = WIDTH - LABEL_WIDTH - NUMBER_WIDTH
    parts: list[str] = []
    y, group = TOP, found[0].group if found else ""
    for bar in found:
        if bar.group != group:
            group, y = bar.group, y + GAP
        most = max(other.value for other in found if other.group == bar.group) or 1.0
        length = max(1.0, bar.value / most * room)
        kind = "own" if bar.own else "other"
        label = f"{bar.group}, {bar.label}" if bar.group else bar.label
        parts.append(
            f'<text x="{LABEL_WIDTH - 10}" y="{y + 15}" text-anchor="end" class="{kind}-label">{escape(label)}</text>'
            f'<rect x="{LABEL_WIDTH}" y="{y + 2}" width="{length:.1f}" height="{ROW - 6}" rx="2" class="{kind}"/>'
            f'<text x="{LABEL_WIDTH + length + 8:.1f}" y="{y + 15}">{number(bar.value)}</text>'
        )
        y += ROW
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + GAP}" role="img">'
        f"<title>{escape(title)} ({escape(unit)})</title><style>{_STYLE}</style>"
        f'<text x="0" y="18" class="title">{escape(title)}</text>'
        f'<text x="{WIDTH}" y="18" text-anchor="end" class="unit">{escape(unit)}</text>'
    )
    return head + "".join(parts) + "</svg>\n"
