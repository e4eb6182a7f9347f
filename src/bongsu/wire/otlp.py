"""Reads metrics of OpenTelemetry (OTLP/HTTP, protobuf and JSON) as samples with Prometheus' names and labels.

Protocol: https://opentelemetry.io/docs/specs/otlp/. Names and labels:
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

from bongsu.core.descriptions import Description
from bongsu.core.errors import InvalidInput
from bongsu.core.series import Kind
from bongsu.wire.remote_write import Labels, encode_labels
from bongsu.wire.remote_write import labels_of as labels_of_written

PROTOBUF, JSON = b"application/x-protobuf", b"application/json"
# Resource attributes that name the server.
_HOSTS = ("host.name", "k8s.node.name")
_NO_VALUE = 1  # DataPointFlags.FLAG_NO_RECORDED_VALUE_MASK
_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
# Why data points are no samples.
NO_TEMPORALITY = "no_temporality"
_NANOSECONDS = 1_000_000

# https://github.com/prometheus/otlptranslator has the list; a unit that is not here is taken as it is.
_UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
    "Hz": "hertz", "%": "percent", "1": "",
}  # fmt: skip
_PER = {"s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_IN_LABELS = re.compile(r"[^a-zA-Z0-9_]")
_ANNOTATION = re.compile(r"\{[^}]*\}")


@dataclass(slots=True)
class Points:
    """The samples of a request: of each, the key of its series (``labels_of`` decodes it), time in ms and value.

    ``data_points``: which data point each is of; ``stale``: indexes of samples that say that their series has no value
    now; ``kinds`` and ``servers``: by key, where the request tells it; ``descriptions``: by metric; ``rejected``: data
    points that are no samples here, by reason.
    """

    keys: list[bytes] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    data_points: list[int] = field(default_factory=list)
    stale: list[int] = field(default_factory=list)
    kinds: dict[bytes, Kind] = field(default_factory=dict)
    servers: dict[bytes, str] = field(default_factory=dict)
    descriptions: dict[str, Description] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    # Data points so far.
    count: int = 0


def decode(body: bytes, *, as_json: bool) -> Points:
    """The samples of an ExportMetricsServiceRequest.

    Raises:
        InvalidInput: the body is no such request.
    """
    request = ExportMetricsServiceRequest()
    try:
        if as_json:
            json_format.Parse(body, request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError, RecursionError):
        raise InvalidInput(
            "The body is not an ExportMetricsServiceRequest of OpenTelemetry.", code="malformed_body", field="body"
        ) from None
    points = Points()
    for resource_metrics in request.resource_metrics:
        attributes = {each.key: _text(each.value) for each in resource_metrics.resource.attributes}
        target = _Target(points, attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                target.add(metric)
    return points


def labels_of(key: bytes) -> Labels:
    """The labels of a series, with its name."""
    return labels_of_written(key.partition(b"\0")[2])


def encode_response(rejected: int, message: str, *, as_json: bool) -> bytes:
    """The answer to a request. ``rejected``: data points that were not stored; ``message``: why."""
    response = ExportMetricsServiceResponse()
    if rejected or message:
        response.partial_success.CopyFrom(
            ExportMetricsPartialSuccess(rejected_data_points=rejected, error_message=message)
        )
    return json_format.MessageToJson(response, indent=None).encode() if as_json else response.SerializeToString()


def encode_error(message: str, *, as_json: bool) -> bytes:
    """A google.rpc.Status, of which senders read the message."""
    if as_json:
        return json.dumps({"message": message}).encode()
    text = message.encode()[:10_000]
    length = bytes([len(text)]) if len(text) < 0x80 else bytes([len(text) & 0x7F | 0x80, len(text) >> 7])
    return b"\x12" + length + text


class _Target:
    """What sends some metrics. Adds their samples."""

    def __init__(self, points: Points, attributes: dict[str, str]) -> None:
        self._points = points
        self._server = next((attributes[name] for name in _HOSTS if attributes.get(name)), "")
        job = "/".join(attributes[name] for name in ("service.namespace", "service.name") if attributes.get(name))
        named = {"job": job, "instance": attributes.get("service.instance.id", "")}
        self._labels = {name: text for name, text in named.items() if text}

    def add(self, metric: Metric) -> None:
        which = metric.WhichOneof("data")
        if which == "gauge":
            self._numbers(metric, metric.gauge.data_points, Kind.GAUGE)
        elif which == "sum":
            total = Kind.COUNTER if metric.sum.is_monotonic else Kind.GAUGE
            kind = self._kind(metric.sum.aggregation_temporality, total, len(metric.sum.data_points))
            if kind is not None:
                self._numbers(metric, metric.sum.data_points, kind, named=total)
        elif which == "histogram":
            points = metric.histogram.data_points
            kind = self._kind(metric.histogram.aggregation_temporality, Kind.COUNTER, len(points))
            for histogram in points if kind is not None else ():
                bounds = zip(histogram.explicit_bounds, histogram.bucket_counts, strict=False)
                self._buckets(metric, histogram, bounds, kind or Kind.COUNTER)
        elif which == "exponential_histogram":
            exponentials = metric.exponential_histogram.data_points
            kind = self._kind(metric.exponential_histogram.aggregation_temporality, Kind.COUNTER, len(exponentials))
            for exponential in exponentials if kind is not None else ():
                self._buckets(metric, exponential, _bounds(exponential), kind or Kind.COUNTER)
        elif which == "summary":
            for summary in metric.summary.data_points:
                self._summary(metric, summary)

    def _kind(self, temporality: int, total: Kind, count: int) -> Kind | None:
        """The kind of what is added up since the start (``total``) or since the point before; None: nobody says which,
        so the points are rejected."""
        if temporality == _CUMULATIVE:
            return total
        if temporality == _DELTA:
            return Kind.DELTA
        self._points.rejected[NO_TEMPORALITY] += count
        return None

    def _numbers(
        self, metric: Metric, points: Iterable[NumberDataPoint], kind: Kind, *, named: Kind | None = None
    ) -> None:
        """``named``: the kind by which it is named."""
        name = metric_name(metric.name, metric.unit, named or kind)
        self._describe(metric, name, "unknown" if kind is Kind.DELTA else kind.value)
        for point in points:
            self._points.count += 1
            value = float(point.as_int) if point.WhichOneof("value") == "as_int" else point.as_double
            self._sample(name, point.attributes, point, value, kind)

    def _buckets(
        self,
        metric: Metric,
        point: HistogramDataPoint | ExponentialHistogramDataPoint,
        buckets: Iterable[tuple[float, int]],
        kind: Kind,
    ) -> None:
        self._points.count += 1
        name = metric_name(metric.name, metric.unit, None)
        self._describe(metric, name, "unknown" if kind is Kind.DELTA else "histogram")
        below = 0
        for bound, count in buckets:
            below += count
            self._sample(f"{name}_bucket", point.attributes, point, float(below), kind, le=_number(bound))
        self._sample(f"{name}_bucket", point.attributes, point, float(point.count), kind, le="+Inf")
        self._sample(f"{name}_count", point.attributes, point, float(point.count), kind)
        if point.HasField("sum"):
            self._sample(f"{name}_sum", point.attributes, point, point.sum, kind)

    def _summary(self, metric: Metric, point: SummaryDataPoint) -> None:
        self._points.count += 1
        name = metric_name(metric.name, metric.unit, None)
        self._describe(metric, name, "summary")
        for quantile in point.quantile_values:
            labels = {"quantile": _number(quantile.quantile)}
            self._sample(name, point.attributes, point, quantile.value, Kind.GAUGE, **labels)
        self._sample(f"{name}_count", point.attributes, point, float(point.count), Kind.COUNTER)
        self._sample(f"{name}_sum", point.attributes, point, point.sum, Kind.COUNTER)

    def _describe(self, metric: Metric, name: str, type_: str) -> None:
        unit = _UNITS.get(metric.unit, metric.unit)
        self._points.descriptions[name] = Description(type_, metric.description, unit)

    def _sample(
        self,
        name: str,
        attributes: Sequence[KeyValue],
        point: NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint,
        value: float,
        kind: Kind,
        **more: str,
    ) -> None:
        labels = {"__name__": name, **_labels(attributes), **self._labels, **more}
        key = self._server.encode() + b"\0" + encode_labels(sorted(labels.items()))
        points = self._points
        if point.flags & _NO_VALUE:
            points.stale.append(len(points.keys))
        points.data_points.append(points.count)
        points.keys.append(key)
        points.times.append(point.time_unix_nano // _NANOSECONDS)
        points.values.append(value)
        points.kinds[key] = kind
        if self._server:
            points.servers[key] = self._server


def _bounds(point: ExponentialHistogramDataPoint) -> Iterator[tuple[float, int]]:
    """(upper bound, count) of each bucket, from the lowest. Bucket i is above base^i and at most base^(i + 1), and base
    is 2^(2^-scale); below zero the other way round."""
    base = 2.0 ** (2.0**-point.scale)
    for place in range(len(point.negative.bucket_counts) - 1, -1, -1):
        yield -_power(base, point.negative.offset + place), point.negative.bucket_counts[place]
    if point.zero_count or point.negative.bucket_counts:
        yield point.zero_threshold, point.zero_count
    for place, count in enumerate(point.positive.bucket_counts):
        yield _power(base, point.positive.offset + place + 1), count


def _power(base: float, exponent: int) -> float:
    try:
        return float(base**exponent)
    except OverflowError:
        return math.inf


def metric_name(name: str, unit: str, kind: Kind | None) -> str:
    """The name of a metric as Prometheus has it: with its unit, and ``_total`` if it is a counter. ``kind`` None: it is
    neither a gauge nor a counter."""
    words = [word for word in _NOT_IN_NAMES.sub("_", name).split("_") if word]
    if kind is Kind.COUNTER and words and words[-1] == "total":
        words.pop()
    main, _, per = _ANNOTATION.sub("", unit).partition("/")
    of_unit = [_UNITS.get(main, main), *(["per", _PER.get(per, per)] if per else [])]
    if unit == "1" and kind is Kind.GAUGE:
        of_unit = ["ratio"]
    more = [word for part in of_unit if (word := _NOT_IN_NAMES.sub("_", part).strip("_"))]
    if "_".join(more) not in "_".join(words) or not more:
        words += [word for word in more if word not in words]
    if kind is Kind.COUNTER:
        words.append("total")
    result = "_".join(words)
    return f"_{result}" if result[:1].isdigit() else result


def _labels(attributes: Sequence[KeyValue]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for attribute in sorted(attributes, key=lambda attribute: attribute.key):
        name = _NOT_IN_LABELS.sub("_", attribute.key)
        name = f"key_{name}" if name[:1].isdigit() else name
        text = _text(attribute.value)
        # Two attributes with one name here: both are kept.
        labels[name] = f"{labels[name]};{text}" if name in labels else text
    return labels


def _text(value: AnyValue) -> str:
    which = value.WhichOneof("value")
    match which:
        case "string_value":
            return value.string_value
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return _number(value.double_value)
        case None:
            return ""
    return json_format.MessageToJson(value, indent=None)


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
