"""What senders tell about a metric besides its samples: type, help text and unit."""

from typing import NamedTuple

# https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/: MetricType, in the order of its numbers.
TYPES = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")

_PARTS = {
    "histogram": ("_bucket", "_count", "_sum"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "summary": ("_count", "_sum"),
}


class Description(NamedTuple):
    """``type``: one of ``TYPES``; ``help``: one sentence; ``unit``: empty if nobody told it."""

    type: str
    help: str
    unit: str


def family_of(metric: str, type_: str) -> str:
    """The metric of which this one is a part: ``latency_seconds`` of a histogram's ``latency_seconds_bucket``."""
    for ending in _PARTS.get(type_, ()):
        if metric.endswith(ending):
            return metric.removesuffix(ending)
    return metric


def members_of(family: str, type_: str) -> tuple[str, ...]:
    """The names that the series of a family may have."""
    # OpenMetrics describes the counter `sent_total` as `sent`.
    endings = _PARTS.get(type_, ("_total",) if type_ == "counter" else ("_info",) if type_ == "info" else ())
    return (family, *(family + ending for ending in endings))
