"""The widgets that the dashboard page knows, each with a version of its config.

A widget of another type or version is kept as it is (``OtherWidget``): an older Bongsu must not lose what a newer one
saved. The page shows a card that says so.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag

# PostgreSQL does not store NUL characters in text.
NO_NUL = r"^[^\x00]*$"
COLUMNS = 12
MOST_ROWS = 24
# Of a widget that is not known.
MOST_CONFIG_BYTES = 32_768

Text = Annotated[str, Field(max_length=200, pattern=NO_NUL)]
Metric = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[a-zA-Z_:$][a-zA-Z0-9_:$]*$")]
# Where something of a widget begins to be worth a look, in base units: bytes, seconds, 0 to 1.
Level = Literal["warning", "critical"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Place(_Part):
    """Where a widget is, in cells of a grid of 12 columns."""

    x: int = Field(ge=0, lt=COLUMNS)
    y: int = Field(ge=0, le=10_000)
    w: int = Field(ge=1, le=COLUMNS)
    h: int = Field(ge=1, le=MOST_ROWS)


class PhonePlace(_Part):
    """Where a widget is on a phone, which shows one column."""

    y: int = Field(ge=0, le=10_000, description="Its place in the order.")
    h: int = Field(ge=1, le=MOST_ROWS)
    hidden: bool = False


class WidgetServers(_Part):
    """Which servers. ``$name`` stands for the chosen values of a variable."""

    names: list[Text] = Field([], max_length=100, description="Names; `*` stands for anything. Empty: all servers.")
    tags: list[Text] = Field([], max_length=20, description="`role=web`, `role!=web`; all must match.")


class WidgetSource(_Part):
    """Which series, as ``GET /api/metrics/history`` selects them. ``$name`` stands for the values of a variable."""

    metrics: list[Metric] = Field(max_length=8)
    servers: WidgetServers = WidgetServers()
    labels: list[Text] = Field([], max_length=20, description="`device=eth0`, `mountpoint=/srv/*`; all must match.")
    combine: Literal["none", "avg", "max", "min", "sum", "p95", "count"] = "none"
    by: Text = Field("", description="With `combine`: `server`, `tag:NAME`, `label:NAME`; empty: all in one.")


class WidgetThreshold(_Part):
    """From which value on there is a level."""

    value: float = Field(allow_inf_nan=False)
    level: Level


Thresholds = Annotated[list[WidgetThreshold], Field(max_length=10)]
Bound = Annotated[float | None, Field(allow_inf_nan=False)]
Statistic = Literal["last", "avg", "min", "max", "sum"]


class ChartConfig(_Part):
    """Lines over time."""

    source: WidgetSource
    drawing: Literal["lines", "area", "stack", "log"] = "lines"
    low: Bound = Field(None, description="The lower end of the axis, in base units; null: as the values are.")
    high: Bound = None
    legend: bool = True
    compare: Literal["none", "day", "week"] = "none"
    thresholds: Thresholds = []


class StatConfig(_Part):
    """One number, with a line of how it came about."""

    source: WidgetSource
    statistic: Statistic = "last"
    spark: bool = True
    thresholds: Thresholds = []


class GaugeConfig(_Part):
    """One number between two bounds."""

    source: WidgetSource
    statistic: Statistic = "last"
    low: float = Field(0.0, allow_inf_nan=False)
    high: float = Field(1.0, allow_inf_nan=False)
    thresholds: Thresholds = []


class TopConfig(_Part):
    """Bars of the series with the highest or lowest values."""

    source: WidgetSource
    statistic: Statistic = "last"
    order: Literal["highest", "lowest"] = "highest"
    count: int = Field(10, ge=1, le=50)
    thresholds: Thresholds = []


class TableConfig(_Part):
    """A row for each server or series, a column for each metric."""

    source: WidgetSource
    statistic: Statistic = "last"
    count: int = Field(50, ge=1, le=500)


class HeatMapConfig(_Part):
    """A row for each series, coloured by its value over time."""

    source: WidgetSource
    low: Bound = None
    high: Bound = None
    count: int = Field(40, ge=1, le=100)


class ServersConfig(_Part):
    """The states of servers, what is wrong first."""

    servers: WidgetServers = WidgetServers()
    wrong_only: bool = Field(False, description="Only servers that are late or down, or have an alert.")


class AlertsConfig(_Part):
    """Open alerts, the most urgent first."""

    servers: WidgetServers = WidgetServers()
    severity: Literal["info", "warning", "critical"] = Field("info", description="At least this severe.")
    count: int = Field(20, ge=1, le=100)


class TextConfig(_Part):
    """Text in Markdown; HTML in it is shown as text."""

    markdown: str = Field("", max_length=20_000, pattern=NO_NUL)


class ClockConfig(_Part):
    """The time of day."""

    zone: str = Field("", max_length=64, pattern=NO_NUL, description="An IANA time zone; empty: as the reader set it.")
    seconds: bool = False


class _Widget(_Part):
    id: str = Field(min_length=1, max_length=32, pattern=r"^[a-z0-9-]+$", description="Unique in its dashboard.")
    title: str = Field("", max_length=100, pattern=NO_NUL, description="Empty: the page names it after its content.")
    place: Place
    phone: PhonePlace | None = Field(None, description="null: the page derives it from `place`.")


class ChartWidget(_Widget):
    type: Literal["chart"]
    version: Literal[1] = 1
    config: ChartConfig


class StatWidget(_Widget):
    type: Literal["stat"]
    version: Literal[1] = 1
    config: StatConfig


class GaugeWidget(_Widget):
    type: Literal["gauge"]
    version: Literal[1] = 1
    config: GaugeConfig


class TopWidget(_Widget):
    type: Literal["top"]
    version: Literal[1] = 1
    config: TopConfig


class TableWidget(_Widget):
    type: Literal["table"]
    version: Literal[1] = 1
    config: TableConfig


class HeatMapWidget(_Widget):
    type: Literal["heatmap"]
    version: Literal[1] = 1
    config: HeatMapConfig


class ServersWidget(_Widget):
    type: Literal["servers"]
    version: Literal[1] = 1
    config: ServersConfig


class AlertsWidget(_Widget):
    type: Literal["alerts"]
    version: Literal[1] = 1
    config: AlertsConfig


class TextWidget(_Widget):
    type: Literal["text"]
    version: Literal[1] = 1
    config: TextConfig


class ClockWidget(_Widget):
    type: Literal["clock"]
    version: Literal[1] = 1
    config: ClockConfig


def _bounded(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        size = len(json.dumps(config, allow_nan=False).encode())
    except (ValueError, RecursionError):
        raise ValueError("must be JSON") from None
    if size > MOST_CONFIG_BYTES:
        raise ValueError(f"must not be larger than {MOST_CONFIG_BYTES} bytes")
    return config


class OtherWidget(_Widget):
    """A widget of a type or version that this Bongsu does not know. It is kept as it is."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = Field(min_length=1, max_length=32, pattern=r"^[a-z0-9-]+$")
    version: int = Field(1, ge=1, le=1_000_000)
    config: Annotated[dict[str, JsonValue], AfterValidator(_bounded)] = {}


KNOWN: dict[str, type[_Widget]] = {
    "chart": ChartWidget,
    "stat": StatWidget,
    "gauge": GaugeWidget,
    "top": TopWidget,
    "table": TableWidget,
    "heatmap": HeatMapWidget,
    "servers": ServersWidget,
    "alerts": AlertsWidget,
    "text": TextWidget,
    "clock": ClockWidget,
}
VERSION = 1


def _kind(widget: Any) -> str:
    kind, version = (
        (widget.get("type"), widget.get("version", VERSION))
        if isinstance(widget, dict)
        else (getattr(widget, "type", None), getattr(widget, "version", VERSION))
    )
    return kind if isinstance(kind, str) and kind in KNOWN and version == VERSION else "other"


Widget = Annotated[
    Annotated[ChartWidget, Tag("chart")]
    | Annotated[StatWidget, Tag("stat")]
    | Annotated[GaugeWidget, Tag("gauge")]
    | Annotated[TopWidget, Tag("top")]
    | Annotated[TableWidget, Tag("table")]
    | Annotated[HeatMapWidget, Tag("heatmap")]
    | Annotated[ServersWidget, Tag("servers")]
    | Annotated[AlertsWidget, Tag("alerts")]
    | Annotated[TextWidget, Tag("text")]
    | Annotated[ClockWidget, Tag("clock")]
    | Annotated[OtherWidget, Tag("other")],
    Discriminator(_kind),
]
