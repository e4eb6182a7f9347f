"""Lines of InfluxDB's line protocol."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.importer.influx import PRECISIONS, InfluxParser
from bongsu.importer.parsing import BadLine
from bongsu.importer.source import Sample
from bongsu.wire.remote_write import labels_of

NS = 1_795_000_000_123_456_789
MS = 1_795_000_000_123


def parse(line: str, precision: str = "ns") -> list[tuple[dict[str, str], int, float]]:
    parser = InfluxParser(precision)
    return [(dict(labels_of(key)), time, value) for key, time, value in parser.samples(line.encode())]


@pytest.mark.parametrize(("line", "labels", "value"), [
    pytest.param(f"cpu idle=1.5 {NS}", {"__name__": "cpu_idle"}, 1.5, id="no tags"),
    pytest.param(f"cpu,host=a,cpu=cpu0 idle=97i {NS}", {"__name__": "cpu_idle", "instance": "a", "cpu": "cpu0"}, 97, id="the host is the instance"),
    pytest.param(f"cpu,host=a,instance=b idle=1u {NS}", {"__name__": "cpu_idle", "host": "a", "instance": "b"}, 1, id="unless there is one"),
    pytest.param(f"cpu,host=a,host_name=b idle=-1e3 {NS}", {"__name__": "cpu_idle", "host": "a", "host_name": "b"}, -1000, id="or another name of the server"),
    pytest.param(f"a-b.c,x-y=1 d/e=.5 {NS}", {"__name__": "a_b_c_d_e", "x_y": "1"}, 0.5, id="characters of other names"),
    pytest.param(f"9p v=1 {NS}", {"__name__": "_9p_v"}, 1, id="a digit first"),
    pytest.param(rf"my\ cpu,a\,b=c\=d\ e f\ g=1 {NS}", {"__name__": "my_cpu_f_g", "a_b": "c=d e"}, 1, id="escapes"),
    pytest.param(f"cpu up=t {NS}", {"__name__": "cpu_up"}, 1, id="true"),
    pytest.param(f"cpu up=False {NS}", {"__name__": "cpu_up"}, 0, id="false"),
    pytest.param(f"cpu,host= up=1 {NS}", {"__name__": "cpu_up"}, 1, id="an empty tag is none"),
])  # fmt: skip
def test_a_field(line: str, labels: dict[str, str], value: float) -> None:
    assert parse(line) == [(labels, MS, value)]


def test_texts_are_left_out_and_counted() -> None:
    parser = InfluxParser()
    line = rf'm,t=x a=1i,s="a, b=\"2\" c",b=2.5,u="" {NS}'.encode()
    found = [(dict(labels_of(key))["__name__"], value) for key, _, value in parser.samples(line)]
    assert found == [("m_a", 1), ("m_b", 2.5)]
    assert parser.left_out == 2


@pytest.mark.parametrize(("precision", "time"), [("ns", NS), ("us", NS // 1000), ("ms", MS), ("s", MS // 1000)])
def test_precisions(precision: str, time: int) -> None:
    expected = MS // 1000 * 1000 if precision == "s" else MS
    assert parse(f"m v=1 {time}", precision)[0][1] == expected
    assert precision in PRECISIONS


@pytest.mark.parametrize("line", ["", "# DML", "# CONTEXT-DATABASE: db", "CREATE DATABASE db WITH NAME autogen"])
def test_lines_without_a_sample(line: str) -> None:
    assert parse(line) == []


@pytest.mark.parametrize(("line", "reason"), [
    pytest.param("m v=1", "it has no time stamp", id="no time stamp"),
    pytest.param('m v=1,s="a"', "it has no time stamp", id="no time stamp after a text"),
    pytest.param("m v=1 now", "'now' is no time stamp", id="no time"),
    pytest.param("m", "a line consists of a measurement with tags, fields and a time stamp", id="no fields"),
    pytest.param("m v 1", "'v' is no field", id="a field without a value"),
    pytest.param("m v=x 1", "'x' is no value of a field", id="no number"),
    pytest.param("m v=1_0 1", "'1_0' is no value of a field", id="an underscore"),
    pytest.param("m v=inf 1", "'inf' is no value of a field", id="infinity"),
    pytest.param(",a=b v=1 1", "it has no measurement", id="no measurement"),
    pytest.param("m,a v=1 1", "'a' is no tag", id="a tag without a value"),
    pytest.param('m v="open 1', "its fields are malformed", id="an open quote"),
])  # fmt: skip
def test_a_bad_line(line: str, reason: str) -> None:
    with pytest.raises(BadLine) as error:
        parse(line)
    assert error.value.message == reason


def test_a_bad_field_costs_only_what_follows() -> None:
    found: list[Sample] = []
    with pytest.raises(BadLine):
        found.extend(InfluxParser().samples(b"m a=1,b=x,c=3 1"))
    assert len(found) == 1


@given(st.one_of(st.binary(max_size=200), st.text('m,a=b \\"1iutTf.e-9#', max_size=80).map(str.encode)))
def test_garbage_is_a_bad_line_or_none(line: bytes) -> None:
    parser = InfluxParser()
    for _ in range(2):
        try:
            list(parser.samples(line))
        except BadLine:
            continue
