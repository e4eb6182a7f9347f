"""What a response of the server means."""

import pytest

from bongsu.core.samples import PushError, PushResult
from bongsu.wire.outcome import Response, Verdict, outcome_of
from bongsu.wire.protobuf import encode_result


def body(accepted: int = 0, duplicates: int = 0, *, code: str = "", limit: float | None = None) -> bytes:
    error = PushError(code, "why", None, limit) if code else None
    return encode_result(PushResult(accepted, duplicates, server_time_ms=1_000_000, error=error))


@pytest.mark.parametrize(
    ("status", "answer", "verdict"),
    [
        (200, body(2, 1), Verdict.STORED),
        (200, body(2), Verdict.RETRY_LATER),
        (200, body(2, 1, code="wrong"), Verdict.RETRY_LATER),
        (400, body(code="malformed_body"), Verdict.REJECTED),
        (400, body(code="time_ahead"), Verdict.AHEAD),
        (401, body(code="invalid_token"), Verdict.REFUSED),
        (413, body(code="body_too_large"), Verdict.REJECTED),
        (429, body(code="too_many_requests"), Verdict.RETRY_LATER),
        (503, body(code="queue_full"), Verdict.RETRY_LATER),
    ],
)
def test_what_the_api_server_answers(status: int, answer: bytes, verdict: Verdict) -> None:
    assert outcome_of(Response(status, {}, answer), frames=3).verdict is verdict


@pytest.mark.parametrize("page", [b"", b"<html>", b"{}", b"\x08\x03"])
@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.RETRY_LATER),
        (204, Verdict.RETRY_LATER),
        (301, Verdict.RETRY_LATER),
        (400, Verdict.RETRY_LATER),
        (401, Verdict.REFUSED),
        (404, Verdict.RETRY_LATER),
        (407, Verdict.REFUSED),
        (413, Verdict.TOO_LARGE),
        (425, Verdict.RETRY_LATER),
        (502, Verdict.RETRY_LATER),
    ],
)
def test_an_answer_of_somebody_else_never_loses_a_frame(status: int, page: bytes, verdict: Verdict) -> None:
    outcome = outcome_of(Response(status, {}, page), frames=3)
    assert outcome.verdict is verdict
    assert str(status) in outcome.reason


def test_the_server_says_up_to_which_time_it_accepts() -> None:
    outcome = outcome_of(Response(400, {}, body(code="time_ahead", limit=300)), frames=1)
    assert outcome.newest_accepted_ms == 1_300_000


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0), ("soon", None), ("", None)],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    assert outcome_of(Response(503, {"retry-after": header}, b""), frames=1).retry_after_seconds == seconds
