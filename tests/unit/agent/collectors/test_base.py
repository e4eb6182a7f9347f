"""Metrics, filters and the rules that all collectors follow."""

import pytest

from bongsu.agent.collectors import COLLECTORS
from bongsu.agent.collectors.base import Collector, Counter, Filter, Gauge, Reading
from tests.support.agent_fakes import fake_ps


@pytest.mark.parametrize("collector", COLLECTORS, ids=lambda collector: collector.name)
def test_names_follow_the_convention(collector) -> None:
    names = [metric.name for metric in collector.metrics]
    assert len(set(names)) == len(names)
    for metric in collector.metrics:
        assert isinstance(metric, Gauge | Counter)
        assert metric.name.endswith("_total") == isinstance(metric, Counter), metric.name
        assert metric.help.endswith("."), metric.name
        assert "percent" not in metric.name


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("network_receive_bytes_total", "bytes"),
        ("cpu_usage_ratio", "ratio"),
        ("disk_reads_total", ""),
        ("load_1m", ""),
        ("network_speed_bits", "bits"),
    ],
)
def test_the_unit_is_in_the_name(name: str, unit: str) -> None:
    assert Gauge(name, "").unit == unit


def test_filters_are_whole_names_with_shell_patterns() -> None:
    assert Filter(("eth[01]",))("eth1")
    assert not Filter(("eth[01]",))("eth10")
    assert not Filter(exclude=("a*",))("abc")


def test_a_collector_without_collect_cannot_be_made() -> None:
    class Nothing(Collector):
        name = "nothing"

    with pytest.raises(TypeError, match="collect"):
        Nothing(fake_ps())  # type: ignore[abstract]


def test_a_collector_needs_only_a_name_and_collect() -> None:
    class Minimal(Collector):
        name = "minimal"

        def collect(self) -> list[Reading]:
            return []

    collector = Minimal(fake_ps())
    assert list(collector.collect()) == []
    assert (collector.metrics, collector.interval_seconds, collector.enabled, collector.own_layout) == (
        (),
        0,
        True,
        False,
    )
    assert (collector.filters, collector.settings, collector.mappings) == ((), {}, ())
    assert (collector.discovered, collector.processes) == ({}, [])
    collector.close()


@pytest.mark.parametrize("collector_class", COLLECTORS, ids=lambda collector_class: collector_class.name)
def test_every_collector_keeps_to_the_contract(collector_class: type[Collector]) -> None:
    assert issubclass(collector_class, Collector)
    assert "collect" in vars(collector_class)
