"""Aggregations across series: ``sum by (job) (...)`` and the like."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bongsu.arrays import Flags, Indices, Values
from bongsu.server.history.promql.labels import NAME, Labels, is_label_name, only, with_labels, without
from bongsu.server.history.promql.ranges import between_ranks
from bongsu.server.history.promql.syntax import invalid
from bongsu.server.history.promql.values import Vector, check_numbers, unique


@dataclass(slots=True)
class Grouped:
    """The series of a vector in the order of their groups. ``starts``: (groups,) where each begins."""

    labels: list[Labels]
    order: Indices
    starts: Indices
    values: Values
    present: Flags

    @classmethod
    def of(cls, vector: Vector, *, by: bool, names: Sequence[str]) -> "Grouped":
        """Groups by these labels, or by all others."""
        kept = frozenset(names)
        dropped = kept | {NAME}
        places: dict[Labels, int] = {}
        groups = np.array(
            [
                places.setdefault(only(labels, kept) if by else without(labels, dropped), len(places))
                for labels in vector.labels
            ],
            np.intp,
        )
        order = np.argsort(groups, kind="stable")
        starts = np.searchsorted(groups[order], np.arange(len(places)))
        return cls(list(places), order, starts, vector.values[order], vector.present[order])

    def reduced(self, ufunc: np.ufunc, values: Values) -> Values:
        """(groups, steps) of (series, steps)."""
        result: Values = ufunc.reduceat(values, self.starts, axis=0)
        return result

    @property
    def counts(self) -> Values:
        """(groups, steps): series that are present."""
        return self.reduced(np.add, self.present.astype(np.float64))

    def parts(self) -> "zip[tuple[int, int]]":
        """Where each group begins and ends."""
        return zip(self.starts.tolist(), [*self.starts[1:].tolist(), len(self.values)], strict=True)

    def spread(self, of_group: Values) -> Values:
        """(series, steps) of (groups, steps)."""
        lengths = np.diff(np.append(self.starts, len(self.values)))
        return np.repeat(of_group, lengths, axis=0)


def _sum(groups: Grouped) -> Values:
    return groups.reduced(np.add, np.where(groups.present, groups.values, 0.0))


def _average(groups: Grouped) -> Values:
    counts = np.maximum(groups.counts, 1)
    mean = _sum(groups) / counts
    over = np.isinf(mean)
    if over.any():  # the sum may be beyond what a float holds when the mean is not
        small = groups.reduced(np.add, np.where(groups.present, groups.values / 1024, 0.0)) / counts * 1024
        mean = np.where(over, small, mean)
    return mean


def _variance(groups: Grouped) -> Values:
    # From one of the values: of equal values the variance is 0, whatever is lost in their sum.
    counts = np.maximum(groups.counts, 1)
    apart = np.where(groups.present, groups.values - groups.spread(_extreme(np.fmin)(groups)), 0.0)
    mean = groups.spread(groups.reduced(np.add, apart) / counts)
    return groups.reduced(np.add, np.square(np.where(groups.present, apart - mean, 0.0))) / counts


def _extreme(ufunc: np.ufunc) -> Callable[[Grouped], Values]:
    return lambda groups: groups.reduced(ufunc, np.where(groups.present, groups.values, np.nan))


_SIMPLE: Mapping[str, Callable[[Grouped], Values]] = {
    "sum": _sum,
    "avg": _average,
    "min": _extreme(np.fmin),
    "max": _extreme(np.fmax),
    "count": lambda groups: groups.counts,
    "group": lambda groups: np.ones((len(groups.starts), groups.values.shape[1])),
    "stdvar": _variance,
    "stddev": lambda groups: np.sqrt(_variance(groups)),
}


def aggregate(
    operator: str, vector: Vector, *, by: bool, names: Sequence[str], parameter: Values | str | None
) -> Vector:
    """One series for each group, except for ``topk`` and ``bottomk``, which choose series.

    ``parameter``: (steps,), or the label of ``count_values``.
    """
    steps = vector.values.shape[1]
    if operator == "count_values":
        return _count_values(vector, by=by, names=names, label=str(parameter))
    if not vector.labels:
        return Vector.empty(steps)
    groups = Grouped.of(vector, by=by, names=names)
    if operator in ("topk", "bottomk"):
        assert isinstance(parameter, np.ndarray)
        return _chosen(vector, groups, parameter, largest=operator == "topk")
    with np.errstate(all="ignore"):
        if operator == "quantile":
            assert isinstance(parameter, np.ndarray)
            values = _quantiles(groups, parameter)
        elif operator in _SIMPLE:
            values = _SIMPLE[operator](groups)
        else:
            raise invalid(f"{operator} is not supported")
    return Vector(groups.labels, values, groups.counts > 0)


def _ranked(values: Values, present: Flags, *, largest: bool) -> Indices:
    """(series, steps): the series of each step in their order: by value, then NaN, then those that are not present."""
    keys = np.where(np.isnan(values), 0.0, -values if largest else values)
    return np.lexsort((keys, np.isnan(values), ~present), axis=0)


def _chosen(vector: Vector, groups: Grouped, limit: Values, *, largest: bool) -> Vector:
    """The first of each group; their rows in the order of the last step, which is the only one of an instant query."""
    if np.isnan(limit).any() or (np.abs(limit) > 2**62).any():
        raise invalid("the number of series to choose must be a number of at most 2^62")
    taken, order = np.zeros(vector.present.shape, bool), []
    for start, end in groups.parts():
        ranked = _ranked(groups.values[start:end], groups.present[start:end], largest=largest)
        places = np.empty(ranked.shape, np.intp)
        np.put_along_axis(places, ranked, np.arange(end - start)[:, None], axis=0)
        rows = groups.order[start:end]
        taken[rows] = groups.present[start:end] & (places < np.trunc(limit))
        order.extend(rows[ranked[:, -1]].tolist())
    return Vector(vector.labels, vector.values, taken).rows(order).seen()


def _quantiles(groups: Grouped, share: Values) -> Values:
    """NaN is less than all numbers."""
    result = np.empty((len(groups.starts), groups.values.shape[1]))
    for row, (start, end) in enumerate(groups.parts()):
        values, present = groups.values[start:end], groups.present[start:end]
        missing = np.isnan(values)
        order = np.lexsort((np.where(missing, 0.0, values), ~missing, ~present), axis=0)
        ranked = np.take_along_axis(values, order, axis=0)
        counts = np.maximum(present.sum(axis=0), 1)
        result[row] = between_ranks(
            lambda rank, ranked=ranked: np.take_along_axis(ranked, rank[None, :], axis=0)[0],  # type: ignore[misc]
            counts,
            share,
        )
    return result


def _count_values(vector: Vector, *, by: bool, names: Sequence[str], label: str) -> Vector:
    if not is_label_name(label):
        raise invalid(f"{label[:80]!r} in count_values is no name of a label")
    steps = vector.values.shape[1]
    kept = frozenset(names)
    dropped = kept | {NAME, label}
    counts: dict[Labels, Values] = {}
    for row, labels in enumerate(vector.labels):
        group = only(labels, kept) if by else without(labels, dropped)
        present = vector.present[row]
        # Each NaN is unequal to itself, but they count as one value.
        for value in np.unique(vector.values[row][present]):
            here = present & ((vector.values[row] == value) | (np.isnan(vector.values[row]) & np.isnan(value)))
            target = with_labels(group, [(label, number_text(float(value)))])
            if target not in counts:
                check_numbers(len(counts) * steps)
                counts[target] = np.zeros(steps)
            counts[target][here] += 1
    if not counts:
        return Vector.empty(steps)
    values = np.stack(list(counts.values()))
    return unique(list(counts), values, values > 0)


def number_text(value: float) -> str:
    """As Prometheus writes a number: the shortest text that is read back as the same number, without exponent."""
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return np.format_float_positional(value, trim="-")
