"""Fits a line to past samples and tells when it reaches a value.

Robust: the median of the slopes between all pairs of points (Theil 1950, Sen 1968, "Estimates of the regression
coefficient based on Kendall's tau", J. Am. Stat. Assoc. 63), with the median of the residuals as its height. Outliers,
such as a burst or a cleaned-up directory, do not change it if they are at most 29 % of the points. Linear: least
squares.
"""

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Times, Values

# 72 points have 2,556 pairs, thus slopes, per series; 2,000 series take 0.2 s in chunks of this many.
CHUNK = 256
# Fewer points are not a trend.
LEAST_POINTS = 8


def fit(times: Times, values: Values, robust: bool) -> tuple[Values, Values]:
    """(n,) slopes per ms, and heights at each column's newest time, of (W, n) samples; time 0 = no sample.

    NaN where there are fewer than LEAST_POINTS.
    """
    count = times.shape[1]
    slopes, heights = np.full(count, np.nan), np.full(count, np.nan)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        present = times[:, part] > 0
        enough = present.sum(axis=0) >= LEAST_POINTS
        if not enough.any():
            continue
        newest = times[:, part].max(axis=0)
        x = np.where(present, times[:, part] - newest, np.nan)[:, enough].astype(np.float64)
        y = np.where(present, values[:, part], np.nan)[:, enough]
        slope, height = _robust(x, y) if robust else _linear(x, y)
        slopes[part][enough], heights[part][enough] = slope, height
    return slopes, heights


def _robust(x: Values, y: Values) -> tuple[Values, Values]:
    left, right = np.triu_indices(len(x), 1)
    apart = x[right] - x[left]
    pairs = np.divide(y[right] - y[left], apart, out=np.full(apart.shape, np.nan), where=apart != 0)
    slope: Values = np.nanmedian(pairs, axis=0)
    height: Values = np.nanmedian(y - slope * x, axis=0)
    return slope, height


def _linear(x: Values, y: Values) -> tuple[Values, Values]:
    middle, level = np.nanmean(x, axis=0), np.nanmean(y, axis=0)
    spread = np.nansum((x - middle) ** 2, axis=0)
    slope = np.divide(
        np.nansum((x - middle) * (y - level), axis=0), spread, out=np.zeros(len(spread)), where=spread > 0
    )
    return slope, level - slope * middle


def time_left_ms(
    slopes: Values, heights: Values, last: Values, value: float, *, upward: bool
) -> npt.NDArray[np.float64]:
    """(n,) ms until ``value`` is reached: 0 if it is reached already, infinite if the line never reaches it, NaN
    without a line.

    Where the newest value is nearer to ``value`` than the line is, it counts as the height: the line may lag.
    """
    sign = 1.0 if upward else -1.0
    distance = np.minimum(sign * (value - heights), sign * (value - last))
    speed = sign * slopes
    left = np.divide(distance, speed, out=np.full(len(slopes), np.inf), where=speed > 0)
    left = np.where(distance <= 0, 0.0, left)
    return np.where(np.isnan(slopes) | np.isnan(last), np.nan, left)
