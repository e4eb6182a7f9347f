"""Writing to the API server: what is repeated, counted, and given up."""

from collections.abc import Callable

import httpx
import pytest

from bongsu.core.errors import BongsuError, Unauthenticated, Unavailable
from bongsu.importer.parsing import series_key
from bongsu.importer.retry import Retrier
from bongsu.importer.source import Sample
from bongsu.importer.totals import Totals
from bongsu.importer.uplink import Uplink
from bongsu.wire.remote_write import decode_series, decompress, series_of

KEY = series_key({"__name__": "up", "instance": "a"})
SAMPLES: list[Sample] = [(KEY, 1_795_000_000_000 + index, float(index)) for index in range(4)]
WRITTEN = "X-Prometheus-Remote-Write-Samples-Written"


class Fixture:
    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.slept: list[float] = []
        self.said: list[str] = []
        self.totals = Totals()
        retrier = Retrier(self.said.append, sleep=self.slept.append, monotonic=lambda: sum(self.slept))
        client = httpx.Client(base_url="http://bongsu", transport=httpx.MockTransport(answer))
        self.uplink = Uplink(client, self.totals, retrier, self.said.append)


def times(request: httpx.Request) -> list[int]:
    return decode_series(series_of(decompress(request.content, 1_000_000))[0]).times


def error(status: int, code: str, written: int | None = None, limit: float | None = None) -> httpx.Response:
    headers = {} if written is None else {WRITTEN: str(written)}
    return httpx.Response(
        status, headers=headers, json={"error": {"code": code, "message": f"Because {code}.", "limit": limit}}
    )


def test_samples_are_sent_as_they_are() -> None:
    bodies = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(204)

    fixture = Fixture(answer)
    samples = [*SAMPLES, (KEY, -5, -0.0), (KEY, 0, 0.0)]
    fixture.uplink.write(samples)
    decoded = decode_series(series_of(decompress(bodies[0], 1_000_000))[0])
    assert list(zip(decoded.keys, decoded.times, decoded.values, strict=True)) == samples
    assert fixture.totals.stored == 6


def test_what_is_temporary_is_repeated() -> None:
    answers = [
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(503),
        httpx.ConnectError("refused"),
        httpx.Response(204),
    ]

    def answer(_: httpx.Request) -> httpx.Response:
        following = answers.pop(0)
        if isinstance(following, Exception):
            raise following
        return following

    fixture = Fixture(answer)
    fixture.uplink.write(SAMPLES)
    assert fixture.slept == [7, 1, 2]
    assert fixture.totals.stored == 4


def test_a_server_that_stays_away_is_given_up() -> None:
    fixture = Fixture(lambda _: httpx.Response(503))
    with pytest.raises(Unavailable, match="Gave up"):
        fixture.uplink.write(SAMPLES)
    assert 600 < sum(fixture.slept) < 700


def test_refused_samples_are_counted_and_the_import_goes_on() -> None:
    fixture = Fixture(lambda _: error(400, "invalid_label", written=3))
    fixture.uplink.write(SAMPLES)
    fixture.uplink.write(SAMPLES)
    assert (fixture.totals.stored, dict(fixture.totals.refused)) == (6, {"invalid_label": 2})
    assert fixture.totals.first_refusal == "Because invalid_label."
    assert fixture.said == ["refused: Because invalid_label."]


def test_samples_that_are_too_old_are_told_once_and_not_sent_again() -> None:
    requests = []
    oldest_ms = SAMPLES[2][1]

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(times(request))
        if min(requests[-1]) < oldest_ms:
            return error(400, "too_old", written=2, limit=oldest_ms)
        return httpx.Response(204)

    fixture = Fixture(answer)
    for _ in range(3):
        fixture.uplink.write(SAMPLES)
    fixture.uplink.write(SAMPLES[:2])
    assert [len(request) for request in requests] == [4, 2, 2]
    assert (fixture.totals.stored, dict(fixture.totals.refused)) == (6, {"too_old": 8})
    assert len(fixture.said) == 1
    assert "retention_raw" in fixture.said[0]


def test_a_request_that_is_too_large_is_halved() -> None:
    fixture = Fixture(lambda request: httpx.Response(413) if len(times(request)) > 1 else httpx.Response(204))
    fixture.uplink.write(SAMPLES)
    assert fixture.totals.stored == 4


def test_a_refused_token_ends_the_import() -> None:
    with pytest.raises(Unauthenticated, match="permission Writer"):
        Fixture(lambda _: error(401, "unauthenticated", written=0)).uplink.check()


@pytest.mark.parametrize(
    "answer", [httpx.Response(404, text="<html>"), httpx.Response(200, json=[]), httpx.Response(301)]
)
def test_who_is_not_bongsu(answer: httpx.Response) -> None:
    with pytest.raises(BongsuError, match="not as Bongsu"):
        Fixture(lambda _: answer).uplink.check()


def test_a_wrong_address_is_told_at_once() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused") from ConnectionRefusedError()

    fixture = Fixture(answer)
    with pytest.raises(Unavailable, match="connection refused"):
        fixture.uplink.check()
    assert fixture.slept == []
