"""Text for scrapers: both formats, escapes, and what neither can say."""

import math

import pytest

from bongsu.core.exposition import Durations, Family, Point, Type, counter, gauge, lines, number


def text(*families: Family, open_metrics: bool = False) -> str:
    return "".join(lines(families, open_metrics=open_metrics))


def test_the_text_format() -> None:
    family = Family("a_total", Type.COUNTER, [Point(3, {"b": 'x"y\\z\n'}, 1_500)], "One\ntwo.")
    assert text(family) == '# HELP a_total One\\ntwo.\n# TYPE a_total counter\na_total{b="x\\"y\\\\z\\n"} 3 1500\n'


def test_open_metrics_names_a_counter_without_its_ending_and_counts_time_in_seconds() -> None:
    family = Family("a_total", Type.COUNTER, [Point(3, {}, 1_500)])
    assert text(family, open_metrics=True) == "# TYPE a counter\na_total 3 1.500\n# EOF\n"


def test_a_counter_with_another_name_is_of_unknown_type() -> None:
    family = counter("a_sum", "", 1.0)
    assert text(family) == "# TYPE a_sum untyped\na_sum 1\n"
    assert text(family, open_metrics=True) == "# TYPE a_sum unknown\na_sum 1\n# EOF\n"


def test_durations_are_a_histogram() -> None:
    durations = Durations()
    for seconds in (0.0005, 0.3, 99.0):
        durations.add(seconds)
    found = text(durations.family("q_seconds", "")).splitlines()
    assert found[1] == 'q_seconds_bucket{le="0.001"} 1'
    assert 'q_seconds_bucket{le="0.5"} 2' in found
    assert found[-3:] == ['q_seconds_bucket{le="+Inf"} 3', "q_seconds_sum 99.3005", "q_seconds_count 3"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1"), (-0.5, "-0.5"), (1e300, "1e+300"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")],
)
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown
    assert text(gauge("a", "", value)) == f"# TYPE a gauge\na {shown}\n"
