"""The agent's own protobuf encoder agrees with the generated code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.core.errors import InvalidInput
from bongsu.core.samples import (
    AgentIdentity,
    Container,
    ContainerList,
    Frame,
    HostFacts,
    Process,
    ProcessList,
    Push,
    PushError,
    PushResult,
)
from bongsu.wire import encoder, protobuf
from tests.support.strategies import errors, pushes, results


@given(push=pushes)
def test_the_library_decodes_what_the_encoder_encodes(push: Push) -> None:
    assert protobuf.decode_push(encoder.encode_push(push)) == push


@given(push=pushes)
def test_the_encoder_and_the_library_produce_the_same_length(push: Push) -> None:
    # not the bytes: the library writes the labels of a map in an order of its own
    assert len(encoder.encode_push(push)) == len(protobuf.encode_push(push))


@given(result=results, error=st.none() | errors)
def test_responses_are_decoded_as_by_the_library(result: PushResult, error: PushError | None) -> None:
    result.error = error
    assert encoder.decode_result(protobuf.encode_result(result)) == result


@given(body=st.binary(max_size=60))
def test_any_bytes_are_a_response_or_invalid_input(body: bytes) -> None:
    try:
        answer = encoder.decode_result(body)
    except InvalidInput:
        return  # any other exception fails the test
    assert isinstance(answer, PushResult)


@given(result=results, cut=st.integers(1, 200))
def test_a_truncated_response_is_never_taken_for_another_one(result: PushResult, cut: int) -> None:
    body = protobuf.encode_result(result)[:-cut]
    try:
        expected = protobuf.decode_result(body)
    except InvalidInput:
        with pytest.raises(InvalidInput):
            encoder.decode_result(body)
    else:
        assert encoder.decode_result(body) == expected


@pytest.mark.parametrize(
    "push",
    [
        pytest.param(Push(AgentIdentity("a", "b", interval_ms=2**32)), id="uint32 too large"),
        pytest.param(Push(AgentIdentity("a", "b", interval_ms=-1)), id="uint32 negative"),
        pytest.param(Push(AgentIdentity("a", "b"), frames=[Frame(2**64, 0, b"")]), id="fixed64 too large"),
        pytest.param(Push(AgentIdentity("a", "b"), frames=[Frame(1, 2**63, b"")]), id="int64 too large"),
        pytest.param(
            Push(AgentIdentity("a", "b"), process_lists=[ProcessList(1, [Process(2**32, "x")])]),
            id="a process id too large",
        ),
        pytest.param(
            Push(AgentIdentity("a", "b"), container_lists=[ContainerList(1, [Container("c", "x", exit_code=2**32)])]),
            id="an exit code too large",
        ),
        pytest.param(Push(AgentIdentity("a", "b"), HostFacts(memory_total_bytes=2**64)), id="uint64 too large"),
    ],
)
def test_a_number_that_does_not_fit_its_field_is_an_error(push: Push) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encoder.encode_push(push)


def test_fields_of_a_later_version_are_ignored() -> None:
    later = b"\x7a\x02hi" + b"\x79" + bytes(8) + b"\x7d" + bytes(4) + b"\x78\x05"
    assert encoder.decode_result(later + b"\x08\x03") == PushResult(accepted=3)
