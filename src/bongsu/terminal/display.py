"""From lines to what the package rich prints. Only this module needs it, when somebody looks."""

from collections.abc import Iterable

from rich.text import Text

from bongsu.terminal.lines import Line


def as_text(lines: Iterable[Line]) -> Text:
    """The lines, one below the other; nothing wraps."""
    text = Text("\n", no_wrap=True, overflow="crop").join(Text.assemble(*line) for line in lines)
    text.no_wrap, text.overflow = True, "crop"
    return text
