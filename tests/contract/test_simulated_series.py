"""Simulated servers send series that the agent sends too."""

from bongsu.agent.collectors import COLLECTORS
from bongsu.core.samples import Push
from bongsu.server.config import Limits
from bongsu.server.ingest.validation import check_layouts
from bongsu.simulator.roles import MIX
from bongsu.simulator.server import SimulatedServer

KNOWN = {metric.name: metric for collector in COLLECTORS for metric in collector.metrics}


def test_every_metric_is_one_of_the_agent_with_its_kind_and_unit() -> None:
    for index in range(len(MIX)):
        for series in SimulatedServer(index, seed=1, interval_ms=10_000).layout.series:
            metric = KNOWN[series.metric]
            assert (series.kind, series.unit) == (metric.kind, metric.unit), series


def test_the_api_server_takes_the_layouts() -> None:
    for index in range(len(MIX)):
        server = SimulatedServer(index, seed=1, interval_ms=10_000)
        push = Push(server.identity("0" * 36), layouts=[server.layout])
        assert check_layouts(push, None, Limits(), 0) == [server.layout]


def test_what_the_dashboard_shows_of_a_server_is_there() -> None:
    sent = {series.metric for series in SimulatedServer(0, seed=1, interval_ms=10_000).layout.series}
    for metric in (
        "cpu_usage_ratio",
        "cpu_core_usage_ratio",
        "memory_usage_ratio",
        "filesystem_usage_ratio",
        "disk_busy_seconds_total",
        "network_receive_bytes_total",
        "system_uptime_seconds",
    ):
        assert metric in sent
