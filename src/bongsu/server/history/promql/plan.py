"""What of which time the selectors of a query need, and when each of them looks."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from bongsu.arrays import Times
from bongsu.core.units import MINUTE_MS
from bongsu.server.history.promql.syntax import (
    END,
    START,
    Aggregate,
    Binary,
    Call,
    Matcher,
    Negation,
    Node,
    Selector,
    Shift,
    Subquery,
)
from bongsu.server.history.promql.values import Steps

# For so long a sample stands for its series: Prometheus' default.
LOOKBACK_MS = 5 * MINUTE_MS
# The step of a subquery that gives none: Prometheus' default evaluation interval.
SUBQUERY_STEP_MS = MINUTE_MS


class Aspect(StrEnum):
    """What of a rollup's bucket stands for its samples, where these are no longer kept."""

    LAST = "last"
    LOW = "low"
    HIGH = "high"
    MEAN = "mean"
    TOTAL = "total"
    COUNT = "count"
    GROWTH = "growth"


_ASPECTS = {
    "min_over_time": Aspect.LOW,
    "max_over_time": Aspect.HIGH,
    "avg_over_time": Aspect.MEAN,
    "sum_over_time": Aspect.TOTAL,
    "count_over_time": Aspect.COUNT,
    "rate": Aspect.GROWTH,
    "increase": Aspect.GROWTH,
    "irate": Aspect.GROWTH,
}


@dataclass(frozen=True, slots=True)
class Need:
    """The samples of a selector: of series that match, in ``(after_ms, until_ms]``. ``range_ms``: of its windows."""

    any_of: tuple[tuple[Matcher, ...], ...]
    after_ms: int
    until_ms: int
    range_ms: int
    aspect: Aspect


def aspect_of(function: str | None) -> Aspect:
    """What a function of range vectors makes of rollups."""
    return _ASPECTS.get(function or "", Aspect.LAST)


def looks_at(shift: Shift, steps: Steps, query: Steps) -> Times:
    """(steps,): the time at which a selector looks, for each step."""
    if shift.at_ms is None:
        return steps.times - shift.offset_ms
    at_ms = {START: query.start_ms, END: query.end_ms}.get(str(shift.at_ms), shift.at_ms)
    return np.full(steps.count, int(at_ms) - shift.offset_ms, np.int64)


def need_of(selector: Selector, steps: Steps, query: Steps, function: str | None = None) -> Need:
    """What a selector needs at these steps. ``function``: the one that it is the range of."""
    times = looks_at(selector.shift, steps, query)
    range_ms = LOOKBACK_MS if selector.range_ms is None else selector.range_ms
    return Need(selector.any_of, int(times[0]) - range_ms, int(times[-1]), range_ms, aspect_of(function))


def inner_steps(tree: Subquery, steps: Steps, query: Steps) -> Steps:
    """The steps at which a subquery is evaluated: multiples of its step, so that neighbouring windows share them."""
    times = looks_at(tree.shift, steps, query)
    step_ms = tree.step_ms or SUBQUERY_STEP_MS
    after_ms = int(times[0]) - tree.range_ms
    start_ms = after_ms // step_ms * step_ms + step_ms
    until_ms = int(times[-1])
    return Steps(start_ms, step_ms, max(0, (until_ms - start_ms) // step_ms + 1), until_ms)


def needs(tree: Node, steps: Steps, query: Steps, function: str | None = None) -> Iterator[Need]:
    """What all selectors of a tree need."""
    match tree:
        case Selector():
            yield need_of(tree, steps, query, function)
        case Subquery():
            inner = inner_steps(tree, steps, query)
            if inner.count:
                yield from needs(tree.inner, inner, query)
        case Negation():
            yield from needs(tree.inner, steps, query)
        case Call():
            for argument in tree.arguments:
                yield from needs(argument, steps, query, tree.function)
        case Aggregate():
            yield from needs(tree.inner, steps, query)
            if tree.parameter is not None:
                yield from needs(tree.parameter, steps, query)
        case Binary():
            yield from needs(tree.left, steps, query)
            yield from needs(tree.right, steps, query)
        case _:
            pass


def deepest_steps(tree: Node, steps: Steps, query: Steps) -> int:
    """The largest number of steps at which any part of a tree is evaluated."""
    match tree:
        case Subquery():
            inner = inner_steps(tree, steps, query)
            return max(steps.count, deepest_steps(tree.inner, inner, query) if inner.count else 0)
        case Negation() | Aggregate():
            return max(steps.count, deepest_steps(tree.inner, steps, query))
        case Call():
            return max([steps.count, *(deepest_steps(argument, steps, query) for argument in tree.arguments)])
        case Binary():
            return max(deepest_steps(tree.left, steps, query), deepest_steps(tree.right, steps, query))
    return steps.count
