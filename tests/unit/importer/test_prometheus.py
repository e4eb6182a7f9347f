"""Paging through the samples of a Prometheus that is played by a function."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs

import httpx
import pytest

from bongsu.core.errors import BongsuError, InvalidInput
from bongsu.core.units import HOUR_MS
from bongsu.importer.prometheus import PrometheusSource
from bongsu.importer.retry import Retrier
from bongsu.importer.selectors import matchers_of, with_names
from bongsu.importer.source import Batch, Sample
from bongsu.importer.totals import Totals
from bongsu.importer.uplink import Uplink
from bongsu.wire.remote_write import labels_of

START_MS = 1_795_000_000_000
END_MS = START_MS + 3 * HOUR_MS - 1
NAMES = [f"m{index:02}" for index in range(50)]
QUERY = re.compile(r'\{__name__=~"([^"]*)"\}\[(\d+)ms\]')


class Played:
    """Has a sample every 20 minutes; refuses more than ``most`` at once. Ranges are closed, as before Prometheus 3."""

    def __init__(self, most: int = 1_000_000) -> None:
        self.most = most
        self.queries = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/label/__name__/values":
            return httpx.Response(200, json={"status": "success", "data": NAMES})
        form = parse_qs(request.content.decode())
        self.queries += 1
        match = QUERY.fullmatch(form["query"][0])
        assert match is not None, form
        end_ms = round(float(form["time"][0]) * 1000)
        times = [
            time_ms
            for time_ms in range(START_MS, END_MS + 1, HOUR_MS // 3)
            if end_ms - int(match[2]) <= time_ms <= end_ms
        ]
        names = match[1].split("|")
        if len(times) * len(names) > self.most:
            return httpx.Response(422, json={"status": "error", "errorType": "execution", "error": "too many samples"})
        result = [
            {"metric": {"__name__": name, "job": "a"}, "values": [[time_ms / 1000, "1.5"] for time_ms in times]}
            for name in names
        ]
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": result}})


def source(answer: Callable[[httpx.Request], httpx.Response], totals: Totals, batch: int = 30) -> PrometheusSource:
    def fail(_: httpx.Request) -> httpx.Response:
        raise AssertionError

    retrier = Retrier(lambda _: None, sleep=lambda _: None)
    bongsu = httpx.Client(base_url="http://bongsu", transport=httpx.MockTransport(fail))
    client = httpx.Client(base_url="http://prometheus", transport=httpx.MockTransport(answer))
    uplink = Uplink(bongsu, totals, retrier, lambda _: None)
    return PrometheusSource(client, ("",), (START_MS, END_MS), totals, uplink, retrier, batch)


def samples(batches: list[Batch]) -> list[Sample]:
    return [sample for batch in batches for sample in batch.samples]


def test_every_sample_comes_once_and_in_order() -> None:
    totals = Totals()
    found = samples(list(source(Played(), totals).batches(None)))
    assert len(found) == len({sample[:2] for sample in found}) == totals.read == 9 * len(NAMES)
    by_series: dict[bytes, list[int]] = {}
    for key, time_ms, value in found:
        assert value == 1.5
        by_series.setdefault(key, []).append(time_ms)
    assert {dict(labels_of(key))["__name__"] for key in by_series} == set(NAMES)
    assert all(times == sorted(times) for times in by_series.values())


def test_every_position_continues_with_the_rest() -> None:
    batches = list(source(Played(), Totals()).batches(None))
    assert sum(batch.position is not None for batch in batches) > 6
    for index, batch in enumerate(batches):
        if batch.position is not None:
            rest = samples(list(source(Played(), Totals()).batches(batch.position)))
            assert sorted(rest) == sorted(samples(batches[index + 1 :]))


@pytest.mark.parametrize("most", [40, 3, 1])
def test_what_is_too_much_is_asked_for_in_parts(most: int) -> None:
    played = Played(most)
    found = samples(list(source(played, Totals()).batches(None)))
    assert len(found) == len({sample[:2] for sample in found}) == 9 * len(NAMES)


def test_what_cannot_be_answered_at_all_ends_the_import() -> None:
    with pytest.raises(BongsuError, match="cannot answer for one second of m00: too many samples"):
        list(source(Played(0), Totals()).batches(None))


def test_hours_that_bongsu_refuses_are_not_asked_for() -> None:
    played = Played()
    reader = source(played, Totals())
    reader._uplink.oldest_ms = END_MS - HOUR_MS // 2
    assert len(samples(list(reader.batches(None)))) == 3 * len(NAMES)


@pytest.mark.parametrize("answer", [
    httpx.Response(200, text="<html>"),
    httpx.Response(200, json=[]),
    httpx.Response(200, json={"data": {"resultType": "vector"}}),
    httpx.Response(200, json={"data": {"resultType": "matrix", "result": [{"metric": [], "values": [1]}]}}),
    httpx.Response(404, text="no"),
])  # fmt: skip
def test_who_is_not_prometheus(answer: httpx.Response) -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        return Played()(request) if request.method == "GET" else answer

    with pytest.raises(BongsuError, match="the source at http://prometheus answers"):
        list(source(answers, Totals()).batches(None))


@pytest.mark.parametrize(("selector", "matchers"), [
    ("up", '__name__="up"'),
    ('up{job="a"}', '__name__="up",job="a"'),
    ('{job=~"a{2}|b", }', 'job=~"a{2}|b"'),
    (" {} ", ""),
])  # fmt: skip
def test_selectors(selector: str, matchers: str) -> None:
    assert matchers_of(selector) == matchers


@pytest.mark.parametrize("selector", ["", "rate(up[5m])", "{a", "up}", "a b"])
def test_what_is_no_selector(selector: str) -> None:
    with pytest.raises(InvalidInput, match="--match"):
        matchers_of(selector)


def test_names_are_escaped() -> None:
    assert with_names('a="b"', ["x:y", 'p.q"r']) == r'{a="b",__name__=~"x:y|p\\.q\"r"}'
