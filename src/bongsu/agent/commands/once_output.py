"""The output of ``bongsu agent once``: a table, JSON or Prometheus text.

The table shows values as top, free, df and ip do: percent, KiB, and a rate for counters.
"""

import json
import math
from collections.abc import Iterable, Sequence

from bongsu.agent.collectors.base import Collector, Metric, Reading, SeriesKey
from bongsu.core.samples import Container, Process
from bongsu.core.series import Kind, family_of
from bongsu.core.units import format_bytes, format_rate, format_value


class RatedReadings:
    """The ``current`` readings, with rates since the ``previous`` ones ``elapsed`` seconds earlier."""

    def __init__(
        self, previous: Iterable[Reading], current: Iterable[Reading], elapsed: float, collectors: Iterable[Collector]
    ) -> None:
        self._previous: dict[SeriesKey, float] = {(metric, labels): value for metric, value, labels in previous}
        self.readings = list(current)
        self._elapsed = elapsed
        self.metrics: dict[str, Metric] = {}
        self.processes: list[Process] = []
        self.containers: list[Container] = []
        for collector in collectors:
            self.processes += collector.processes
            self.containers += collector.containers.containers if collector.containers is not None else ()
            self.metrics |= {metric.name: metric for metric in collector.metrics} | collector.discovered

    def rate(self, reading: Reading) -> float | None:
        """Per second. None for a gauge, a new series and a counter that was reset."""
        metric = self.metrics.get(reading.metric)
        previous = self._previous.get((reading.metric, reading.labels))
        if metric is None or metric.kind is not Kind.COUNTER or previous is None or reading.value < previous:
            return None
        return (reading.value - previous) / self._elapsed


def as_json(rated: RatedReadings) -> str:
    """One object for each series, process and container. NaN and infinity become null."""
    series = [
        {
            "metric": reading.metric,
            "labels": dict(reading.labels),
            "type": family_of(reading.metric),
            "unit": rated.metrics[reading.metric].unit,
            "kind": rated.metrics[reading.metric].kind.value,
            "value": reading.value if math.isfinite(reading.value) else None,
            "rate": rated.rate(reading),
        }
        for reading in rated.readings
    ]
    processes = [process._asdict() for process in rated.processes]
    containers = [container._asdict() for container in rated.containers]
    document = {"series": series, "processes": processes, "containers": containers}
    return json.dumps(document, indent=2, ensure_ascii=False)


def as_prometheus(rated: RatedReadings) -> str:
    """https://prometheus.io/docs/instrumenting/exposition_formats/"""
    by_metric: dict[str, list[Reading]] = {}
    for reading in rated.readings:
        by_metric.setdefault(reading.metric, []).append(reading)
    lines = []
    for name, readings in by_metric.items():
        metric = rated.metrics[name]
        lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind.value}"]
        for reading in readings:
            labels = ",".join(f'{label}="{_escaped(value)}"' for label, value in reading.labels)
            value = "NaN" if math.isnan(reading.value) else repr(float(reading.value))
            lines.append(f"{name}{{{labels}}} {value}" if labels else f"{name} {value}")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def as_table(rated: RatedReadings) -> str:
    """One section for each family of metrics, with one row for each series, then the processes and containers."""
    families: dict[str, list[tuple[str, str, str, str]]] = {}
    for reading in rated.readings:
        metric = rated.metrics[reading.metric]
        rate = rated.rate(reading)
        families.setdefault(family_of(reading.metric), []).append(
            (
                reading.metric,
                " ".join(f"{name}={value}" for name, value in reading.labels),
                format_value(metric.name, metric.unit, reading.value),
                "" if rate is None else format_rate(metric.unit, rate),
            )
        )
    rows = [row for family in families.values() for row in family]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines = []
    for family, members in families.items():
        lines += ["", family.upper()]
        previous_name = ""
        for name, labels, value, rate_text in members:
            shown_name = "" if name == previous_name else name
            previous_name = name
            line = f"  {shown_name:{widths[0]}}  {labels:{widths[1]}}  {value:>{widths[2]}}  {rate_text:>{widths[3]}}"
            lines.append(line.rstrip())
    return "\n".join([*lines, *_process_rows(rated.processes), *_container_rows(rated.containers)]).lstrip("\n")


def _process_rows(processes: Sequence[Process]) -> list[str]:
    if not processes:
        return []
    width = max(len(process.user) for process in processes)
    rows = ["", "PROCESSES"]
    for process in processes:
        share, size = f"{process.cpu_ratio * 100:.1f} %", format_bytes(process.memory_bytes)
        rows.append(f"  {process.pid:>7}  {process.user:{width}}  {share:>8}  {size:>10}  {process.name}")
    return rows


def _container_rows(containers: Sequence[Container]) -> list[str]:
    if not containers:
        return []
    names = max(len(container.name) for container in containers)
    states = max(len(_state(container)) for container in containers)
    rows = ["", "CONTAINERS"]
    for container in containers:
        share, size = f"{container.cpu_ratio * 100:.1f} %", format_bytes(container.memory_bytes)
        row = f"  {container.id:12}  {container.name:{names}}  {_state(container):{states}}  {share:>8}  {size:>10}"
        rows.append(f"{row}  {container.workload}".rstrip())
    return rows


def _state(container: Container) -> str:
    return " ".join(filter(None, (container.state, container.health)))
