"""The agent's own protobuf says the same as the generated code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bongsu.core.errors import InvalidInput
from bongsu.core.samples import AgentIdentity, Frame, HostFacts, Process, ProcessList, Push, PushError, PushResult
from bongsu.wire import encoder, protobuf
from tests.support.strategies import errors, pushes, results


@given(push=pushes)
def test_the_library_reads_what_was_encoded(push: Push) -> None:
    assert protobuf.decode_push(encoder.encode_push(push)) == push


@given(push=pushes)
def test_the_length_is_the_librarys(push: Push) -> None:
    # not the bytes: the library writes the labels of a map in an order of its own
    assert len(encoder.encode_push(push)) == len(protobuf.encode_push(push))


@given(result=results, error=st.none() | errors)
def test_answers_are_read_as_the_library_reads_them(result: PushResult, error: PushError | None) -> None:
    result.error = error
    assert encoder.decode_result(protobuf.encode_result(result)) == result


@given(body=st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_a_clear_refusal(body: bytes) -> None:
    try:
        answer = encoder.decode_result(body)
    except InvalidInput:
        return  # any other exception fails the test
    assert isinstance(answer, PushResult)


@given(result=results, cut=st.integers(1, 200))
def test_an_answer_cut_short_never_passes_for_another_error(result: PushResult, cut: int) -> None:
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
        pytest.param(Push(AgentIdentity("a", "b"), HostFacts(memory_total_bytes=2**64)), id="uint64 too large"),
    ],
)
def test_a_number_that_does_not_fit_is_an_error(push: Push) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encoder.encode_push(push)


def test_fields_of_a_later_version_are_passed_over() -> None:
    later = b"\x7a\x02hi" + b"\x79" + bytes(8) + b"\x7d" + bytes(4) + b"\x78\x05"
    assert encoder.decode_result(later + b"\x08\x03") == PushResult(accepted=3)
