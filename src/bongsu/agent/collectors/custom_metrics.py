"""Names and values of custom metrics, which scripts and StatsD clients supply."""

import re
from typing import NamedTuple

from bongsu.agent.collectors.base import SeriesKey

PREFIX = "custom_"
# A program that makes more series than this has put an id into a name or label.
MAX_CUSTOM_SERIES = 1_000
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9_]+")


class CustomValue(NamedTuple):
    value: float
    is_counter: bool


CustomValues = dict[SeriesKey, CustomValue]


def snake_case(text: str) -> str:
    return _NOT_IN_A_NAME.sub("_", text.lower()).strip("_")


def custom_name(name: str) -> str:
    """``Orders.Paid-EU`` -> ``custom_orders_paid_eu``. The prefix keeps custom metrics apart from the agent's own."""
    return PREFIX + (snake_case(name) or "value")[:100]
