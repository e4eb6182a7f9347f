"""Lines of OpenMetrics and of Prometheus' text format."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.importer.openmetrics import OpenMetricsParser
from bongsu.importer.parsing import BadLine
from bongsu.wire.remote_write import labels_of

TIME = 1_795_000_000_123


def parse(line: str) -> list[tuple[dict[str, str], int, float]]:
    return [(dict(labels_of(key)), time, value) for key, time, value in OpenMetricsParser().samples(line.encode())]


@pytest.mark.parametrize(("line", "labels", "time_ms", "value"), [
    pytest.param("up 1 1795000000.123", {"__name__": "up"}, TIME, 1, id="seconds of OpenMetrics"),
    pytest.param("up 1 1795000000", {"__name__": "up"}, 1_795_000_000_000, 1, id="whole seconds"),
    pytest.param("up 1 1.795e9", {"__name__": "up"}, 1_795_000_000_000, 1, id="seconds with an exponent"),
    pytest.param("up 1 1795000000123", {"__name__": "up"}, TIME, 1, id="milliseconds of the text format"),
    pytest.param("up  1\t1795000000123 ", {"__name__": "up"}, TIME, 1, id="any spaces"),
    pytest.param('{__name__="up",a="b"} 1 1795000000123', {"__name__": "up", "a": "b"}, TIME, 1, id="promtool tsdb dump"),
    pytest.param('up{b="2",a="1",} -Inf 1795000000123', {"__name__": "up", "a": "1", "b": "2"}, TIME, -math.inf, id="a comma at the end, and infinity"),
    pytest.param('up{ a = "b" , c="d" } 2.5e3 1795000000123', {"__name__": "up", "a": "b", "c": "d"}, TIME, 2500, id="spaces between labels"),
    pytest.param(r'up{a="x\"y\\z\nw, } # 1 2"} 1 1795000000123', {"__name__": "up", "a": 'x"y\\z\nw, } # 1 2'}, TIME, 1, id="escapes, and what looks like an end"),
    pytest.param('up{a=""} 1 1795000000123', {"__name__": "up"}, TIME, 1, id="an empty label is none"),
    pytest.param('x_bucket{le="1"} 3 1795000000.123 # {trace="a b"} 0.5 1795000000', {"__name__": "x_bucket", "le": "1"}, TIME, 3, id="an exemplar is left out"),
    pytest.param('{"a.b", c="d"} 3 1795000000.123', {"__name__": "a.b", "c": "d"}, TIME, 3, id="a name in quotes"),
    pytest.param("up 1 -1.5", {"__name__": "up"}, -1500, 1, id="before the epoch"),
])  # fmt: skip
def test_a_sample(line: str, labels: dict[str, str], time_ms: int, value: float) -> None:
    assert parse(line) == [(labels, time_ms, value)]


def test_nan_is_a_value() -> None:
    ((_, _, value),) = parse("up NaN 1795000000.123")
    assert math.isnan(value)


@pytest.mark.parametrize("line", ["", "   ", "# TYPE up gauge", "# HELP up a b c", "# EOF"])
def test_lines_without_a_sample(line: str) -> None:
    assert parse(line) == []


@pytest.mark.parametrize(("line", "reason"), [
    pytest.param("up 1", "it has no time stamp", id="no time stamp"),
    pytest.param('up{a="1 2 3"} 1', "it has no time stamp", id="no time stamp, and spaces in a label"),
    pytest.param('up 1 # {a="b"} 1 2', "it has no time stamp", id="an exemplar, but no time stamp"),
    pytest.param("up one 1795000000", "'one' is no number", id="no number"),
    pytest.param("up 1_0 1795000000", "'1_0' is no number", id="an underscore"),
    pytest.param("up 1 NaN", "'NaN' is no time stamp", id="no time"),
    pytest.param("up 1 1e300", "its time stamp is impossible", id="an impossible time"),
    pytest.param('{a="b"} 1 1795000000', "it has no name of a metric", id="no name"),
    pytest.param('up{a="b} 1 1795000000', "a label has no text in quotes", id="an open quote"),
    pytest.param('up{a="b" 1 1795000000', "its labels are malformed", id="an open brace"),
    pytest.param('up{a="b",a="c"} 1 1795000000', "it has the label 'a' twice", id="a label twice"),
    pytest.param("up 1 2 3", "a value and a time stamp must follow the series", id="too many words"),
])  # fmt: skip
def test_a_bad_line(line: str, reason: str) -> None:
    with pytest.raises(BadLine) as error:
        parse(line)
    assert error.value.message == reason


def test_a_known_series_is_read_as_an_unknown_one() -> None:
    parser = OpenMetricsParser()
    lines = [b'up{a="b c"} 1 1795000000.123', b'up{a="b c"} NaN 1795000001', b'up{a="b c"} 7 1795000002000']
    assert [sample[:2] for line in lines for sample in parser.samples(line)] == [
        sample[:2] for line in lines for sample in OpenMetricsParser().samples(line)
    ]
    with pytest.raises(BadLine):
        list(parser.samples(b'up{a="b c"} x 1'))
    with pytest.raises(BadLine):
        list(parser.samples(b'up{a="b c"} 1 \xff'))


@given(st.binary(max_size=200))
def test_garbage_is_a_bad_line_or_none(line: bytes) -> None:
    parser = OpenMetricsParser()
    for _ in range(2):
        try:
            list(parser.samples(line))
        except BadLine:
            continue


LABEL = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)


@given(
    st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), LABEL, max_size=4),
    st.floats(allow_nan=False),
)
def test_what_is_written_is_read(labels: dict[str, str], value: float) -> None:
    labels.pop("__name__", None)
    escaped = {
        name: text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') for name, text in labels.items()
    }
    line = "m{" + ",".join(f'{name}="{text}"' for name, text in escaped.items()) + f"}} {value!r} {TIME}"
    assert parse(line) == [(labels | {"__name__": "m"}, TIME, value)]


@given(st.text('up{}a="\\, #1.5eN_+\t', max_size=60))
def test_what_looks_like_a_sample_breaks_nothing(line: str) -> None:
    try:
        parse(line)
    except BadLine:
        return
