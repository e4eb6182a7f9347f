"""The agent and a real Prometheus scrape the same pages: both find the same series with the same values."""

import math
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bongsu.agent.scrape.target import Target, http_target
from bongsu.agent.scrape_config import RelabelRule, TargetConfig, finish_targets
from bongsu.core.samples import NOT_A_NUMBER, unpack
from tests.support.agent_fakes import RawServer, read_request
from tests.support.processes import wait_for
from tests.support.prometheus import Prometheus, node_exporter, now_ms, prometheus, series_text

TEXT = """\
# HELP requests_total Requests with \\\\ and \\n in the help.
# TYPE requests_total counter
requests_total{method="post",code="200"} 1027 1395066363000
requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
disk_size_bytes{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find file:\\n\\"FILE.TXT\\""} 1.458255915e9
# minimalistic:
metric_without_labels 12.47
weird{problem="division by zero"} +Inf 3982045
negative -Inf
not_a_number NaN
empty_label{a="",b="1"} 1
spaces  {  a = "1" , b="2" , }   4
tabs\t{a="1"}\t5
brace{a="}",b="{ # }"} 6
colon:in:name 7
hex_like 0
exponent 1e-300
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.05"} 24054
latency_seconds_bucket{le="+Inf"} 144320
latency_seconds_sum 53423
latency_seconds_count 144320
theirs{job="other",instance="elsewhere",exported_job="older"} 8
korean{name="봉수"} 9
dropped_by_name 1
kept_label{fstype="tmpfs"} 1
kept_label{fstype="ext4",uuid="1234"} 2
"""
OPEN_METRICS = """\
# TYPE foo counter
# UNIT foo_seconds seconds
# HELP foo text
foo_total{path="/a b"} 17.0 # {trace_id="KOO5S4vxi0o"} 0.67
foo_created 1520872607.123
# TYPE a histogram
a_bucket{le="0.01"} 0
a_bucket{le="0.1"} 8 # {} 0.054
a_bucket{le="+Inf"} 17 # {trace_id="oHg5SJYRHA0"} 9.8 1520879607.789
a_count 17
a_sum 324789.3
# TYPE b info
b_info{version="8.2"} 1
# TYPE c stateset
c{c="a"} 1
c{c="b"} 0
# TYPE d summary
d{quantile="0.95"} 123.7
d_count 5
d_sum 600
# EOF
"""
RULES = [
    {"action": "drop", "regex": "dropped.*", "source_labels": ["__name__"]},
    {"action": "drop", "regex": "kept_label;tmpfs", "source_labels": ["__name__", "fstype"]},
    {"action": "labeldrop", "regex": "uuid"},
]


def serve(text: str, content_type: str) -> RawServer:
    body = text.encode()

    def answer(connection: socket.socket) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        while read_request(connection) is not None:
            connection.sendall(head.encode() + body)

    return RawServer(answer)


@pytest.fixture
def pages() -> Iterator[dict[str, str]]:
    """Job -> address of a server with a page."""
    servers = {
        "text": serve(TEXT, "text/plain; version=0.0.4; charset=utf-8"),
        "openmetrics": serve(OPEN_METRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    }
    yield {job: f"127.0.0.1:{server.port}" for job, server in servers.items()}
    for server in servers.values():
        server.close()


def of_agent(job: str, address: str) -> dict[str, float]:
    """What the agent finds."""
    rules = tuple(
        RelabelRule(str(rule["action"]), re.compile(str(rule["regex"])), tuple(rule.get("source_labels", ())))
        for rule in RULES
    )
    config = TargetConfig(job=job, url=f"http://{address}/metrics", relabel=rules, labels={"rack": "r1"})
    finish_targets([config], 1_000)
    target: Target = http_target(config)
    found: dict[str, float] = {}
    for _ in range(2):  # once by parsing, once by known heads
        frames = target.scrape(1_000)
        assert target.stats.last_error == ""
        assert target.stats.unsendable == ""
        found = {
            series_text({"__name__": series.metric, **dict(series.labels)}): value
            for frame, layout in frames
            for series, value in zip(layout.series, unpack(frame.values), strict=True)
        }
    target.close()
    return found


def of_prometheus(sender: Prometheus, job: str) -> dict[str, float]:
    """What Prometheus finds. Control characters in labels are written as Bongsu writes them."""
    found = {}
    for row in sender.query(f'{{job="{job}"}}', now_ms()):
        labels: dict[str, str] = {name: text.replace("\n", "\\n") for name, text in row["metric"].items()}
        found[series_text(labels)] = float(row["value"][1])
    return found


def test_both_find_the_same(tmp_path: Path, pages: dict[str, str]) -> None:
    jobs: list[dict[str, Any]] = [
        {
            "job_name": job,
            # The agent gives all samples the time of their scrape.
            "honor_timestamps": False,
            "static_configs": [{"targets": [address], "labels": {"rack": "r1"}}],
            "metric_relabel_configs": RULES,
        }
        for job, address in pages.items()
    ]
    with node_exporter() as exporter:
        jobs.append(
            {**jobs[0], "job_name": "node", "static_configs": [{"targets": [exporter], "labels": {"rack": "r1"}}]}
        )
        with prometheus(tmp_path, {}, jobs=jobs) as sender:
            wait_for(lambda: len(of_prometheus(sender, "node")) > 100, "scrapes")
            for job, address in pages.items():
                wait_for(lambda job=job: len(of_prometheus(sender, job)) > 5, "scrapes")
                theirs, ours = of_prometheus(sender, job), of_agent(job, address)
                assert ours.keys() == theirs.keys()
                for series, value in theirs.items():
                    if "scrape_duration" in series or "scrape_series_added" in series:
                        continue
                    assert ours[series] == value or (math.isnan(value) and math.isnan(ours[series])), series
            # a network interface or a mount may come or go between the two
            theirs, ours = of_prometheus(sender, "node"), of_agent("node", exporter)
            assert len(ours.keys() ^ theirs.keys()) < len(theirs) / 50


def test_a_nan_on_a_page_is_a_value(pages: dict[str, str]) -> None:
    config = TargetConfig(job="text", url=f"http://{pages['text']}/metrics")
    finish_targets([config], 1_000)
    target = http_target(config)
    ((frame, layout),) = target.scrape(1_000)
    target.close()
    (place,) = [index for index, series in enumerate(layout.series) if series.metric == "not_a_number"]
    assert int.from_bytes(frame.values[8 * place : 8 * place + 8], "little") == NOT_A_NUMBER
