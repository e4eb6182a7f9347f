"""``histogram_quantile``: of histograms whose buckets are series with the label ``le``."""

from collections import defaultdict

import numpy as np

from bongsu.arrays import Flags, Values
from bongsu.server.history.promql.labels import NAME, Labels, without
from bongsu.server.history.promql.values import Vector, unique

_BUCKET = "le"
# Counts of neighbouring buckets that differ by less are equal but for the rounding of floats: quantile.go.
_SMALL = 1e-12


def _bound(text: str) -> float | None:
    """The upper bound of a bucket; None if it is no number."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def histogram_quantile(share: Values, vector: Vector) -> Vector:
    """The quantile of each histogram, linear within its bucket. ``share``: (steps,). Series without a bound are
    ignored."""
    steps = vector.values.shape[1]
    histograms: dict[Labels, list[tuple[float, int]]] = defaultdict(list)
    for row, labels in enumerate(vector.labels):
        bound = _bound(dict(labels).get(_BUCKET, ""))
        if bound is not None and not np.isnan(bound):
            histograms[without(labels, {_BUCKET, NAME})].append((bound, row))
    results, present, names = [], [], []
    for labels, buckets in histograms.items():
        buckets.sort()
        rows = [row for _, row in buckets]
        here = vector.present[rows]
        bounds = np.array([bound for bound, _ in buckets])
        with np.errstate(all="ignore"):
            results.append(_of_histogram(share, bounds, vector.values[rows], here))
        present.append(here.any(axis=0))
        names.append(labels)
    if not results:
        return Vector.empty(steps)
    return unique(names, np.stack(results), np.stack(present))


def _of_histogram(share: Values, bounds: Values, counts: Values, present: Flags) -> Values:
    """(steps,). Steps that have the same buckets are computed together; usually all of them."""
    result = np.full(counts.shape[1], np.nan)
    patterns, inverse = np.unique(present, axis=1, return_inverse=True)
    for number in range(patterns.shape[1]):
        chosen = np.flatnonzero(inverse.ravel() == number)
        rows = np.flatnonzero(patterns[:, number])
        if len(rows):
            result[chosen] = _of_buckets(share[chosen], bounds[rows], counts[np.ix_(rows, chosen)])
    return result


def _of_buckets(share: Values, bounds: Values, counts: Values) -> Values:
    """``bounds``: (buckets,) ascending, equal ones possible; ``counts``: (buckets, steps) cumulative."""
    bounds, first = np.unique(bounds, return_index=True)
    counts = np.add.reduceat(counts, first, axis=0)
    result = np.full(len(share), np.nan)
    if len(bounds) >= 2 and np.isposinf(bounds[-1]):
        counts = _rising(counts)
        total = counts[-1]
        rank = share * total
        # The first bucket that holds the rank; the last but one at most.
        place = np.minimum((counts[:-1] < rank).sum(axis=0), len(bounds) - 1)
        steps = np.arange(len(share))
        below = np.maximum(place - 1, 0)
        start = np.where(place > 0, bounds[below], 0.0)
        before = np.where(place > 0, counts[below, steps], 0.0)
        inner = start + (bounds[place] - start) * ((rank - before) / (counts[place, steps] - before))
        inner = np.where((place == 0) & (bounds[0] <= 0), bounds[0], inner)
        inner = np.where(place == len(bounds) - 1, bounds[-2], inner)
        result = np.where((total == 0) | np.isnan(total), np.nan, inner)
    result = np.where(share < 0, -np.inf, np.where(share > 1, np.inf, result))
    return np.where(np.isnan(share), np.nan, result)


def _rising(counts: Values) -> Values:
    """Without falls from one bucket to the next, and without tiny rises."""
    rising = counts.copy()
    before = rising[0]
    for row in range(1, len(rising)):
        close = np.abs(rising[row] - before) <= _SMALL * np.maximum(np.abs(before), np.abs(rising[row]))
        before = np.where(close | (rising[row] < before), before, rising[row])
        rising[row] = before
    return rising
