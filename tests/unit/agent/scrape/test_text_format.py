"""Lines of the text format and of OpenMetrics."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bongsu.agent.scrape.text_format import MAX_FAMILIES, Families, ParseError, parse_sample
from bongsu.core.exposition import Family, Point, Type, lines
from bongsu.core.series import Kind

NAN = math.nan


@pytest.mark.parametrize(
    ("line", "metric", "labels", "value", "time"),
    [
        ("up 1", "up", [], 1, ""),
        ("up{} 1", "up", [], 1, ""),
        ("a:b:c 1.5e3", "a:b:c", [], 1500, ""),
        ('x{a="1",b="2"} 3', "x", [("a", "1"), ("b", "2")], 3, ""),
        ('x{a="1",b="2",} 3', "x", [("a", "1"), ("b", "2")], 3, ""),
        ('  x  {  a = "1" , b="2" ,  }   3  ', "x", [("a", "1"), ("b", "2")], 3, ""),
        ('x{a="1"}3', "x", [("a", "1")], 3, ""),
        ('x\t{a="1"}\t3\t4', "x", [("a", "1")], 3, "4"),
        ("x 3 1395066363000", "x", [], 3, "1395066363000"),
        ("x 3 -3982045", "x", [], 3, "-3982045"),
        ("x 3 1520879607.789", "x", [], 3, "1520879607.789"),
        ("x +Inf", "x", [], math.inf, ""),
        ("x -Inf", "x", [], -math.inf, ""),
        ("x NaN", "x", [], NAN, ""),
        ('x{a="C:\\\\DIR\\\\F.TXT",b="a\\nb\\"c\\""} 1', "x", [("a", "C:\\DIR\\F.TXT"), ("b", 'a\nb"c"')], 1, ""),
        ('x{a="\\\\n"} 1', "x", [("a", "\\n")], 1, ""),
        ('x{a="\\t"} 1', "x", [("a", "\\t")], 1, ""),
        ('x{a="} 1 # {b"} 2', "x", [("a", "} 1 # {b")], 2, ""),
        ('x{a=""} 1', "x", [("a", "")], 1, ""),
        ('x{a="봉수"} 1', "x", [("a", "봉수")], 1, ""),
        ('x_bucket{le="0.1"} 8 # {} 0.054', "x_bucket", [("le", "0.1")], 8, ""),
        ('x_bucket{le="1"} 11 # {trace_id="KOO5 1"} 0.67 1520879607.7', "x_bucket", [("le", "1")], 11, ""),
        ('x_bucket{le="1"} 11 12.5 # {trace_id="K"} 0.67', "x_bucket", [("le", "1")], 11, "12.5"),
        ("x 1\r", "x", [], 1, ""),
    ],
)
def test_samples(line: str, metric: str, labels: list[tuple[str, str]], value: float, time: str) -> None:
    sample = parse_sample(line)
    assert (sample.metric, sample.labels, sample.time) == (metric, labels, time)
    assert sample.value == value or (math.isnan(sample.value) and math.isnan(value))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x",
        "x{}",
        "1x 3",
        "x-y 3",
        "x 3 4 5",
        "x abc",
        "x 3 abc",
        'x{a="1" 3',
        'x{a="1"',
        "x{a=1} 3",
        "x{a='1'} 3",
        'x{1a="1"} 3',
        'x{a="1";b="2"} 3',
        'x{,a="1"} 3',
        'x{a="1",,b="2"} 3',
        "x{,} 3",
        'x{a="1",a="2"} 3',
        'x{__name__="y"} 3',
        'x{a="1\\"} 3',
        '{"my.metric"} 3',
        "<!DOCTYPE html>",
        "x # {} 3",
        'x{a="1"} ',
    ],
)
def test_what_is_no_sample(line: str) -> None:
    with pytest.raises(ParseError) as error:
        parse_sample(line)
    assert len(error.value.message) < 250


def test_lines_with_the_same_head_are_of_the_same_series() -> None:
    assert parse_sample('x{a="1 2"} 5').head == 'x{a="1 2"}'
    assert parse_sample('x{a="1 2"} 5 6').head == 'x{a="1 2"}'
    assert parse_sample('x{a="1 2"} 5 # {b="c"} 6').head == 'x{a="1 2"}'
    assert parse_sample("x 5").head == "x"


@pytest.mark.parametrize(
    ("comment", "metric", "kind"),
    [
        ("# TYPE x counter", "x", Kind.COUNTER),
        ("# TYPE x gauge", "x", Kind.GAUGE),
        ("# TYPE x_total gauge", "x_total", Kind.GAUGE),
        ("# TYPE x counter", "x_total", Kind.COUNTER),
        ("# TYPE x counter", "x_created", Kind.GAUGE),
        ("# TYPE x histogram", "x_bucket", Kind.COUNTER),
        ("# TYPE x histogram", "x_sum", Kind.COUNTER),
        ("# TYPE x histogram", "x_count", Kind.COUNTER),
        ("# TYPE x gaugehistogram", "x_bucket", Kind.GAUGE),
        ("# TYPE x gaugehistogram", "x_gcount", Kind.GAUGE),
        ("# TYPE x summary", "x", Kind.GAUGE),
        ("# TYPE x summary", "x_sum", Kind.COUNTER),
        ("# TYPE x info", "x_info", Kind.GAUGE),
        ("# TYPE x untyped", "x", Kind.GAUGE),
        ("# TYPE x_total untyped", "x_total", Kind.COUNTER),
        ("# TYPE y counter", "x", Kind.GAUGE),
        ("# TYPE y counter", "x_total", Kind.COUNTER),
        ("# TYPE y counter", "x_count", Kind.GAUGE),
        ("#  TYPE\tx  counter ", "x", Kind.COUNTER),
        ("# a comment", "x", Kind.GAUGE),
        ("# UNIT x_seconds seconds", "x_seconds", Kind.GAUGE),
    ],
)
def test_kinds(comment: str, metric: str, kind: Kind) -> None:
    families = Families()
    families.comment(comment)
    assert families.kind_of(metric) is kind


def test_a_type_that_does_not_exist() -> None:
    with pytest.raises(ParseError, match="there is no type thing"):
        Families().comment("# TYPE x thing")


def test_endless_families_take_bounded_memory() -> None:
    families = Families()
    for number in range(2 * MAX_FAMILIES + 10):
        families.comment(f"# TYPE x{number} counter")
    assert len(families.seen) <= MAX_FAMILIES
    assert families.kind_of(f"x{2 * MAX_FAMILIES + 9}") is Kind.COUNTER


# What cannot be part of a line: it is cut there before it is parsed.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,20}", fullmatch=True)
LABELS = st.dictionaries(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True).filter(lambda name: name != "__name__"),
    TEXT,
    max_size=5,
)


@given(NAMES, LABELS, st.floats(), st.none() | st.integers(0, 2**42), st.booleans())
def test_what_is_written_is_read(
    metric: str, labels: dict[str, str], value: float, time_ms: int | None, open_metrics: bool
) -> None:
    family = Family(metric, Type.GAUGE, [Point(value, labels, time_ms)])
    text = "".join(lines([family], open_metrics=open_metrics))
    (line,) = [line for line in text.split("\n") if line and not line.startswith("#")]
    sample = parse_sample(line)
    assert (sample.metric, dict(sample.labels)) == (metric, labels)
    assert sample.value == value or (math.isnan(sample.value) and math.isnan(value))
    assert bool(sample.time) is (time_ms is not None)
    assert line.startswith(sample.head + " ")


@given(st.text(max_size=200) | st.text(alphabet='x{}=",\\ #\n1.eNa', max_size=200))
@example("x{" + 'a="' * 5_000)
@example("x{" + '"' * 20_001)
@example("x" * 60_000)
@example("x " * 30_000)
@example("x{a=" + '"\\' * 20_000)
@example(" " * 60_000 + "{")
def test_garbage_is_a_sample_or_a_parse_error(line: str) -> None:
    families = Families()
    try:
        parse_sample(line)
        families.comment(line)
    except ParseError:
        return
