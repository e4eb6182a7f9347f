"""OpenTelemetry's own SDK sends what it measures, as protobuf with gzip and without."""

import time
from pathlib import Path

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from tests.support.processes import Part, answers, free_port, logged_in, running, wait_for


def test_an_sdk_sends_what_it_counted_since_the_last_time(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    bongsu = Part(["server", "--port", str(port), "--data-dir", str(tmp_path)], {})
    with running({"bongsu": bongsu}):
        wait_for(lambda: bongsu.runs() and answers(url), "Bongsu")
        with logged_in(url) as client:
            created = client.post("/api/tokens", json={"name": "otel", "scope": "writer"}).raise_for_status()
            exporter = OTLPMetricExporter(
                f"{url}/v1/metrics",
                headers={"Authorization": f"Bearer {created.json()['token']}"},
                preferred_temporality={Counter: AggregationTemporality.DELTA},
            )
            reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
            provider = MeterProvider([reader], Resource({"service.name": "cart", "host.name": "web-1"}))
            orders = provider.get_meter("tests").create_counter("orders")
            for count in (3, 4, 5):
                orders.add(count)
                assert reader.force_flush()

            def asked(aggregation: str) -> list[float]:
                query = {"metric": "orders_total", "start": "-5m", "aggregation": aggregation, "step": "10m"}
                query["end"] = str(round(time.time() * 1000) + 1_000)
                series = client.get("/api/metrics/history", params=query).raise_for_status().json()["series"]
                assert all(each["kind"] == "delta" for each in series)
                return [sum(each["values"]) for each in series]

            wait_for(lambda: asked("count") == [3.0], "all that the SDK has sent")
            assert asked("sum") == asked("increase") == [12.0]
            provider.shutdown()


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip], ids=["plain", "gzip"])
def test_an_sdk_sends_all_kinds_of_instruments(tmp_path: Path, compression: Compression) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    bongsu = Part(["server", "--port", str(port), "--data-dir", str(tmp_path)], {})
    with running({"bongsu": bongsu}):
        wait_for(lambda: bongsu.runs() and answers(url), "Bongsu")
        with logged_in(url) as client:
            created = client.post("/api/tokens", json={"name": "otel", "scope": "writer"}).raise_for_status()
            exporter = OTLPMetricExporter(
                f"{url}/v1/metrics",
                headers={"Authorization": f"Bearer {created.json()['token']}"},
                compression=compression,
            )
            reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
            resource = Resource({"service.name": "cart", "host.name": "web-1"})
            provider = MeterProvider([reader], resource)
            meter = provider.get_meter("tests")
            meter.create_counter("orders").add(3, {"kind": "gift"})
            meter.create_up_down_counter("carts").add(-2)
            meter.create_gauge("temperature", unit="Cel").set(21.5)
            histogram = meter.create_histogram("latency", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1])
            for seconds in (0.05, 0.5, 5.0):
                histogram.record(seconds)
            assert reader.force_flush()

            def values() -> dict[str, float]:
                query = {"start": "-5m", "aggregation": "last", "end": str(round(time.time() * 1000) + 1_000)}
                answer: httpx.Response = client.get("/api/metrics/history", params=query)
                found = {}
                for series in answer.raise_for_status().json()["series"]:
                    labels = {name: text for name, text in series["labels"].items() if name not in ("job", "instance")}
                    assert series["labels"]["job"] == "cart"
                    found[" ".join([series["metric"], *map("=".join, sorted(labels.items()))])] = series["values"][-1]
                return found

            expected = {
                "orders_total kind=gift": 3.0,
                "carts": -2.0,
                "temperature_celsius": 21.5,
                "latency_seconds_bucket le=0.1": 1.0,
                "latency_seconds_bucket le=1": 2.0,
                "latency_seconds_bucket le=+Inf": 3.0,
                "latency_seconds_count": 3.0,
                "latency_seconds_sum": 5.55,
            }
            wait_for(lambda: values() == expected, "what the SDK has sent")
            (server,) = client.get("/api/servers").json()["servers"]
            assert server["name"] == "web-1"
            provider.shutdown()
