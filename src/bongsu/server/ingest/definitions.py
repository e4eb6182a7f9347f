"""What the labels of a foreign series say: its metric, kind, unit and labels, within the limits."""

import re

from bongsu.core.errors import InvalidInput, TooLarge
from bongsu.core.series import Kind, Series
from bongsu.core.text import has_control
from bongsu.server.config import Limits

Labels = tuple[tuple[str, str], ...]

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,255}")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]{0,127}")
# https://prometheus.io/docs/practices/naming/: what the last word of a name says.
_COUNTER_ENDINGS = ("_total", "_count", "_sum", "_bucket")
_UNITS = ("seconds", "bytes", "ratio", "celsius", "volts", "amperes", "joules", "watts", "hertz", "meters", "grams")


def is_metric(name: str) -> bool:
    """Whether a metric may have this name."""
    return _METRIC.fullmatch(name) is not None


def kind_of(metric: str) -> Kind:
    """The kind of a metric of which the sender does not say it: by the ending of its name."""
    return Kind.COUNTER if metric.endswith(_COUNTER_ENDINGS) else Kind.GAUGE


def unit_of(metric: str) -> str:
    """The unit in the name of a metric; empty without one."""
    words = metric.removesuffix("_total").removesuffix("_sum").rsplit("_", 1)
    return words[-1] if len(words) > 1 and words[-1] in _UNITS else ""


def read_definition(labels: Labels, kind: Kind | None, limits: Limits) -> tuple[Series, dict[str, str]]:
    """The series of these labels, and the labels by name. Raises InvalidInput."""
    if len(labels) > limits.foreign_labels_per_series:
        raise TooLarge(
            f"A series has {len(labels)} labels; the limit is {limits.foreign_labels_per_series}.",
            code="too_many_labels",
            field="labels",
            limit=limits.foreign_labels_per_series,
        )
    by_name = dict(labels)
    metric = by_name.pop("__name__", "")
    if not is_metric(metric):
        raise InvalidInput(
            f"{metric[:80]!r} is no name of a metric: up to 256 letters, digits, underscores and colons, and no digit "
            "first.",
            code="invalid_metric",
            field="labels.__name__",
            limit=256,
        )
    if len(by_name) + 1 < len(labels):
        raise InvalidInput(f"A series of {metric} has a label twice.", code="duplicate_label", field="labels")
    for name, text in by_name.items():
        if not _LABEL.fullmatch(name):
            raise InvalidInput(
                f"{name[:80]!r} is no name of a label: up to 128 letters, digits, underscores and dots.",
                code="invalid_label",
                field="labels",
                limit=128,
            )
        if len(text.encode()) > limits.foreign_label_bytes or has_control(text):
            raise InvalidInput(
                f"The label {name} of a series of {metric} must have at most {limits.foreign_label_bytes} bytes, none "
                "of them control characters.",
                code="invalid_label",
                field=f"labels.{name}",
                limit=limits.foreign_label_bytes,
            )
    kept = tuple(sorted((name, text) for name, text in by_name.items() if text))
    return Series(metric, kept, unit_of(metric), kind or kind_of(metric)), by_name
