"""Evaluates PromQL over series that a test writes down, without a database."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bongsu.arrays import STALE
from bongsu.server.history.promql.evaluator import Evaluator, Read, Value
from bongsu.server.history.promql.labels import Labels, shown
from bongsu.server.history.promql.plan import Need, needs
from bongsu.server.history.promql.syntax import parse
from bongsu.server.history.promql.values import Samples, Scalar, Steps, String

# Times are seconds after this, to keep the arithmetic of tests readable.
EPOCH_MS = 1_600_000_000_000

# A series as text -> (seconds, value) pairs.
Series = Mapping[str, Sequence[tuple[float, float]]]
# A series of the answer as text -> its value at each step; None: not there.
Rows = dict[str, list[float | None]]


def stale() -> float:
    """The sign that a series has ended."""
    return float(np.array([STALE]).view(np.float64)[0])


def every(seconds: float, values: Sequence[float], start: float = 0) -> list[tuple[float, float]]:
    """Samples at a fixed interval."""
    return [(start + place * seconds, value) for place, value in enumerate(values)]


def _labels(text: str) -> Labels:
    selector = parse(text)
    return tuple(sorted((matcher.name, matcher.value) for matcher in selector.any_of[0]))  # type: ignore[union-attr]


def _read(need: Need, series: Series) -> Read:
    found = []
    for text, samples in sorted(series.items()):
        labels = _labels(text)
        by_name = dict(labels)
        if not any(all(m.matches(by_name.get(m.name, "")) for m in matchers) for matchers in need.any_of):
            continue
        times = np.array([EPOCH_MS + round(second * 1000) for second, _ in samples], np.int64)
        values = np.array([value for _, value in samples])
        kept = (times > need.after_ms) & (times <= need.until_ms)
        found.append((labels, times[kept], values[kept]))
    return Read(Samples.of(found), need.range_ms)


def value(query: str, series: Series, start: float = 0, end: float | None = None, step: float = 60) -> Value:
    """The value of a query at its steps, in seconds."""
    start_ms = EPOCH_MS + round(start * 1000)
    end_ms = start_ms if end is None else EPOCH_MS + round(end * 1000)
    steps = Steps(start_ms, round(step * 1000), (end_ms - start_ms) // round(step * 1000) + 1, end_ms)
    tree = parse(query)
    read = {need: _read(need, series) for need in needs(tree, steps, steps)}
    return Evaluator(steps, read, lambda numbers: None).value(tree)


def rows(query: str, series: Series, start: float = 0, end: float | None = None, step: float = 60) -> Rows:
    """The answer as text -> values. A number is the row of no labels."""
    answer = value(query, series, start, end, step)
    assert not isinstance(answer, String)
    if isinstance(answer, Scalar):
        return {"{}": [float(each) for each in answer.values]}
    return {
        shown(labels): [
            float(each) if there else None for each, there in zip(answer.values[row], answer.present[row], strict=True)
        ]
        for row, labels in enumerate(answer.labels)
        if answer.present[row].any()
    }


def at(query: str, series: Series, second: float = 0) -> dict[str, float]:
    """The answer at one moment."""
    return {text: row[0] for text, row in rows(query, series, second).items() if row[0] is not None}


def same(found: Rows, expected: Rows) -> bool:
    """Whether two answers agree to 1e-9, NaN being equal to NaN."""
    return found.keys() == expected.keys() and all(
        len(found[text]) == len(expected[text])
        and all(_close(mine, theirs) for mine, theirs in zip(found[text], expected[text], strict=True))
        for text in expected
    )


def _close(mine: float | None, theirs: float | None) -> bool:
    if mine is None or theirs is None:
        return mine is theirs
    return (math.isnan(mine) and math.isnan(theirs)) or math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-12)
