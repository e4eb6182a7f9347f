"""Functions of instant vectors that look at one value at a time: mathematics and dates; and those of labels."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bongsu.arrays import Values
from bongsu.server.history.promql.labels import NAME, Labels, is_label_name, with_labels
from bongsu.server.history.promql.syntax import compiled, invalid
from bongsu.server.history.promql.values import Vector, unique


def _sign(values: Values) -> Values:
    signs: Values = np.where(np.isnan(values), np.nan, np.sign(values))
    return signs


MATHEMATICS: Mapping[str, Callable[[Values], Values]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": _sign,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "deg": np.degrees,
    "rad": np.radians,
}


def rounded(values: Values, nearest: Values) -> Values:
    """To a multiple of ``nearest``, halves up. Dividing by the inverse loses fewer digits, as Prometheus does it."""
    inverse = 1.0 / nearest
    multiples: Values = np.floor(values * inverse + 0.5) / inverse
    return multiples


def clamped(values: Values, low: Values, high: Values) -> Values:
    """Within bounds; NaN stays."""
    within: Values = np.maximum(low, np.minimum(high, values))
    return within


def _dated(part: Callable[..., Values]) -> Callable[[Values], Values]:
    """A function of Unix seconds in UTC; NaN of what is no time."""

    def of_seconds(values: Values) -> Values:
        usable = np.isfinite(values) & (np.abs(values) < 1e17)
        seconds = np.trunc(np.where(usable, values, 0.0)).astype(np.int64).astype("datetime64[s]")
        result: Values = np.where(usable, part(seconds).astype(np.float64), np.nan)
        return result

    return of_seconds


def _since(unit: str, of: str) -> Callable[..., Values]:
    """How many units have passed since the last beginning of another one."""
    return lambda dates: (dates.astype(f"datetime64[{unit}]") - dates.astype(f"datetime64[{of}]")).astype(np.int64)


def _days_in_month(dates: "np.ndarray[tuple[int, ...], np.dtype[np.datetime64]]") -> Values:
    months = dates.astype("datetime64[M]")
    days: Values = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    return days


DATES: Mapping[str, Callable[[Values], Values]] = {
    "minute": _dated(_since("m", "h")),
    "hour": _dated(_since("h", "D")),
    "day_of_month": _dated(lambda dates: _since("D", "M")(dates) + 1),
    "day_of_week": _dated(
        lambda dates: (dates.astype("datetime64[D]").astype(np.int64) + 4) % 7
    ),  # 1970 began on Thursday
    "day_of_year": _dated(lambda dates: _since("D", "Y")(dates) + 1),
    "days_in_month": _dated(_days_in_month),
    "month": _dated(lambda dates: _since("M", "Y")(dates) + 1),
    "year": _dated(lambda dates: dates.astype("datetime64[Y]").astype(np.int64) + 1970),
}

MOST_LABEL_CHARACTERS = 8_192
_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")


def label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Sets a label by what a regular expression found in another one, of the series of which it matches the whole."""
    _check_label("label_replace", target)
    expression = compiled(pattern)

    def changed(labels: Labels) -> Labels:
        found = expression.fullmatch(dict(labels).get(source, ""))
        if found is None:
            return labels
        groups = dict(enumerate((found.group(0), *found.groups()))) | found.groupdict()

        def expand(reference: "re.Match[str]") -> str:
            name = reference[1] or reference[2]
            if name is None:
                return "$"
            return groups.get(int(name) if name.isdecimal() else name) or ""

        return with_labels(labels, [(target, _checked(_REFERENCE.sub(expand, replacement)))])

    return unique([changed(labels) for labels in vector.labels], vector.values, vector.present)


def label_join(vector: Vector, target: str, separator: str, sources: Sequence[str]) -> Vector:
    """Sets a label to the values of others, joined."""
    for name in (target, *sources):
        _check_label("label_join", name)

    def joined(labels: Labels) -> Labels:
        by_name = dict(labels)
        return with_labels(labels, [(target, _checked(separator.join(by_name.get(name, "") for name in sources)))])

    return unique([joined(labels) for labels in vector.labels], vector.values, vector.present)


def _checked(text: str) -> str:
    """A value of a label. Raises InvalidInput if it is too long: a short query can make long ones of each series."""
    if len(text) > MOST_LABEL_CHARACTERS:
        raise invalid(f"a label would have {len(text):,} characters; the limit is {MOST_LABEL_CHARACTERS:,}")
    return text


def _check_label(function: str, name: str) -> None:
    if not is_label_name(name) and name != NAME:
        raise invalid(f"{name[:80]!r} in {function} is no name of a label")
