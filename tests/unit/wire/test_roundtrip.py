"""Both wire formats carry every push and result unchanged, including NaN and empty ones."""

import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.core.errors import InvalidInput
from bongsu.core.samples import (
    AgentIdentity,
    Frame,
    Push,
    PushError,
    PushResult,
    pack,
    unpack,
)
from bongsu.wire import json_form, protobuf
from bongsu.wire import metrics_pb2 as pb
from tests.support.strategies import errors, int64, pushes, results, uint64

FORMS = [pytest.param(protobuf, id="protobuf"), pytest.param(json_form, id="json")]


@pytest.mark.parametrize("form", FORMS)
@given(push=pushes)
def test_a_push_survives_the_wire(form, push: Push) -> None:
    assert form.decode_push(form.encode_push(push)) == push


@pytest.mark.parametrize("form", FORMS)
@given(result=results)
def test_a_result_survives_the_wire(form, result: PushResult) -> None:
    assert form.decode_result(form.encode_result(result)) == result


@pytest.mark.parametrize("form", FORMS)
@given(error=errors, unknown=st.lists(uint64, max_size=2), time_ms=int64)
def test_an_error_survives_the_wire(form, error: PushError, unknown: list[int], time_ms: int) -> None:
    result = PushResult(unknown_layouts=unknown, server_time_ms=time_ms, error=error)
    assert form.decode_result(form.encode_result(result)) == result


@given(push=pushes)
def test_the_packed_view_is_the_same_bytes_as_the_schema(push: Push) -> None:
    message = pb.PushRequest.FromString(protobuf.encode_push(push))
    assert [pack(frame.values) for frame in message.frames] == [frame.values for frame in push.frames]
    assert [frame.time_ms for frame in message.frames] == [frame.time_ms for frame in push.frames]


@given(push=pushes, size=st.integers(1, 60))
def test_a_large_push_is_read_in_pieces(push: Push, size: int) -> None:
    body = protobuf.encode_push(push)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protobuf, "PIECE_BYTES", size)
        pieces = list(protobuf._pieces(body))
        assert b"".join(pieces) == body
        assert all(len(piece) >= size for piece in pieces[:-1])
        assert protobuf.decode_push(body) == push


@given(body=st.binary(max_size=60) | pushes.map(lambda push: protobuf.encode_push(push)[:-1]))
def test_reading_in_pieces_refuses_what_reading_at_once_refuses(body: bytes) -> None:
    answers = []
    for size in (1, 1_000_000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(protobuf, "PIECE_BYTES", size)
            try:
                answers.append(protobuf.decode_push(body))
            except InvalidInput as error:
                answers.append(error.code)
    assert answers[0] == answers[1]


def test_a_number_without_end_takes_no_time() -> None:
    with pytest.raises(InvalidInput):
        protobuf.decode_push(b"\xff" * 4_000_000)


def test_values_keep_nan_and_infinity_in_json() -> None:
    push = Push(AgentIdentity("a", "b"), frames=[Frame(1, 2, pack([0.5, math.nan, math.inf, -math.inf]))])
    body = json_form.encode_push(push)
    assert json.loads(body)["frames"][0]["values"] == [0.5, None, "Infinity", "-Infinity"]
    values = unpack(json_form.decode_push(body).frames[0].values)
    assert values[0] == 0.5
    assert math.isnan(values[1])
    assert list(values[2:]) == [math.inf, -math.inf]


@pytest.mark.parametrize("decode", [protobuf.decode_push, protobuf.decode_result], ids=["push", "result"])
def test_garbage_is_not_protobuf(decode: Callable[[bytes], object]) -> None:
    with pytest.raises(InvalidInput) as error:
        decode(b"\xff\xff not protobuf")
    assert error.value.code == "malformed_body"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(b"{", "body", id="cut off"),
        pytest.param(b"\xff", "body", id="not text"),
        pytest.param(b"[]", "body", id="a list"),
        pytest.param(b"[" * 100_000, "body", id="nested too deep"),
        pytest.param(b'{"agent": 1}', "agent", id="agent is a number"),
        pytest.param(b'{"agent": {"name": 1}}', "agent.name", id="name is a number"),
        pytest.param(b'{"agent": {"name": "\\ud800"}}', "agent.name", id="lone surrogate"),
        pytest.param(b'{"agent": {"interval_ms": -1}}', "agent.interval_ms", id="negative interval"),
        pytest.param(b'{"frames": {}}', "frames", id="frames is an object"),
        pytest.param(b'{"frames": [1]}', "frames[0]", id="frame is a number"),
        pytest.param(b'{"frames": [{"time_ms": 1.5}]}', "frames[0].time_ms", id="fraction of a millisecond"),
        pytest.param(b'{"frames": [{"values": ["x"]}]}', "frames[0].values[0]", id="value is text"),
        pytest.param(b'{"frames": [{"values": [true]}]}', "frames[0].values[0]", id="value is true"),
        pytest.param(
            b'{"frames": [{"values": [1' + b"0" * 400 + b"]}]}", "frames[0].values[0]", id="too big for a double"
        ),
        pytest.param(
            b'{"process_lists": [{"processes": [1]}]}', "process_lists[0].processes[0]", id="process a number"
        ),
        pytest.param(
            b'{"process_lists": [{"processes": [{"cpu_ratio": null}]}]}',
            "process_lists[0].processes[0].cpu_ratio",
            id="share is null",
        ),
        pytest.param(
            b'{"process_lists": [{"processes": [{"cpu_ratio": 1' + b"0" * 400 + b"}]}]}",
            "process_lists[0].processes[0].cpu_ratio",
            id="share too big for a double",
        ),
        pytest.param(
            b'{"container_lists": [{"containers": [{"exit_code": -1}]}]}',
            "container_lists[0].containers[0].exit_code",
            id="exit code negative",
        ),
        pytest.param(
            b'{"container_lists": [{"events": [{"type": 1}]}]}',
            "container_lists[0].events[0].type",
            id="type of an event a number",
        ),
        pytest.param(
            b'{"layouts": [{"id": 1, "series": [{"kind": "x"}]}]}', "layouts[0].series[0].kind", id="unknown kind"
        ),
        pytest.param(b'{"layouts": [{"id": "99999999999999999999"}]}', "layouts[0].id", id="id over 64 bits"),
    ],
)
def test_errors_in_json_name_the_field(body: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as error:
        json_form.decode_push(body)
    assert error.value.field == field
    assert error.value.code == "malformed_body"


def test_a_series_without_a_kind_is_rejected() -> None:
    message = pb.PushRequest(layouts=[pb.Layout(id=1, series=[pb.SeriesDescriptor(metric="m")])])
    with pytest.raises(InvalidInput) as error:
        protobuf.decode_push(message.SerializeToString())
    assert error.value.field == "layouts[0].series[0].kind"
