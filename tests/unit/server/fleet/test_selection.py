"""Filters of labels and tags."""

import pytest

from bongsu.core.errors import InvalidInput
from bongsu.server.fleet.selection import parse_filters


@pytest.mark.parametrize(
    ("text", "value", "passes"),
    [
        ("device=sda", "sda", True),
        ("device=SDA", "sda", True),
        ("device=sd*", "sdb1", True),
        ("device=sda|sdb", "sdb", True),
        ("device=sda|sdb", "sda|sdb", False),
        ("device=sda|nvme*", "nvme0n1", True),
        ("device=sda|", "", True),
        ("device=a.b", "axb", False),
        ("device!=sda|sdb", "sdb", False),
        ("device!=sda|sdb", "sdc", True),
        ("device!=", "", False),
    ],
)
def test_a_filter(text: str, value: str, passes: bool) -> None:
    (label,) = parse_filters([text], field="labels")
    assert label.matches({"device": value}) is passes
    assert label.matches({}) is label.matches({"device": ""})


@pytest.mark.parametrize("text", ["", "device", "=sda", "!=sda"])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="must be name=value"):
        parse_filters([text], field="labels")
