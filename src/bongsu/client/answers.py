"""Answers with points, as Python, pandas or Polars has them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import polars

# Columns that labels of the same name do not replace.
_COLUMNS = ("time", "server_id", "metric", "value", "min", "max")


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one series. ``times``: Unix ms, the start of each bucket if the answer has a step; ``values``:
    None where there is none; ``min`` and ``max``: the extremes of each bucket, empty without a step.

    ``server_id``: None if the series of several servers were combined.
    """

    server_id: int | None
    metric: str
    labels: Mapping[str, str]
    times: list[int]
    values: list[float | None]
    min: list[float | None] = field(default_factory=list)
    max: list[float | None] = field(default_factory=list)
    unit: str = ""
    kind: str = "gauge"
    aggregation: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """An answer to a question for history. ``step_ms``: the length of the buckets; None: samples as they are stored.
    ``missing``: damaged parts of the archive, which are missing from the answer."""

    series: list[Series]
    start_ms: int
    end_ms: int
    step_ms: int | None = None
    resolution: str = "raw"
    missing: list[dict[str, Any]] = field(default_factory=list)

    def columns(self) -> dict[str, list[Any]]:
        """A row for each point: time (Unix ms), server_id, metric, value, min and max, and a column for each label. A
        label with the name of another column gets ``label_`` before it."""
        names = sorted({name for series in self.series for name in series.labels})
        table: dict[str, list[Any]] = {name: [] for name in (*_COLUMNS, *map(_column, names))}
        for series in self.series:
            count = len(series.times)
            table["time"] += series.times
            table["server_id"] += [series.server_id] * count
            table["metric"] += [series.metric] * count
            table["value"] += series.values
            table["min"] += series.min or [None] * count
            table["max"] += series.max or [None] * count
            for name in names:
                table[_column(name)] += [series.labels.get(name)] * count
        return table

    def to_pandas(self) -> "pandas.DataFrame":
        """``columns`` as a pandas frame; ``time`` is datetime64 in UTC, ``server_id`` may be missing. Needs pandas."""
        import pandas

        table = self.columns()
        for name in ("value", "min", "max"):
            table[name] = pandas.array(table[name], dtype="float64")  # type: ignore[assignment]
        frame = pandas.DataFrame(table)
        frame["time"] = pandas.to_datetime(frame["time"], unit="ms", utc=True)
        frame["server_id"] = frame["server_id"].astype("Int64")
        return frame

    def to_polars(self) -> "polars.DataFrame":
        """``columns`` as a Polars frame; ``time`` is a datetime in UTC. Needs polars."""
        import polars

        table = self.columns()
        types: dict[str, Any] = dict.fromkeys(table, polars.String)
        types |= {"time": polars.Int64, "server_id": polars.Int64}
        types |= dict.fromkeys(("value", "min", "max"), polars.Float64)
        frame = polars.DataFrame(table, schema=types)
        return frame.with_columns(polars.col("time").cast(polars.Datetime("ms")).dt.replace_time_zone("UTC"))


def _column(label: str) -> str:
    return f"label_{label}" if label in _COLUMNS else label


def series_of(entries: Iterable[Mapping[str, Any]]) -> list[Series]:
    """The series of a page of ``/api/metrics/history``."""
    return [
        Series(
            entry["server_id"],
            entry["metric"],
            entry["labels"],
            entry["times"],
            entry["values"],
            entry["min"] or [],
            entry["max"] or [],
            entry["unit"],
            entry["kind"],
            entry["aggregation"],
        )
        for entry in entries
    ]


def promql_series(result: Mapping[str, Any]) -> list[Series]:
    """The series of an answer in PromQL: a scalar or vector has one point each, a matrix many."""
    if result["resultType"] in ("scalar", "string"):
        return [_promql({}, [result["result"]])]
    return [
        _promql(entry["metric"], entry.get("values") or [entry["value"]])
        for entry in result["result"]
        if "values" in entry or "value" in entry
    ]


def _promql(metric: Mapping[str, str], points: list[tuple[float, str]]) -> Series:
    labels = dict(metric)
    name, server = labels.pop("__name__", ""), labels.pop("server", "")
    times = [round(time * 1000) for time, _ in points]
    # The text of a number, NaN or +Inf as PromQL writes them, which Python reads.
    values: list[float | None] = [float(text) for _, text in points]
    return Series(int(server) if server.isdecimal() else None, name, labels, times, values)
