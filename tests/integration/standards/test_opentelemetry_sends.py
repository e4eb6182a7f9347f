"""OpenTelemetry's own SDK sends what it measures, as protobuf with gzip and without."""

import time
from pathlib import Path

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from tests.support.processes import Part, answers, free_port, logged_in, running, wait_for


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
