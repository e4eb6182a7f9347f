"""What a response of the server means."""

import pytest

from bongsu.agent.delivery.http import Response
from bongsu.agent.delivery.outcome import Verdict, outcome_of


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.STORED),
        (204, Verdict.STORED),
        (400, Verdict.REJECTED),
        (401, Verdict.REFUSED),
        (404, Verdict.REJECTED),
        (413, Verdict.REJECTED),
        (425, Verdict.RETRY_LATER),
        (502, Verdict.RETRY_LATER),
    ],
)
def test_the_status_alone_decides(status: int, verdict: Verdict) -> None:
    assert outcome_of(Response(status, {}, b"<html>")).verdict is verdict


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0), ("soon", None), ("", None)],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    assert outcome_of(Response(503, {"retry-after": header}, b"")).retry_after_seconds == seconds
