"""What queries are worth, over samples that are written down here. The rules are those of Prometheus 3."""

import math

import pytest

from bongsu.core.errors import InvalidInput
from bongsu.server.history.promql import values
from tests.support.promql import Rows, at, every, rows, same, stale, value

NAN, INF = math.nan, math.inf


def test_a_sample_counts_for_five_minutes() -> None:
    series = {"a": [(0, 1.0)]}
    # Open to the left: at 300 s it is exactly five minutes old, which is too old.
    assert rows("a", series, 0, 360, 60) == {"a": [1, 1, 1, 1, 1, None, None]}


def test_a_series_that_is_marked_as_stale_ends_at_once() -> None:
    series = {"a": [(0, 1.0), (15, stale()), (120, 3.0)]}
    assert rows("a", series, 0, 120, 30) == {"a": [1, None, None, None, 3]}
    # The mark is no sample of a range.
    assert rows("count_over_time(a[1m])", series, 30) == {"{}": [1]}


def test_nan_is_a_value() -> None:
    found = at("a", {"a": [(0, NAN)]})
    assert list(found) == ["a"]
    assert math.isnan(found["a"])
    assert at("count(a)", {"a": [(0, NAN)]}) == {"{}": 1}


def test_ranges_are_open_to_the_left() -> None:
    series = {"a": every(10, [1, 2, 3, 4])}
    assert at("sum_over_time(a[20s])", series, 30) == {"{}": 7}  # 3 + 4; the 2 at 10 s lies on the edge
    assert at("sum_over_time(a[20001ms])", series, 30) == {"{}": 9}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # 10 samples from 5 to 95 s, each 10 higher. The window (0, 100] begins and ends within 1.1 intervals of them, so
        # the growth of 90 within 90 s is extrapolated to 100 s; to 0 s it would be -5 + 5 = 0: 100 in all.
        pytest.param("increase(c[100s])", 100.0, id="extrapolated to both ends"),
        pytest.param("rate(c[100s])", 1.0, id="a second"),
        pytest.param("delta(c[100s])", 100.0, id="as a gauge"),
        # The window (-100, 100] has no sample in its first half: half an interval before the first is its start.
        pytest.param("increase(c[200s])", 90 * (90 + 5 + 5) / 90, id="a series that begins within the window"),
        pytest.param("irate(c[100s])", 1.0, id="the last two samples"),
        pytest.param("idelta(c[100s])", 10.0, id="their difference"),
    ],
)
def test_growth_is_extrapolated(query: str, expected: float) -> None:
    series = {"c": every(10, [10 * n + 5 for n in range(10)], start=5)}
    assert at(query, series, 100) == {"{}": pytest.approx(expected)}


def test_a_counter_is_not_extrapolated_below_zero() -> None:
    # Grown by 90 in 90 s from 1: a second before the first sample it was 0, so only that second is added, not five.
    series = {"c": every(10, [1 + 10 * n for n in range(10)], start=5)}
    assert at("increase(c[100s])", series, 100) == {"{}": pytest.approx(90 * (90 + 1 + 5) / 90)}


def test_resets_of_counters_count_from_zero() -> None:
    series = {"c": every(10, [10, 20, 5, 15, 1, 2], start=5)}
    # 2 - 10 and what was lost: 20 at the first reset, 15 at the second.
    assert at("increase(c[60s])", series, 60) == {"{}": pytest.approx(27 * (50 + 5 + 5) / 50)}
    assert at("resets(c[60s])", series, 60) == {"{}": 2}
    assert at("irate(c[25s])", {"c": every(10, [10, 20, 5], start=5)}, 30) == {"{}": 0.5}


def test_a_reset_to_the_next_series_is_none() -> None:
    series = {'c{x="1"}': every(10, [100, 200], start=5), 'c{x="2"}': every(10, [1, 2], start=5)}
    assert at("resets(c[1m])", series, 60) == {'{x="1"}': 0, '{x="2"}': 0}
    assert at("changes(c[1m])", series, 60) == {'{x="1"}': 1, '{x="2"}': 1}


def test_one_sample_has_no_rate() -> None:
    assert at("rate(c[1m])", {"c": [(0, 1.0)]}, 10) == {}
    assert at("deriv(c[1m])", {"c": [(0, 1.0)]}, 10) == {}


OVER_TIME = {"a": every(10, [4, 1, 3, 2], start=10)}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("avg_over_time(a[1m])", 2.5),
        ("min_over_time(a[1m])", 1),
        ("max_over_time(a[1m])", 4),
        ("sum_over_time(a[1m])", 10),
        ("count_over_time(a[1m])", 4),
        ("present_over_time(a[1m])", 1),
        ("stdvar_over_time(a[1m])", 1.25),
        ("stddev_over_time(a[1m])", math.sqrt(1.25)),
        ("quantile_over_time(0.5, a[1m])", 2.5),
        ("quantile_over_time(0.25, a[1m])", 1.75),
        ("quantile_over_time(-1, a[1m])", -INF),
        ("quantile_over_time(2, a[1m])", INF),
        ("quantile_over_time(NaN, a[1m])", NAN),
        ("mad_over_time(a[1m])", 1),  # median 2.5, distances 1.5 1.5 0.5 0.5
        ("changes(a[1m])", 3),
        # Least squares through 0:4 10:1 20:3 30:2: slope -0.04, 3.1 at the first sample.
        ("deriv(a[1m])", -0.04),
        ("predict_linear(a[1m], 60)", 3.1 - 0.04 * (50 - 10 + 60)),
        # Level and trend: 4 and -3; 0.5 + 0.5 * (4 - 3) = 1 and -3; 1.5 + 0.5 * (1 - 3) = 0.5 and -1.75;
        # 1 + 0.5 * (0.5 - 1.75) = 0.375.
        ("double_exponential_smoothing(a[1m], 0.5, 0.5)", 0.375),
    ],
)
def test_functions_over_time(query: str, expected: float) -> None:
    assert same(rows(query, OVER_TIME, 50), {"{}": [expected]})


def test_the_first_and_last_of_a_range_keep_their_names() -> None:
    assert at("last_over_time(a[1m])", OVER_TIME, 50) == {"a": 2}
    assert at("first_over_time(a[1m])", OVER_TIME, 50) == {"a": 4}


def test_equal_values_do_not_vary_however_large_they_are() -> None:
    series = {"a": every(10, [1_795_802_025.643] * 50), 'b{x="1"}': [(0, 0.1)], 'b{x="2"}': [(0, 0.1)]}
    assert at("stddev_over_time(a[10m])", series, 490) == {"{}": 0}
    assert at('stddev(b or label_replace(b, "x", "3", "x", "2"))', series) == {"{}": 0}


def test_means_of_numbers_whose_sum_no_float_holds() -> None:
    series = {"a": every(10, [1.5e308, 1.7e308]), 'b{x="1"}': [(0, 1.7e308)], 'b{x="2"}': [(0, 1.5e308)]}
    assert at("avg_over_time(a[1m])", series, 20) == {"{}": pytest.approx(1.6e308)}
    assert at("avg(b)", series) == {"{}": pytest.approx(1.6e308)}


VECTOR = {
    'm{job="a",cpu="0"}': [(0, 1.0)],
    'm{job="a",cpu="1"}': [(0, 3.0)],
    'm{job="b",cpu="0"}': [(0, 10.0)],
    'n{job="a"}': [(0, 100.0)],
    'n{job="b"}': [(0, 1000.0)],
}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum(m)", {"{}": 14}),
        ("sum by (job) (m)", {'{job="a"}': 4, '{job="b"}': 10}),
        ("sum without (cpu) (m)", {'{job="a"}': 4, '{job="b"}': 10}),
        ("avg by (job) (m)", {'{job="a"}': 2, '{job="b"}': 10}),
        ("min by (job) (m)", {'{job="a"}': 1, '{job="b"}': 10}),
        ("max(m)", {"{}": 10}),
        ("count by (cpu) (m)", {'{cpu="0"}': 2, '{cpu="1"}': 1}),
        ("group by (job) (m)", {'{job="a"}': 1, '{job="b"}': 1}),
        ("stdvar by (job) (m)", {'{job="a"}': 1, '{job="b"}': 0}),
        ("quantile(0.5, m)", {"{}": 3}),
        ("quantile by (job) (1.5, m)", {'{job="a"}': INF, '{job="b"}': INF}),
        ("topk(2, m)", {'m{cpu="0", job="b"}': 10, 'm{cpu="1", job="a"}': 3}),
        ("bottomk by (job) (1, m)", {'m{cpu="0", job="a"}': 1, 'm{cpu="0", job="b"}': 10}),
        ("topk(0, m)", {}),
        ('count_values("v", m)', {'{v="1"}': 1, '{v="3"}': 1, '{v="10"}': 1}),
        ("m * on(job) group_left n", {
            '{cpu="0", job="a"}': 100, '{cpu="1", job="a"}': 300, '{cpu="0", job="b"}': 10_000
        }),
        ("n / on(job) group_right m", {
            '{cpu="0", job="a"}': 100, '{cpu="1", job="a"}': 100 / 3, '{cpu="0", job="b"}': 100
        }),
        ("sum by (job) (m) / n", {'{job="a"}': 0.04, '{job="b"}': 0.01}),
        ("m > 2", {'m{cpu="1", job="a"}': 3, 'm{cpu="0", job="b"}': 10}),
        ("2 < m", {'m{cpu="1", job="a"}': 3, 'm{cpu="0", job="b"}': 10}),
        ("m > bool 2", {'{cpu="0", job="a"}': 0, '{cpu="1", job="a"}': 1, '{cpu="0", job="b"}': 1}),
        ('m and on(job) n{job="b"}', {'m{cpu="0", job="b"}': 10}),
        ('m unless on(job) n{job="b"}', {'m{cpu="0", job="a"}': 1, 'm{cpu="1", job="a"}': 3}),
        ('n{job="a"} or on(job) m', {'n{job="a"}': 100, 'm{cpu="0", job="b"}': 10}),
        ("-n", {'{job="a"}': -100, '{job="b"}': -1000}),
        ("n % 300", {'{job="a"}': 100, '{job="b"}': 100}),
        ("scalar(sum(m)) + vector(1)", {"{}": 15}),
        ("scalar(m)", {"{}": NAN}),
        ("clamp(m, 2, 5)", {'{cpu="0", job="a"}': 2, '{cpu="1", job="a"}': 3, '{cpu="0", job="b"}': 5}),
        ("clamp(m, 5, 2)", {}),
        ("round(m / 4, 0.5)", {'{cpu="0", job="a"}': 0.5, '{cpu="1", job="a"}': 1, '{cpu="0", job="b"}': 2.5}),
        ("absent(m)", {}),
        ('absent(none{job="x",cpu=~"1"})', {'{job="x"}': 1}),
        ('label_replace(n, "who", "$1-${1}", "job", "(.)")', {
            'n{job="a", who="a-a"}': 100, 'n{job="b", who="b-b"}': 1000
        }),
        ('label_replace(n, "who", "x", "job", "none")', {'n{job="a"}': 100, 'n{job="b"}': 1000}),
        ('label_join(n, "both", "+", "job", "job")', {'n{both="a+a", job="a"}': 100, 'n{both="b+b", job="b"}': 1000}),
        ('{__name__=~"n", job!~"b|c"}', {'n{job="a"}': 100}),
        ('{job="a",cpu="1" or job="b",__name__="n"}', {'m{cpu="1", job="a"}': 3, 'n{job="b"}': 1000}),
        ("1 - 2 ^ 3 ^ 0", {"{}": -1}),
        ("1 > bool 2", {"{}": 0}),
    ],
)  # fmt: skip
def test_vectors(query: str, expected: dict[str, float]) -> None:
    assert same(rows(query, VECTOR), {text: [number] for text, number in expected.items()})


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("m + on(job) n", "everal series match one"),
        ("n + on(job) m", "on the right side match"),
        ('label_replace(n, "job", "", "", "")', "several series with the labels"),
        ('label_replace(n, "~job", "", "", "")', "no name of a label"),
        ('label_replace(n, "a", "", "job", "(")', "no regular expression"),
        ('count_values("~", m)', "no name of a label"),
        ("double_exponential_smoothing(m[1m], 2, 0.5)", "between 0 and 1"),
        ("info(m)", "not supported"),
        ("limitk(1, m)", "not supported"),
        ("m[1m]", "only possible as the argument"),
        ("topk(NaN, m)", "number of series"),
    ],
)
def test_what_cannot_be_evaluated_is_told(query: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as told:
        value(query, VECTOR)
    assert told.value.code == "invalid_promql"


def test_short_queries_cannot_make_long_labels() -> None:
    series = {'a{x="' + "y" * 2_000 + '"}': [(0, 1.0)]}
    replaced = 'label_replace(a, "z", "' + "$0" * 10 + '", "x", ".*")'
    joined = 'label_join(a, "z", ""' + ', "x"' * 10 + ")"
    for query in (replaced, joined):
        with pytest.raises(InvalidInput, match="the limit is 8,192"):
            value(query, series)


def test_counting_values_makes_no_endless_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MOST_NUMBERS", 500)
    series = {"a": every(60, range(30))}
    assert len(rows('count_values("v", a)', series, 0, 600)) == 11
    with pytest.raises(InvalidInput, match="the limit is 500"):
        value('count_values("v", a)', series, 0, 1_740)


def test_series_match_at_each_step_by_what_is_there() -> None:
    """The series of one side change over time; two of them are never there together."""
    series = {'a{x="1"}': [(0, 1.0), (30, stale())], 'a{x="2"}': [(60, 2.0)], "b": [(0, 10.0), (60, 10.0)]}
    assert rows("b * on() a", series, 0, 60, 30) == {"{}": [10, None, 20]}


def test_a_query_looks_back_ahead_and_at_fixed_times() -> None:
    series = {"a": every(60, range(10))}
    assert at("a offset 2m", series, 300) == {"a": 3}
    assert at("a offset -1m", series, 300) == {"a": 6}
    assert rows("a @ 1600000060", series, 120, 240, 60) == {"a": [1, 1, 1]}
    assert rows("a @ start()", series, 120, 240, 60) == {"a": [2, 2, 2]}
    # The end that was asked for, not the last step.
    assert rows("a @ end()", series, 120, 299, 60) == {"a": [4, 4, 4]}
    assert rows("sum_over_time(a[2m] @ end() offset 1m)", series, 120, 240, 60) == {"{}": [5, 5, 5]}


def test_subqueries_are_evaluated_at_multiples_of_their_step() -> None:
    series = {"a": every(1, range(200))}
    # Multiples of 10 s in (75, 105]: 80, 90, 100.
    assert at("sum_over_time(a[30s:10s])", series, 105) == {"{}": 270}
    assert at("max_over_time((a * 2)[30s:10s] offset 20s)", series, 105) == {"{}": 160}
    assert at("count_over_time(vector(time())[5m:])", series, 3600) == {"{}": 5}  # every minute by default


def test_timestamps_are_those_of_samples() -> None:
    series = {"a": [(3, 1.0)]}
    assert at("timestamp(a)", series, 10) == {"{}": 1_600_000_003}
    assert at("timestamp(a * 1)", series, 10) == {"{}": 1_600_000_010}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # 1 600 000 000 is Sunday, 13 September 2020, 12:26:40 UTC.
        ("year", 2020),
        ("month", 9),
        ("day_of_month", 13),
        ("day_of_week", 0),
        ("day_of_year", 257),
        ("days_in_month", 30),
        ("hour", 12),
        ("minute", 26),
    ],
)
def test_dates(function: str, expected: float) -> None:
    assert at(f"{function}()", {}) == {"{}": expected}
    assert at(f"{function}(vector(time()))", {}) == {"{}": expected}


def test_dates_before_1970_and_of_leap_years() -> None:
    assert at("year(vector(-1))", {}) == {"{}": 1969}
    assert at("days_in_month(vector(951782400))", {}) == {"{}": 29}  # 29 February 2000


BUCKETS = {
    'h{le="1"}': [(0, 10.0)],
    'h{le="2"}': [(0, 30.0)],
    'h{le="4"}': [(0, 40.0)],
    'h{le="+Inf"}': [(0, 40.0)],
}


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.125, 0.5),  # rank 5 of 40: half of the first bucket, which begins at 0
        (0.5, 1.5),  # rank 20: half of the 20 between 1 and 2
        (1, 4.0),  # all are below 4
        (-1, -INF),
        (2, INF),
        (NAN, NAN),
    ],
)
def test_quantiles_of_histograms(share: float, expected: float) -> None:
    query = f"histogram_quantile({share if not math.isnan(share) else 'NaN'}, h)"
    assert same(rows(query, BUCKETS), {"{}": [expected]})


def test_histograms_without_the_bucket_of_all_have_no_quantile() -> None:
    series = {text: samples for text, samples in BUCKETS.items() if "Inf" not in text}
    assert math.isnan(at("histogram_quantile(0.5, h)", series)["{}"])


def test_the_topmost_quantile_is_the_last_bound() -> None:
    series = BUCKETS | {'h{le="+Inf"}': [(0, 80.0)]}
    assert at("histogram_quantile(0.9, h)", series) == {"{}": 4}


def test_counts_of_buckets_that_fall_are_raised() -> None:
    series = BUCKETS | {'h{le="2"}': [(0, 5.0)]}  # scraped at another moment than its neighbours
    assert at("histogram_quantile(0.5, h)", series) == {"{}": pytest.approx(2 + 2 * 10 / 30)}


def test_sorting_is_by_value_and_nan_comes_last() -> None:
    series = {'a{x="1"}': [(0, 2.0)], 'a{x="2"}': [(0, NAN)], 'a{x="3"}': [(0, 1.0)]}
    assert [text[4:7] for text in at("sort(a)", series)] == ['"3"', '"1"', '"2"']
    assert [text[4:7] for text in at("sort_desc(a)", series)] == ['"1"', '"3"', '"2"']


def test_functions_of_no_series_answer_none() -> None:
    nothing: Rows = {}
    for query in ("rate(x[5m])", "sum(x)", "topk(3, x)", "x + x", "x and x", "quantile_over_time(0.5, x[1m])",
                  "histogram_quantile(0.9, x)", "sort(x)", "abs(x)", "x or x"):  # fmt: skip
        assert rows(query, {}, 0, 600, 60) == nothing, query
    assert rows("absent_over_time(x[5m])", {}, 0, 120, 60) == {"{}": [1, 1, 1]}
