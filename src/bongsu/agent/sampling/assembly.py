"""Turns readings into frames, and keeps the layout that orders them.

The layout changes as seldom as possible, since each change is one more layout that the API server keeps: a series that
is missing keeps its place (NaN) for ``KEEP_TICKS`` ticks and more, so neither a failing collector nor a mount that
comes and goes makes a new one; a new series makes one at once. The order depends on the names alone, so a restarted
agent finds the same layout again.
"""

import math
from array import array
from collections.abc import Callable, Iterable

from bongsu.agent.collectors.base import NAN, Collector, Labels, Metric, Reading
from bongsu.core.samples import Frame, pack
from bongsu.core.series import Layout, Series

# 10 minutes at 10 s: longer than a remount or a link that flaps, short enough that a dashboard forgets a disk that was
# pulled.
KEEP_TICKS = 60
# Limits of the API server, which refuses the whole request beyond them.
MAX_SERIES = 5_000
MAX_LABELS = 16
MAX_LABEL_BYTES = 256

Key = tuple[str, Labels]


class Assembler:
    """One layout's series. ``complain(topic, problem)`` is called for readings that make no sense."""

    def __init__(self, complain: Callable[[str, str], None]) -> None:
        self._complain = complain
        self._declared: dict[str, tuple[int, int, Metric]] = {}
        self._collectors: list[Collector] = []
        self._index: dict[Key, int] = {}
        self._keys: list[Key] = []
        self._seen: list[int] = []
        self._tick = 0
        self.layout: Layout | None = None

    def declare(self, collector: Collector) -> None:
        """Makes a collector's metrics known; their order is the order of the calls."""
        order = len(self._collectors)
        self._collectors.append(collector)
        for position, metric in enumerate(collector.metrics):
            self._declared[metric.name] = (order, position, metric)

    def frame(self, time_ms: int, readings: Iterable[Reading]) -> Frame | None:
        """The frame of these readings; None when there has never been a series."""
        self._tick += 1
        values = [NAN] * len(self._keys)
        late: dict[Key, float] = {}
        index = self._index
        seen = self._seen
        tick = self._tick
        for metric, value, labels in readings:
            key = (metric, labels)
            place = index.get(key)
            if place is None:
                if self._acceptable(key):
                    late[key] = value
            else:
                values[place] = value
                seen[place] = tick
        if late or tick % KEEP_TICKS == 0:
            values = self._rebuild(values, late)
        if self.layout is None:
            return None
        return Frame(self.layout.id, time_ms, self._packed(values))

    def _packed(self, values: list[float]) -> bytes:
        try:
            packed = array("d", values)
        except (TypeError, OverflowError):
            packed = array("d", [self._number(place, value) for place, value in enumerate(values)])
        return pack(packed)

    def _number(self, place: int, value: object) -> float:
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            self._complain(
                self._keys[place][0], f"{self._keys[place][0]} has the value {value!r}, which is not a number"
            )
            return NAN
        return number if math.isfinite(number) else NAN

    def _acceptable(self, key: Key) -> bool:
        metric, labels = key
        problem = ""
        if metric not in self._declared and not self._find(metric):
            problem = f"{metric} is not declared by its collector"
        elif len(self._keys) >= MAX_SERIES:
            problem = f"more than {MAX_SERIES} series; the rest is not sent"
        elif len(labels) > MAX_LABELS:
            problem = f"{metric} has {len(labels)} labels; {MAX_LABELS} are allowed"
        elif any(len(value.encode(errors="replace")) > MAX_LABEL_BYTES for _, value in labels):
            problem = f"{metric} has a label value of more than {MAX_LABEL_BYTES} bytes"
        if problem:
            self._complain(metric, problem)
        return not problem

    def _find(self, metric: str) -> bool:
        """Looks for a metric that a collector found out about only now (``found``)."""
        for order, collector in enumerate(self._collectors):
            found: dict[str, Metric] = getattr(collector, "found", {})
            if metric in found:
                self._declared[metric] = (order, len(collector.metrics), found[metric])
                return True
        return False

    def _rebuild(self, values: list[float], late: dict[Key, float]) -> list[float]:
        """Adds new series and forgets those not seen for long. Returns the values in the new order."""
        oldest = self._tick - KEEP_TICKS
        now = {
            key: (value, seen) for key, value, seen in zip(self._keys, values, self._seen, strict=True) if seen > oldest
        }
        if not late and len(now) == len(self._keys):
            return values
        now.update((key, (value, self._tick)) for key, value in late.items())
        self._keys = sorted(now, key=self._order)[:MAX_SERIES]
        self._index = {key: place for place, key in enumerate(self._keys)}
        self._seen = [now[key][1] for key in self._keys]
        self.layout = Layout.of(tuple(map(self._series, self._keys))) if self._keys else None
        return [now[key][0] for key in self._keys]

    def _order(self, key: Key) -> tuple[int, int, str, Labels]:
        order, position, _ = self._declared[key[0]]
        return order, position, *key

    def _series(self, key: Key) -> Series:
        metric = self._declared[key[0]][2]
        # a file name is bytes; those that are not UTF-8 come as lone surrogates, which no wire takes
        labels = tuple((name, value.encode(errors="replace").decode()) for name, value in key[1])
        return Series(key[0], labels, metric.unit, metric.kind)
