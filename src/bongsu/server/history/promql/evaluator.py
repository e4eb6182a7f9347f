"""Computes a tree: each node once, for all steps and all series at once. Runs in a thread."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bongsu.arrays import STALE, Flags, Indices, Times, Values
from bongsu.server.history.promql.aggregation import aggregate
from bongsu.server.history.promql.binary import of_scalars, of_sets, of_vector_and_scalar, of_vectors
from bongsu.server.history.promql.functions import DATES, MATHEMATICS, clamped, label_join, label_replace, rounded
from bongsu.server.history.promql.histograms import histogram_quantile
from bongsu.server.history.promql.labels import NAME, Labels, with_labels, without_name
from bongsu.server.history.promql.plan import Aspect, Need, aspect_of, inner_steps, looks_at, need_of
from bongsu.server.history.promql.ranges import RANGE_FUNCTIONS
from bongsu.server.history.promql.syntax import (
    SET_OPERATORS,
    Aggregate,
    Binary,
    Call,
    Negation,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
    default_matchers,
    invalid,
)
from bongsu.server.history.promql.values import Samples, Scalar, Steps, String, Vector, Windows, unique

Value = Scalar | Vector | String


@dataclass(slots=True)
class Read:
    """The samples of a need. ``range_ms``: how far back its windows look, further than asked for where the samples are
    buckets of a rollup (``rolled``)."""

    samples: Samples
    range_ms: int
    rolled: bool = False


def is_stale(values: Values) -> Flags:
    """Which values say that their series has ended."""
    stale: Flags = values.view(np.int64) == STALE
    return stale


class Evaluator:
    """Computes one query. ``check`` is called at each node: it raises when the query has to end."""

    def __init__(self, query: Steps, read: Mapping[Need, Read], check: Callable[[int], None]) -> None:
        """``check``: gets how many numbers the node may make."""
        self._query = query
        self._read = read
        self._check = check

    def value(self, tree: Node) -> Value:
        """The value of the whole tree."""
        return self._value(tree, self._query)

    def windows(self, tree: Node) -> Windows:
        """The samples of a range at the steps of the query: what an instant query of a range answers."""
        return self._windows(tree, self._query, None)[0]

    def _value(self, tree: Node, steps: Steps) -> Value:
        self._check(steps.count)
        match tree:
            case Number():
                return Scalar(np.full(steps.count, tree.value))
            case Text():
                return String(tree.value)
            case Selector() if tree.range_ms is None:
                return self._instant(tree, steps)[0]
            case Negation():
                return self._negated(tree, steps)
            case Call():
                return self._call(tree, steps)
            case Aggregate():
                return self._aggregated(tree, steps)
            case Binary():
                return self._binary(tree, steps)
        raise invalid("a range is only possible as the argument of a function that takes one")

    def _vector(self, tree: Node, steps: Steps) -> Vector:
        value = self._value(tree, steps)
        if not isinstance(value, Vector):
            raise invalid("a vector is needed here")
        return value

    def _number(self, tree: Node, steps: Steps) -> Values:
        value = self._value(tree, steps)
        if not isinstance(value, Scalar):
            raise invalid("a number is needed here")
        return value.values

    def _text(self, tree: Node) -> str:
        if not isinstance(tree, Text):
            raise invalid("a string is needed here")
        return tree.value

    def _instant(self, tree: Selector, steps: Steps) -> tuple[Vector, Times]:
        """The newest sample at each step, if it is not too old; and the time of each."""
        need = need_of(tree, steps, self._query)
        read = self._read[need]
        samples = read.samples
        self._check(len(samples.labels) * steps.count)
        times = looks_at(tree.shift, steps, self._query)
        places = samples.before(times)
        found = places > samples.bounds[:-1, None]
        places = np.maximum(places - 1, 0)
        if not len(samples.times):
            return Vector.empty(steps.count), np.empty((0, steps.count), np.int64)
        at, values = samples.times[places], samples.values[places]
        present = found & (at > times - read.range_ms) & ~is_stale(values)
        vector = Vector(samples.labels, values, present)
        rows = np.flatnonzero(present.any(axis=1))
        return vector.rows(rows), at[rows]

    def _windows(self, tree: Node, steps: Steps, function: str | None) -> tuple[Windows, bool]:
        """The windows of a range, and whether they are cut from rollups."""
        if isinstance(tree, Subquery):
            return self._subquery(tree, steps), False
        if not isinstance(tree, Selector) or tree.range_ms is None:
            raise invalid("a range is needed here")
        read = self._read[need_of(tree, steps, self._query, function)]
        self._check(len(read.samples.labels) * steps.count + len(read.samples.times))
        samples = read.samples.where(~is_stale(read.samples.values))
        return Windows.of(samples, looks_at(tree.shift, steps, self._query), read.range_ms), read.rolled

    def _subquery(self, tree: Subquery, steps: Steps) -> Windows:
        inner = inner_steps(tree, steps, self._query)
        times = looks_at(tree.shift, steps, self._query)
        if not inner.count:
            return Windows.of(Samples.of([]), times, tree.range_ms)
        value = self._value(tree.inner, inner)
        if isinstance(value, Scalar):
            value = Vector([()], value.values[None, :], np.ones((1, inner.count), bool))
        assert isinstance(value, Vector)
        bounds = np.zeros(len(value.labels) + 1, np.intp)
        np.cumsum(value.present.sum(axis=1), out=bounds[1:])
        at = np.broadcast_to(inner.times, value.values.shape)
        samples = Samples(value.labels, bounds, at[value.present], value.values[value.present])
        return Windows.of(samples, times, tree.range_ms)

    def _negated(self, tree: Negation, steps: Steps) -> Value:
        value = self._value(tree.inner, steps)
        if isinstance(value, Scalar):
            return Scalar(-value.values)
        assert isinstance(value, Vector)
        return unique([without_name(labels) for labels in value.labels], -value.values, value.present)

    def _aggregated(self, tree: Aggregate, steps: Steps) -> Vector:
        vector = self._vector(tree.inner, steps)
        parameter: Values | str | None = None
        if tree.operator == "count_values":
            assert tree.parameter is not None
            parameter = self._text(tree.parameter)
        elif tree.parameter is not None:
            parameter = self._number(tree.parameter, steps)
        return aggregate(tree.operator, vector, by=tree.by, names=tree.labels, parameter=parameter)

    def _binary(self, tree: Binary, steps: Steps) -> Value:
        left, right = self._value(tree.left, steps), self._value(tree.right, steps)
        if isinstance(left, Scalar) and isinstance(right, Scalar):
            return of_scalars(tree, left, right)
        if isinstance(left, Vector) and isinstance(right, Scalar):
            return of_vector_and_scalar(tree, left, right, swapped=False)
        if isinstance(left, Scalar) and isinstance(right, Vector):
            return of_vector_and_scalar(tree, right, left, swapped=True)
        if isinstance(left, Vector) and isinstance(right, Vector):
            return (of_sets if tree.operator in SET_OPERATORS else of_vectors)(tree, left, right)
        raise invalid(f"{tree.operator} takes numbers and vectors")

    def _call(self, tree: Call, steps: Steps) -> Value:
        name, arguments = tree.function, tree.arguments
        if name in RANGE_FUNCTIONS:
            return self._of_range(tree, steps)
        if name in MATHEMATICS:
            return _mapped(self._vector(arguments[0], steps), MATHEMATICS[name])
        if name in DATES:
            if not arguments:
                return Vector([()], DATES[name](steps.times / 1000)[None, :], np.ones((1, steps.count), bool))
            return _mapped(self._vector(arguments[0], steps), DATES[name])
        special = _SPECIAL.get(name)
        if special is None:
            raise invalid(f"{name} is not supported")
        return special(self, arguments, steps)

    def _of_range(self, tree: Call, steps: Steps) -> Vector:
        function = RANGE_FUNCTIONS[tree.function]
        at = next((place for place, argument in enumerate(tree.arguments) if is_range(argument)), None)
        if at is None:
            raise invalid(f"{tree.function} takes a range")
        windows, rolled = self._windows(tree.arguments[at], steps, tree.function)
        parameters = [self._number(each, steps) for place, each in enumerate(tree.arguments) if place != at]
        if tree.function == "predict_linear":
            parameters.append(steps.times.astype(np.float64))
        if rolled and aspect_of(tree.function) is Aspect.COUNT:
            function = RANGE_FUNCTIONS["sum_over_time"]
        if not windows.samples.labels:
            return Vector.empty(steps.count)
        with np.errstate(all="ignore"):
            values, present = function.compute(windows, *parameters)
        labels = windows.samples.labels
        if not function.keeps_name:
            labels = [without_name(each) for each in labels]
        return unique(labels, values, present).seen()

    def _time(self, _arguments: tuple[Node, ...], steps: Steps) -> Value:
        return Scalar(steps.times / 1000)

    def _pi(self, _arguments: tuple[Node, ...], steps: Steps) -> Value:
        return Scalar(np.full(steps.count, np.pi))

    def _of_number(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        return Vector([()], self._number(arguments[0], steps)[None, :], np.ones((1, steps.count), bool))

    def _scalar(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        vector = self._vector(arguments[0], steps)
        only_one = vector.present.sum(axis=0) == 1
        values = np.where(vector.present, vector.values, 0.0).sum(axis=0) if vector.labels else np.zeros(steps.count)
        return Scalar(np.where(only_one, values, np.nan))

    def _timestamp(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        if isinstance(arguments[0], Selector):
            vector, at = self._instant(arguments[0], steps)
            values = at / 1000
        else:
            vector = self._vector(arguments[0], steps)
            values = np.broadcast_to(steps.times / 1000, vector.values.shape)
        return unique([without_name(labels) for labels in vector.labels], values, vector.present)

    def _round(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        nearest = self._number(arguments[1], steps) if len(arguments) > 1 else np.ones(steps.count)
        return _mapped(self._vector(arguments[0], steps), lambda values: rounded(values, nearest))

    def _clamp(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        low, high = self._number(arguments[1], steps), self._number(arguments[2], steps)
        vector = _mapped(self._vector(arguments[0], steps), lambda values: clamped(values, low, high))
        return Vector(vector.labels, vector.values, vector.present & ~(high < low)).seen()

    def _clamp_min(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        low = self._number(arguments[1], steps)
        return _mapped(self._vector(arguments[0], steps), lambda values: np.maximum(low, values))

    def _clamp_max(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        high = self._number(arguments[1], steps)
        return _mapped(self._vector(arguments[0], steps), lambda values: np.minimum(high, values))

    def _sort(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        return _sorted(self._vector(arguments[0], steps), descending=False)

    def _sort_desc(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        return _sorted(self._vector(arguments[0], steps), descending=True)

    def _absent(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        vector = self._vector(arguments[0], steps)
        return _absence(arguments[0], vector.present, steps)

    def _absent_over_time(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        windows, _ = self._windows(arguments[0], steps, None)
        return _absence(arguments[0], windows.counts > 0, steps)

    def _label_replace(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        vector = self._vector(arguments[0], steps)
        target, replacement, source, pattern = map(self._text, arguments[1:])
        return label_replace(vector, target, replacement, source, pattern)

    def _label_join(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        vector = self._vector(arguments[0], steps)
        target, separator, *sources = map(self._text, arguments[1:])
        return label_join(vector, target, separator, sources)

    def _histogram_quantile(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        return histogram_quantile(self._number(arguments[0], steps), self._vector(arguments[1], steps)).seen()

    def _of_native_histograms(self, arguments: tuple[Node, ...], steps: Steps) -> Value:
        """Native histograms are not stored, and of other samples these functions answer nothing."""
        self._vector(arguments[-1], steps)
        return Vector.empty(steps.count)


_SPECIAL: Mapping[str, Callable[[Evaluator, tuple[Node, ...], Steps], Value]] = {
    "time": Evaluator._time,
    "pi": Evaluator._pi,
    "vector": Evaluator._of_number,
    "scalar": Evaluator._scalar,
    "timestamp": Evaluator._timestamp,
    "round": Evaluator._round,
    "clamp": Evaluator._clamp,
    "clamp_min": Evaluator._clamp_min,
    "clamp_max": Evaluator._clamp_max,
    "sort": Evaluator._sort,
    "sort_desc": Evaluator._sort_desc,
    "absent": Evaluator._absent,
    "absent_over_time": Evaluator._absent_over_time,
    "label_replace": Evaluator._label_replace,
    "label_join": Evaluator._label_join,
    "histogram_quantile": Evaluator._histogram_quantile,
    "histogram_avg": Evaluator._of_native_histograms,
    "histogram_count": Evaluator._of_native_histograms,
    "histogram_sum": Evaluator._of_native_histograms,
    "histogram_stddev": Evaluator._of_native_histograms,
    "histogram_stdvar": Evaluator._of_native_histograms,
}

FUNCTIONS = frozenset((*RANGE_FUNCTIONS, *MATHEMATICS, *DATES, *_SPECIAL))


def is_range(tree: Node) -> bool:
    """Whether a tree is a range of samples, which has no value of its own."""
    return isinstance(tree, Subquery) or (isinstance(tree, Selector) and tree.range_ms is not None)


def _mapped(vector: Vector, function: Callable[[Values], Values]) -> Vector:
    with np.errstate(all="ignore"):
        values = function(vector.values)
    return unique([without_name(labels) for labels in vector.labels], values, vector.present)


def _sorted(vector: Vector, *, descending: bool) -> Vector:
    """By the values of the last step, NaN last. Answers over a range are in the order of their labels anyway."""
    if not vector.labels:
        return vector
    values = vector.values[:, -1]
    order: Indices = np.lexsort((-values if descending else values, np.isnan(values)))
    return vector.rows(order)


def _absence(tree: Node, present: Flags, steps: Steps) -> Vector:
    """1 where no series is present, with the labels that the selector says exactly."""
    labels: dict[str, str] = {}
    unclear = set()
    for matcher in default_matchers(tree):
        if matcher.op != "=" or matcher.name in labels:
            unclear.add(matcher.name)
        labels[matcher.name] = matcher.value
    named: Labels = with_labels((), [pair for pair in labels.items() if pair[0] not in unclear and pair[0] != NAME])
    missing: Flags = ~np.any(present, axis=0)
    return Vector([named], np.ones((1, steps.count)), missing[None, :]).seen()
