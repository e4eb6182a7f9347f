"""Groups: many series as one, across servers, labels or tags."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bongsu.arrays import Times, Values
from bongsu.core.errors import InvalidInput
from bongsu.core.series import Series
from bongsu.server.history.aggregation import Aggregation, Points
from bongsu.server.history.query import Grouping, SeriesHistory

_ACROSS: Mapping[Aggregation, Callable[[Values], Values]] = {
    Aggregation.AVG: lambda values: np.nanmean(values, axis=0),
    Aggregation.MIN: lambda values: np.nanmin(values, axis=0),
    Aggregation.MAX: lambda values: np.nanmax(values, axis=0),
    Aggregation.SUM: lambda values: np.nansum(values, axis=0),
    Aggregation.COUNT: lambda values: np.count_nonzero(~np.isnan(values), axis=0).astype(np.float64),
}


_ADDING = frozenset({Aggregation.SUM, Aggregation.COUNT})


def parse_grouping(across: Aggregation | None, by: Sequence[str]) -> Grouping | None:
    """The grouping of a query; None without one.

    Raises:
        InvalidInput: series cannot be combined in this way, or grouped by this.
    """
    if across is None:
        if by:
            raise InvalidInput("group_by needs across: avg, min, max, sum, count or a percentile.", field="across")
        return None
    if across not in _ACROSS and across.percentile is None:
        raise InvalidInput(f"across must be avg, min, max, sum, count or a percentile, not {across}.", field="across")
    for group_by in by:
        kind, _, name = group_by.partition(":")
        if group_by != "server" and (kind not in ("tag", "label") or not name):
            raise InvalidInput(f"group_by must be server, tag:NAME or label:NAME, not {group_by!r}.", field="group_by")
    return Grouping(across, tuple(by))


class Groups:
    """Collects series and combines each group into one."""

    def __init__(self, grouping: Grouping, tags: Mapping[int, Mapping[str, str]]) -> None:
        self._grouping = grouping
        self._tags = tags
        self._members: dict[Series, list[SeriesHistory]] = {}

    def add_all(self, members: Sequence[SeriesHistory]) -> None:
        """Adds each series to its group."""
        for member in members:
            self._members.setdefault(self._group(member), []).append(member)

    def _group(self, member: SeriesHistory) -> Series:
        assert member.server_id is not None
        labels = []
        for by in self._grouping.by:
            kind, _, name = by.partition(":")
            if kind == "server":
                labels.append(("server", str(member.server_id)))
            elif kind == "tag":
                labels.append((f"tag:{name}", self._tags[member.server_id].get(name, "")))
            else:
                labels.append((name, dict(member.series.labels).get(name, "")))
        return Series(member.series.metric, tuple(labels), member.series.unit, member.series.kind)

    def combined(self) -> list[SeriesHistory]:
        """One series for each group, in the order of their names."""
        return [self._combine(series, self._members[series]) for series in sorted(self._members, key=str)]

    def _combine(self, series: Series, members: list[SeriesHistory]) -> SeriesHistory:
        times, (values, low, high) = _aligned([member.points for member in members])
        if self._grouping.across in _ADDING:  # a sum lies between the sums of the extremes, far from any member's
            points = Points(times, self._across(values), self._across(low), self._across(high))
        else:
            points = Points(times, self._across(values), np.nanmin(low, axis=0), np.nanmax(high, axis=0))
        return SeriesHistory(None, series, members[0].aggregation, points, len(members))

    def _across(self, values: Values) -> Values:
        across = self._grouping.across
        if across.percentile is not None:
            percentiles: Values = np.nanpercentile(values, across.percentile, axis=0)
            return percentiles
        return _ACROSS[across](values)


def _aligned(members: Sequence[Points]) -> tuple[Times, list[Values]]:
    """The times of all members, (n,), and their values and extremes, (members, n) each, NaN where one has none."""
    columns = [
        [points.values for points in members],
        [points.values if points.low is None else points.low for points in members],
        [points.values if points.high is None else points.high for points in members],
    ]
    times = members[0].times
    if all(np.array_equal(points.times, times) for points in members):
        return times, [np.stack(column) for column in columns]
    times = np.unique(np.concatenate([points.times for points in members]))
    matrices = [np.full((len(members), len(times)), np.nan) for _ in columns]
    for row, points in enumerate(members):
        place = np.searchsorted(times, points.times)
        for matrix, column in zip(matrices, columns, strict=True):
            matrix[row, place] = column[row]
    return times, matrices
