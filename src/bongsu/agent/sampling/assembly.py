"""Turns readings into frames, and maintains the layout that orders their values.

The API server keeps every layout, so the layout changes as rarely as possible. A missing series keeps its place, with
NaN, for at least ``KEEP_TICKS`` ticks, so that a failing collector or a mount that comes and goes makes no new layout.
A new series makes a new layout at once. The order depends only on names, so a restarted agent builds the same layout.
"""

import math
from array import array
from collections.abc import Iterable
from typing import NamedTuple

from bongsu.agent.collectors.base import NAN, Collector, Labels, Metric, ProblemReporter, Reading, SeriesKey
from bongsu.core.samples import Frame, pack
from bongsu.core.series import Layout, Series
from bongsu.core.text import visible
from bongsu.wire.limits import MAX_LABEL_BYTES, MAX_LABELS, MAX_SERIES

# 10 minutes at 10 s: longer than a remount or a flapping link, short enough for a dashboard to drop a removed disk.
KEEP_TICKS = 60


class _Declaration(NamedTuple):
    """A metric and its place among the series: the number of its collector, then its place in that collector."""

    collector_number: int
    position: int
    metric: Metric


class Assembler:
    """Builds the frames of one layout. Calls ``report_problem`` for readings that cannot be sent."""

    def __init__(self, report_problem: ProblemReporter) -> None:
        self._report_problem = report_problem
        self._declarations: dict[str, _Declaration] = {}
        self._collectors: list[Collector] = []
        self._index: dict[SeriesKey, int] = {}
        self._keys: list[SeriesKey] = []
        # the tick at which each series last had a reading
        self._last_ticks: list[int] = []
        self._tick = 0
        self.layout: Layout | None = None

    def declare(self, collector: Collector) -> None:
        """Adds a collector's metrics. Collectors declared first come first in the layout."""
        collector_number = len(self._collectors)
        self._collectors.append(collector)
        for position, metric in enumerate(collector.metrics):
            self._declarations[metric.name] = _Declaration(collector_number, position, metric)

    def frame(self, time_ms: int, readings: Iterable[Reading], *, extra: bool = False) -> Frame | None:
        """The frame of these readings, or None if the layout has no series. ``extra``: between two ticks of the
        configured interval."""
        if not extra:
            self._tick += 1
        values = [NAN] * len(self._keys)
        new: dict[SeriesKey, float] = {}
        index = self._index
        last_ticks = self._last_ticks
        tick = self._tick
        for metric, value, labels in readings:
            key = (metric, labels)
            position = index.get(key)
            if position is None:
                # Cleaned first: two labels that differ only in what cannot be sent are one series.
                key = (metric, tuple((name, _sendable(text)) for name, text in labels))
                position = index.get(key)
            if position is None:
                if self._is_acceptable(key):
                    new[key] = value
            else:
                values[position] = value
                last_ticks[position] = tick
        if new or tick % KEEP_TICKS == 0:
            values = self._rebuild(values, new)
        if self.layout is None:
            return None
        return Frame(self.layout.id, time_ms, self._packed(values))

    def _packed(self, values: list[float]) -> bytes:
        try:
            packed = array("d", values)
        except (TypeError, OverflowError):
            packed = array("d", [self._to_float(key, value) for key, value in zip(self._keys, values, strict=True)])
        return pack(packed)

    def _to_float(self, key: SeriesKey, value: object) -> float:
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            self._report_problem(key[0], f"{key[0]} has the value {value!r}, which is not a number")
            return NAN
        return number if math.isfinite(number) else NAN

    def _is_acceptable(self, key: SeriesKey) -> bool:
        metric, labels = key
        problem = ""
        if metric not in self._declarations and not self._declare_discovered(metric):
            problem = f"{metric} is not declared by its collector"
        elif len(self._keys) >= MAX_SERIES:
            problem = f"there are more than {MAX_SERIES} series"
        elif len(labels) > MAX_LABELS:
            problem = f"{metric} has {len(labels)} labels; at most {MAX_LABELS} are allowed"
        elif any(len(value.encode(errors="replace")) > MAX_LABEL_BYTES for _, value in labels):
            problem = f"{metric} has a label value longer than {MAX_LABEL_BYTES} bytes"
        if problem:
            self._report_problem(metric, problem)
        return not problem

    def _declare_discovered(self, metric: str) -> bool:
        """Whether a collector has discovered this metric at run time; if so, declares it."""
        for collector_number, collector in enumerate(self._collectors):
            if metric in collector.discovered:
                self._declarations[metric] = _Declaration(
                    collector_number, len(collector.metrics), collector.discovered[metric]
                )
                return True
        return False

    def _rebuild(self, values: list[float], new: dict[SeriesKey, float]) -> list[float]:
        """Adds new series and drops those that have been missing for long. Returns the values in the new order."""
        oldest_tick = self._tick - KEEP_TICKS
        kept = {
            key: (value, last_tick)
            for key, value, last_tick in zip(self._keys, values, self._last_ticks, strict=True)
            if last_tick > oldest_tick
        }
        if not new and len(kept) == len(self._keys):
            return values
        kept.update((key, (value, self._tick)) for key, value in new.items())
        self._keys = sorted(kept, key=self._sort_key)[:MAX_SERIES]
        self._index = {key: position for position, key in enumerate(self._keys)}
        self._last_ticks = [kept[key][1] for key in self._keys]
        self.layout = Layout.of(tuple(map(self._series, self._keys))) if self._keys else None
        return [kept[key][0] for key in self._keys]

    def _sort_key(self, key: SeriesKey) -> tuple[int, int, str, Labels]:
        declaration = self._declarations[key[0]]
        return declaration.collector_number, declaration.position, *key

    def _series(self, key: SeriesKey) -> Series:
        metric = self._declarations[key[0]].metric
        return Series(key[0], key[1], metric.unit, metric.kind)


def _sendable(text: str) -> str:
    """A label value that the API server accepts. File names are bytes: those that are not UTF-8 arrive as lone
    surrogates, and any of them may contain a line break."""
    return visible(text.encode(errors="replace").decode())
