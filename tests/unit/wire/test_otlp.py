"""Metrics of OpenTelemetry become samples with the names and labels that Prometheus gives them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from bongsu.core.errors import InvalidInput
from bongsu.core.series import Kind
from bongsu.wire import otlp
from bongsu.wire.otlp import Points, metric_name

NOW_NS = 1_750_000_000_123_000_000


def attribute(name: str, **value: Any) -> dict[str, Any]:
    return {"key": name, "value": value}


RESOURCE = {
    "attributes": [
        attribute("service.namespace", stringValue="shop"),
        attribute("service.name", stringValue="cart"),
        attribute("service.instance.id", stringValue="c-1"),
        attribute("host.name", stringValue="web-1"),
    ]
}


def request(*metrics: dict[str, Any], resource: dict[str, Any] = RESOURCE) -> bytes:
    return json.dumps({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}).encode()


def samples(points: Points) -> dict[str, float]:
    """Series as text -> value, without the labels of the target."""
    found = {}
    for key, value in zip(points.keys, points.values, strict=True):
        labels = dict(otlp.labels_of(key))
        assert (labels.pop("job"), labels.pop("instance")) == ("shop/cart", "c-1")
        assert points.servers[key] == "web-1"
        name = labels.pop("__name__")
        found[name + "".join(f"{{{label}={text}}}" for label, text in sorted(labels.items()))] = value
    return found


def a_point(**more: Any) -> dict[str, Any]:
    return {"timeUnixNano": str(NOW_NS), **more}


def test_gauges_and_sums() -> None:
    attributes = [attribute("http.method", stringValue="GET"), attribute("ok", boolValue=True)]
    gauge = {
        "name": "queue.length",
        "unit": "{items}",
        "gauge": {"dataPoints": [a_point(asInt="7", attributes=attributes)]},
    }
    total = {
        "name": "http.requests",
        "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [a_point(asDouble=2.5)]},
    }
    level = {"name": "jobs", "sum": {"aggregationTemporality": 2, "dataPoints": [a_point(asInt="-1")]}}
    points = otlp.decode(request(gauge, total, level), as_json=True)
    assert samples(points) == {"queue_length{http_method=GET}{ok=true}": 7.0, "http_requests_total": 2.5, "jobs": -1.0}
    assert [points.kinds[key] for key in points.keys] == [Kind.GAUGE, Kind.COUNTER, Kind.GAUGE]
    assert points.times == [1_750_000_000_123] * 3


def test_a_histogram_counts_what_is_below_each_bound() -> None:
    point = a_point(count="6", sum=9.5, bucketCounts=["1", "2", "3"], explicitBounds=[0.5, 2])
    metric = {"name": "latency", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [point]}}
    points = otlp.decode(request(metric), as_json=True)
    assert samples(points) == {
        "latency_seconds_bucket{le=0.5}": 1.0,
        "latency_seconds_bucket{le=2}": 3.0,
        "latency_seconds_bucket{le=+Inf}": 6.0,
        "latency_seconds_count": 6.0,
        "latency_seconds_sum": 9.5,
    }
    assert points.data_points == [1] * 5


def test_an_exponential_histogram_has_the_bounds_of_its_scale() -> None:
    point = a_point(
        count="7",
        scale=0,
        zeroCount="1",
        positive={"offset": 1, "bucketCounts": ["2", "3"]},
        negative={"offset": 0, "bucketCounts": ["1"]},
    )
    metric = {"name": "change", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [point]}}
    assert samples(otlp.decode(request(metric), as_json=True)) == {
        "change_bucket{le=-1}": 1.0,
        "change_bucket{le=0}": 2.0,
        "change_bucket{le=4}": 4.0,
        "change_bucket{le=8}": 7.0,
        "change_bucket{le=+Inf}": 7.0,
        "change_count": 7.0,
    }


def test_a_summary_has_its_quantiles() -> None:
    point = a_point(count="2", sum=3.0, quantileValues=[{"quantile": 0.99, "value": 2.0}])
    metric = {"name": "rpc", "unit": "ms", "summary": {"dataPoints": [point]}}
    assert samples(otlp.decode(request(metric), as_json=True)) == {
        "rpc_milliseconds{quantile=0.99}": 2.0,
        "rpc_milliseconds_count": 2.0,
        "rpc_milliseconds_sum": 3.0,
    }


def test_a_point_without_a_value_is_stale() -> None:
    gauge = {"name": "a", "gauge": {"dataPoints": [a_point(asInt="1"), a_point(flags=1)]}}
    assert otlp.decode(request(gauge), as_json=True).stale == [1]


@pytest.mark.parametrize("kind", ["sum", "histogram", "exponentialHistogram"])
def test_points_without_a_temporality_are_refused_and_counted(kind: str) -> None:
    metric = {"name": "a", kind: {"dataPoints": [a_point(), a_point()]}}
    points = otlp.decode(request(metric), as_json=True)
    assert (points.keys, points.rejected) == ([], {"no_temporality": 2})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(
            {"sum": {"isMonotonic": True, "dataPoints": [a_point(asInt="3")]}}, {"a_total": 3.0}, id="counter"
        ),
        pytest.param({"sum": {"dataPoints": [a_point(asInt="-3")]}}, {"a": -3.0}, id="up and down"),
        pytest.param(
            {"histogram": {"dataPoints": [a_point(count="2", bucketCounts=["1", "1"], explicitBounds=[1.0])]}},
            {"a_bucket{le=1}": 1.0, "a_bucket{le=+Inf}": 2.0, "a_count": 2.0},
            id="histogram",
        ),
    ],
)
def test_what_was_counted_since_the_point_before_is_a_delta(data: dict[str, Any], expected: dict[str, float]) -> None:
    (name, content), *_ = data.items()
    points = otlp.decode(request({"name": "a", name: {"aggregationTemporality": 1, **content}}), as_json=True)
    assert samples(points) == expected
    assert set(points.kinds.values()) == {Kind.DELTA}


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        pytest.param("process.cpu.time", "s", Kind.COUNTER, "process_cpu_time_seconds_total", id="a unit"),
        pytest.param("memory.bytes", "By", Kind.GAUGE, "memory_bytes", id="the unit is in the name"),
        pytest.param("cpu.utilization", "1", Kind.GAUGE, "cpu_utilization_ratio", id="a ratio"),
        pytest.param("requests_total", "", Kind.COUNTER, "requests_total", id="total once"),
        pytest.param("disk.io", "By/s", Kind.GAUGE, "disk_io_bytes_per_second", id="per second"),
        pytest.param("2xx", "{req}", None, "_2xx", id="a digit first"),
        pytest.param("a..b--c", "widgets", None, "a_b_c_widgets", id="other characters, another unit"),
    ],
)
def test_names(name: str, unit: str, kind: Kind | None, expected: str) -> None:
    assert metric_name(name, unit, kind) == expected


def test_two_attributes_with_one_name_are_both_kept() -> None:
    attributes = [attribute("a.b", stringValue="x"), attribute("a_b", stringValue="y"), attribute("1", intValue="5")]
    gauge = {"name": "g", "gauge": {"dataPoints": [a_point(asInt="1", attributes=attributes)]}}
    assert samples(otlp.decode(request(gauge), as_json=True)) == {"g{a_b=x;y}{key_1=5}": 1.0}


@pytest.mark.parametrize("as_json", [False, True], ids=["protobuf", "JSON"])
@given(st.binary(max_size=80))
def test_garbage_is_refused_or_read_but_never_fails(as_json: bool, garbage: bytes) -> None:
    try:
        found = otlp.decode(garbage, as_json=as_json)
    except InvalidInput:
        return
    assert len(found.keys) <= 20 * len(garbage)


def test_the_answer_says_what_was_not_stored() -> None:
    response = ExportMetricsServiceResponse.FromString(otlp.encode_response(3, "too old", as_json=False))
    assert (response.partial_success.rejected_data_points, response.partial_success.error_message) == (3, "too old")
    assert json.loads(otlp.encode_response(0, "", as_json=True)) == {}
