"""Operators between vectors and numbers."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

import numpy as np

from bongsu.arrays import Flags, Indices, Values
from bongsu.server.history.promql.labels import NAME, Labels, only, shown, with_labels, without, without_name
from bongsu.server.history.promql.syntax import COMPARISONS, Binary, Matching, invalid
from bongsu.server.history.promql.values import Scalar, Vector, unique

ARITHMETIC: Mapping[str, Callable[[Values, Values], Values]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
_COMPARE: Mapping[str, Callable[[Values, Values], Flags]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def of_scalars(tree: Binary, left: Scalar, right: Scalar) -> Scalar:
    """Two numbers."""
    with np.errstate(all="ignore"):
        if tree.operator in COMPARISONS:
            return Scalar(_COMPARE[tree.operator](left.values, right.values).astype(np.float64))
        return Scalar(ARITHMETIC[tree.operator](left.values, right.values))


def of_vector_and_scalar(tree: Binary, vector: Vector, scalar: Scalar, *, swapped: bool) -> Vector:
    """A vector and a number. ``swapped``: the number is on the left. A comparison keeps the values of the vector."""
    pair = (scalar.values[None, :], vector.values) if swapped else (vector.values, scalar.values[None, :])
    with np.errstate(all="ignore"):
        if tree.operator in COMPARISONS:
            kept = _COMPARE[tree.operator](*pair)
            if not tree.return_bool:
                return Vector(vector.labels, vector.values, vector.present & kept)
            values = kept.astype(np.float64)
        else:
            values = ARITHMETIC[tree.operator](*pair)
    return unique([without_name(labels) for labels in vector.labels], values, vector.present)


def of_sets(tree: Binary, left: Vector, right: Vector) -> Vector:
    """``and``, ``or``, ``unless``."""
    groups: dict[Labels, int] = {}
    mine, theirs = (_signatures(vector, tree.matching, groups) for vector in (left, right))
    if tree.operator == "or":
        in_left = _any(left.present, mine, len(groups))
        extra = right.present & ~in_left[theirs]
        return unique(
            [*left.labels, *right.labels],
            np.concatenate((left.values, right.values)),
            np.concatenate((left.present, extra)),
        )
    in_right = _any(right.present, theirs, len(groups))[mine]
    return Vector(left.labels, left.values, left.present & (in_right if tree.operator == "and" else ~in_right))


def _any(present: Flags, groups: Indices, count: int) -> Flags:
    """(groups, steps): whether any series of a group is present."""
    result = np.zeros((count, present.shape[1]), bool)
    np.logical_or.at(result, groups, present)
    return result


def _signatures(vector: Vector, matching: Matching, groups: dict[Labels, int]) -> Indices:
    """(series,): the group of those that may match each other."""
    names = frozenset(matching.labels)
    if matching.on:
        return np.array([groups.setdefault(only(labels, names), len(groups)) for labels in vector.labels], np.intp)
    names = names | {NAME}
    return np.array([groups.setdefault(without(labels, names), len(groups)) for labels in vector.labels], np.intp)


def of_vectors(tree: Binary, left: Vector, right: Vector) -> Vector:
    """Two vectors, whose series find each other by their labels.

    Raises:
        InvalidInput: a series matches several others where it may not.
    """
    matching = tree.matching
    steps = left.values.shape[1]
    groups: dict[Labels, int] = {}
    mine, theirs = (_signatures(vector, matching, groups) for vector in (left, right))
    one, side, members = (left, "left", mine) if matching.many == "right" else (right, "right", theirs)
    # Where one of the vectors is empty, nothing matches, and nothing is wrong.
    both: Flags = np.any(left.present, axis=0) & np.any(right.present, axis=0)
    _check_one(one, both, members, list(groups), side)
    pairs = _pairs(mine, theirs)
    if not pairs:
        return Vector.empty(steps)
    rows, others = (np.array(column, np.intp) for column in zip(*pairs, strict=True))
    present = left.present[rows] & right.present[others]
    with np.errstate(all="ignore"):
        if tree.operator in COMPARISONS:
            kept = _COMPARE[tree.operator](left.values[rows], right.values[others])
            values = kept.astype(np.float64) if tree.return_bool else left.values[rows]
        else:
            kept = None
            values = ARITHMETIC[tree.operator](left.values[rows], right.values[others])
    labels = [_result_labels(tree, left.labels[row], right.labels[other]) for row, other in pairs]
    if matching.many is None:
        _check_unmatched(present, mine[rows])
    else:
        _check_distinct(present, labels)
    if kept is not None and not tree.return_bool:
        present = present & kept
    return unique(labels, values, present)


def _pairs(mine: Indices, theirs: Indices) -> list[tuple[int, int]]:
    by_group: dict[int, list[int]] = defaultdict(list)
    for other, group in enumerate(theirs.tolist()):
        by_group[group].append(other)
    return [(row, other) for row, group in enumerate(mine.tolist()) for other in by_group.get(group, ())]


def _check_one(vector: Vector, steps: Flags, groups: Indices, names: list[Labels], side: str) -> None:
    """On the side that has one series for each group, no two of a group may be present at the same step."""
    for group, count in Counter(groups.tolist()).items():
        if count > 1:
            rows = np.flatnonzero(groups == group)
            if (steps & (vector.present[rows].sum(axis=0) > 1)).any():
                first, second = (shown(vector.labels[row]) for row in rows[:2])
                raise invalid(
                    f"several series on the {side} side match {shown(names[group])}, among them {first} and {second}; "
                    "the labels that match must be unique there"
                )


def _check_unmatched(present: Flags, groups: Indices) -> None:
    for group, count in Counter(groups.tolist()).items():
        if count > 1 and (present[groups == group].sum(axis=0) > 1).any():
            raise invalid(
                "several series match one of the other side; say which side has many: group_left or group_right"
            )


def _check_distinct(present: Flags, labels: list[Labels]) -> None:
    rows: dict[Labels, list[int]] = defaultdict(list)
    for row, each in enumerate(labels):
        rows[each].append(row)
    for each, same in rows.items():
        if len(same) > 1 and (present[same].sum(axis=0) > 1).any():
            raise invalid(
                f"several matches have the labels {shown(each)}; group_left or group_right must tell them apart"
            )


def _result_labels(tree: Binary, left: Labels, right: Labels) -> Labels:
    matching = tree.matching
    many, one = (right, left) if matching.many == "right" else (left, right)
    labels = many
    if tree.operator not in COMPARISONS or tree.return_bool:
        labels = without_name(labels)
    if matching.many is None:
        names = frozenset(matching.labels)
        labels = only(labels, names) if matching.on else without(labels, names)
    if matching.include:
        by_name = dict(one)
        labels = with_labels(labels, [(name, by_name.get(name, "")) for name in matching.include])
    return labels
