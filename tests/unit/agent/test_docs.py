"""docs/agent.md and config/agent.yml list every collector and metric."""

import re
from pathlib import Path

from bongsu.agent.collectors import COLLECTORS

TEXT = (Path(__file__).resolve().parents[3] / "docs/agent.md").read_text()


def test_every_collector_has_a_section_in_order() -> None:
    assert re.findall(r"^### (\w+)$", TEXT, re.MULTILINE) == [collector.name for collector in COLLECTORS]


def test_the_descriptions_of_metrics_match_the_code() -> None:
    documented = re.findall(r"^\| `(\w+)` \| (.+) \|$", TEXT, re.MULTILINE)
    assert documented == [(metric.name, metric.help) for collector in COLLECTORS for metric in collector.metrics]


def test_every_collector_is_in_the_example_configuration() -> None:
    example = (Path(__file__).resolve().parents[3] / "config/agent.yml").read_text()
    section = example.partition("\ncollectors:\n")[2]
    assert re.findall(r"^  (\w+):", section, re.MULTILINE) == [collector.name for collector in COLLECTORS]
