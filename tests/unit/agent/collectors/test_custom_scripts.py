"""The output of scripts becomes values."""

import pytest

from bongsu.agent.collectors.custom_scripts import parse_output


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("42\n", {("custom_jobs", ()): (42.0, False)}),
        ("# HELP x y\nOrders.Paid_total 7\n", {("custom_orders_paid_total", ()): (7.0, True)}),
        ('depth{queue="a,b",env="x"} 1.5', {("custom_depth", (("env", "x"), ("queue", "a,b"))): (1.5, False)}),
        ("a 1 1700000000\n\nb 2", {("custom_a", ()): (1.0, False), ("custom_b", ()): (2.0, False)}),
    ],
)
def test_output_of_scripts(output: str, expected) -> None:
    assert parse_output("jobs", output) == (expected, "")


def test_invalid_output_is_reported_and_the_rest_kept() -> None:
    values_, problem = parse_output("jobs", "a 1\nhello world\n")
    assert values_ == {("custom_a", ()): (1.0, False)}
    assert problem == "printed 'hello world', which is not a name and a number"
