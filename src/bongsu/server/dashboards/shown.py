"""What a shared dashboard shows: its document without what selects servers and series, and those selections, with the
variables as they are at first. Whoever has the link chooses none of it."""

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bongsu.core.errors import InvalidInput
from bongsu.server.dashboards.document import Dashboard
from bongsu.server.dashboards.redaction import Redactor
from bongsu.server.dashboards.widgets import (
    AlertsWidget,
    ChartWidget,
    GaugeWidget,
    HeatMapWidget,
    OtherWidget,
    ServersWidget,
    StatWidget,
    TextWidget,
    Widget,
    WidgetServers,
    WidgetSource,
)
from bongsu.server.fleet.selection import Selection, parse_filters
from bongsu.server.history.aggregation import Aggregation
from bongsu.server.history.groups import parse_grouping
from bongsu.server.history.query import Grouping

# Lines of a chart and rows of a heat map, as the dashboard page asks for them; anything else shows numbers.
_CHART_LINES = 60
_HEAT_MAP_ROWS = 100
_NUMBERS = 1_000

Choices = Mapping[str, Sequence[str]]
_VARIABLE = re.compile(r"\$([a-z][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class ShownWidget:
    """What a widget shows. ``source``: it shows series, at most so many ``lines``; None: servers or their alerts."""

    selection: Selection
    source: WidgetSource | None
    grouping: Grouping | None = None
    lines: int = 0

    @property
    def names_servers(self) -> bool:
        """Whether it tells servers apart."""
        return self.grouping is None or "server" in self.grouping.by


def shown_widgets(dashboard: Dashboard) -> dict[str, ShownWidget]:
    """Widget id -> what it shows, of all that show servers or series."""
    choices = _choices(dashboard)
    shown: dict[str, ShownWidget] = {}
    for widget in dashboard.widgets:
        # A filter that cannot be read costs only its widget.
        with contextlib.suppress(InvalidInput):
            if isinstance(widget, ServersWidget | AlertsWidget):
                shown[widget.id] = ShownWidget(_selection(widget.config.servers, choices), None)
            elif source := _source(widget):
                selection = _selection(source.servers, choices, source)
                shown[widget.id] = ShownWidget(selection, source, _grouping(source), _lines(widget))
    return shown


def redacted(dashboard: Dashboard, redactor: Redactor) -> Dashboard:
    """The document as those see it who have the link."""
    choices = _choices(dashboard)
    widgets = [_redacted(widget, redactor, choices) for widget in dashboard.widgets]
    texts = {"title": redactor.text(dashboard.title), "description": redactor.text(dashboard.description)}
    return dashboard.model_copy(update={**texts, "tags": [], "variables": [], "widgets": widgets})


def _redacted(widget: Widget, redactor: Redactor, choices: Choices) -> Widget:
    title = redactor.text(widget.title)
    if isinstance(widget, OtherWidget):
        # What it holds is not known, so nothing of it is shown.
        return OtherWidget(
            id=widget.id,
            type=widget.type,
            version=widget.version,
            title=title,
            place=widget.place,
            phone=widget.phone,
        )
    config = widget.config
    changes: dict[str, object] = {}
    # Also of a widget that has no metrics yet, and shows nothing.
    source = getattr(config, "source", None)
    if isinstance(source, WidgetSource):
        metrics = [redactor.text(_filled(metric, choices) or metric) for metric in source.metrics]
        changes["source"] = WidgetSource(metrics=metrics, combine=source.combine, by=source.by)
    if isinstance(widget, ServersWidget | AlertsWidget):
        changes["servers"] = WidgetServers()
    if isinstance(widget, TextWidget):
        changes["markdown"] = redactor.text(widget.config.markdown)
    changed: Widget = widget.model_copy(update={"title": title, "config": config.model_copy(update=changes)})
    return changed


def _choices(dashboard: Dashboard) -> Choices:
    """Variable -> what is chosen at first; nothing: all."""
    return {one.name: one.values if one.multiple else one.values[:1] for one in dashboard.variables}


def _source(widget: Widget) -> WidgetSource | None:
    source = getattr(widget.config, "source", None)
    return source if isinstance(source, WidgetSource) and source.metrics else None


def _filled(text: str, choices: Choices) -> str | None:
    """A filter such as ``role=$role``; None: it filters nothing, since nothing is chosen."""
    named = [name for name in _VARIABLE.findall(text) if name in choices]
    if any(not choices[name] for name in named):
        return None
    return _VARIABLE.sub(lambda found: "|".join(choices.get(found[1], [found[0]])), text)


def _selection(servers: WidgetServers, choices: Choices, source: WidgetSource | None = None) -> Selection:
    def filters(texts: Sequence[str]) -> list[str]:
        return [filled for text in texts if (filled := _filled(text, choices)) is not None]

    # Several names are alternatives, so one that stands for all makes the others needless.
    names = [choices.get(name[1:], [name]) if name.startswith("$") else [name] for name in servers.names]
    chosen = [name for several in names for name in several] if all(names) else []
    return Selection(
        metrics=frozenset(_filled(metric, choices) or metric for metric in source.metrics) if source else frozenset(),
        labels=parse_filters(filters(source.labels), field="labels") if source else (),
        names=tuple(chosen),
        tags=parse_filters(filters(servers.tags), field="tags"),
    )


def _grouping(source: WidgetSource) -> Grouping | None:
    if source.combine == "none":
        return None
    return parse_grouping(Aggregation(source.combine), [source.by] if source.by else [])


def _lines(widget: Widget) -> int:
    if isinstance(widget, ChartWidget):
        return _CHART_LINES
    if isinstance(widget, HeatMapWidget):
        return _HEAT_MAP_ROWS
    return 1 if isinstance(widget, StatWidget | GaugeWidget) else _NUMBERS
