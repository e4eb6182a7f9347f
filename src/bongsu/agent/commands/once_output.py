"""``bongsu agent once``: what would be sent, as a table, as JSON or as Prometheus text.

Values stand as a person expects them beside top, free, df and ip: percent, KiB, and a rate for what is counted.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from bongsu.agent.collectors.base import Collector, Labels, Metric, Reading
from bongsu.core.samples import Process
from bongsu.core.series import Kind, family_of
from bongsu.core.units import format_bytes, format_duration

Key = tuple[str, Labels]
# What is an age or a lifetime reads better as 3d 4h than as 273600 s.
_LONG_TIMES = ("system_uptime_seconds", "battery_left_seconds", "agent_queue_age_seconds")


class Snapshot:
    """Two rounds of readings ``seconds`` apart: the values are those of the second."""

    def __init__(
        self, before: Iterable[Reading], now: Iterable[Reading], seconds: float, collectors: Iterable[Collector]
    ) -> None:
        self._before: dict[Key, float] = {(reading.metric, reading.labels): reading.value for reading in before}
        self.readings = list(now)
        self._seconds = seconds
        self.metrics: dict[str, Metric] = {}
        self.processes: list[Process] = []
        for one in collectors:
            self.processes += getattr(one, "processes", ())
            self.metrics |= {metric.name: metric for metric in one.metrics} | getattr(one, "found", {})

    def rate(self, reading: Reading) -> float | None:
        """Per second; None for a gauge and for what was not there before."""
        metric = self.metrics.get(reading.metric)
        before = self._before.get((reading.metric, reading.labels))
        if metric is None or metric.kind is not Kind.COUNTER or before is None or reading.value < before:
            return None
        return (reading.value - before) / self._seconds


def as_json(snapshot: Snapshot) -> str:
    """One object a series, then one a process; NaN is null."""
    series = [
        {
            "metric": reading.metric,
            "labels": dict(reading.labels),
            "type": family_of(reading.metric),
            "unit": snapshot.metrics[reading.metric].unit,
            "kind": snapshot.metrics[reading.metric].kind.value,
            "value": None if math.isnan(reading.value) else reading.value,
            "rate": snapshot.rate(reading),
        }
        for reading in snapshot.readings
    ]
    processes = [one._asdict() for one in snapshot.processes]
    return json.dumps({"series": series, "processes": processes}, indent=2, ensure_ascii=False)


def as_prometheus(snapshot: Snapshot) -> str:
    """The text format, https://prometheus.io/docs/instrumenting/exposition_formats/"""
    by_metric: dict[str, list[Reading]] = {}
    for reading in snapshot.readings:
        by_metric.setdefault(reading.metric, []).append(reading)
    lines = []
    for name, readings in by_metric.items():
        metric = snapshot.metrics[name]
        lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind.value}"]
        for reading in readings:
            labels = ",".join(f'{label}="{_escaped(value)}"' for label, value in reading.labels)
            value = "NaN" if math.isnan(reading.value) else repr(float(reading.value))
            lines.append(f"{name}{{{labels}}} {value}" if labels else f"{name} {value}")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def as_table(snapshot: Snapshot) -> str:
    """Families one after another; a metric with labels has a row for each. Processes stand at the end."""
    families: dict[str, list[tuple[str, str, str, str]]] = {}
    for reading in snapshot.readings:
        metric = snapshot.metrics[reading.metric]
        rate = snapshot.rate(reading)
        families.setdefault(family_of(reading.metric), []).append(
            (
                reading.metric,
                " ".join(f"{name}={value}" for name, value in reading.labels),
                humanise(metric, reading.value),
                "" if rate is None else per_second(metric, rate),
            )
        )
    rows = [row for family in families.values() for row in family]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines = []
    for family, members in families.items():
        lines += ["", family.upper()]
        last = ""
        for name, labels, value, speed in members:
            shown = "" if name == last else name
            last = name
            line = f"  {shown:{widths[0]}}  {labels:{widths[1]}}  {value:>{widths[2]}}  {speed:>{widths[3]}}"
            lines.append(line.rstrip())
    return "\n".join([*lines, *_process_rows(snapshot.processes)]).lstrip("\n")


def _process_rows(processes: Sequence[Process]) -> list[str]:
    if not processes:
        return []
    width = max(len(one.user) for one in processes)
    rows = ["", "PROCESSES"]
    for one in processes:
        share, size = f"{one.cpu_ratio * 100:.1f} %", format_bytes(one.memory_bytes)
        rows.append(f"  {one.pid:>7}  {one.user:{width}}  {share:>8}  {size:>10}  {one.name}")
    return rows


def humanise(metric: Metric, value: float) -> str:
    """A value as people read it; the numbers themselves are in the JSON."""
    if math.isnan(value):
        return "-"
    show = _SHOW.get(metric.unit)
    if metric.name in _LONG_TIMES:
        return format_duration(value)
    if show is not None and metric.name != "system_entropy_bits":
        return show(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def per_second(metric: Metric, rate: float) -> str:
    """A rate; time per second is a share."""
    if metric.unit == "seconds":
        return f"{rate * 100:.1f} %"
    if metric.unit == "bytes":
        return f"{format_bytes(rate)}/s"
    return f"{rate:,.1f}/s"


def _seconds(value: float) -> str:
    if value and abs(value) < 1:
        return f"{value * 1000:.2f} ms"
    return f"{value:,.1f} s"


def _bits(value: float) -> str:
    return f"{value / 1e9:g} Gbit/s" if value >= 1e9 else f"{value / 1e6:g} Mbit/s"


def _hertz(value: float) -> str:
    return f"{value / 1e9:.2f} GHz" if value >= 1e9 else f"{value / 1e6:.0f} MHz"


_SHOW: Mapping[str, Callable[[float], str]] = {
    "bytes": format_bytes,
    "ratio": lambda value: f"{value * 100:.1f} %",
    "celsius": lambda value: f"{value:.1f} °C",
    "seconds": _seconds,
    "bits": _bits,
    "joules": lambda value: f"{value:,.0f} J",
    "hertz": _hertz,
    "volts": lambda value: f"{value:.2f} V",
    "watts": lambda value: f"{value:.1f} W",
    "rpm": lambda value: f"{value:.0f} rpm",
}
