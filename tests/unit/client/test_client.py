"""The Python client, against answers of the edge: errors, retries, pages, proxies; and its frames."""

import datetime as dt
import inspect
import math
from collections.abc import Callable
from typing import Any

import httpx
import pandas
import polars
import pytest
from scripts.async_client import SOURCE, TARGET, asynchronous

from bongsu.client import ApiError, AsyncClient, Client, ClientError, History, NotReachable, Series, calls
from bongsu.client.answers import promql_series

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> Client:
    plain = httpx.Client
    transport = httpx.MockTransport(handler)
    monkeypatch.setattr(httpx, "Client", lambda **given: plain(**given, transport=transport))
    return Client(**arguments)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr("bongsu.client.synchronous.time.sleep", waited.append)
    return waited


def test_the_asynchronous_client_is_the_synchronous_one() -> None:
    assert TARGET.read_text() == asynchronous(SOURCE.read_text()), "run: python -m scripts.async_client"
    names = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"}
    assert names == {name for name, _ in inspect.getmembers(AsyncClient, inspect.iscoroutinefunction) if name[0] != "_"}


def test_address_and_token_come_from_the_environment_if_they_are_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"servers": [], "next": None})

    monkeypatch.setenv("BONGSU_URL", "https://monitor.example.com/")
    monkeypatch.setenv("BONGSU_TOKEN", "from-environment")
    assert client(answer, monkeypatch).servers() == []
    monkeypatch.undo()
    client(answer, monkeypatch, url="http://127.0.0.1:1", token="given").servers(name="web-*", retired=True)
    assert str(seen[0].url) == "https://monitor.example.com/api/servers"
    assert seen[0].headers["Authorization"] == "Bearer from-environment"
    assert (seen[1].headers["Authorization"], seen[1].url.params["retired"]) == ("Bearer given", "true")


def test_what_is_selected_is_sent_as_the_api_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[tuple[str, str]]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(list(request.url.params.multi_items()))
        page = {"series": [], "missing": [], "start_ms": 0, "end_ms": 1, "step_ms": None, "resolution": "raw"}
        return httpx.Response(200, json=page | {"next": "more" if len(seen) == 1 else None})

    start = dt.datetime(2026, 7, 31, 3, 12, tzinfo=dt.UTC)
    client(answer, monkeypatch).history("a", start=start, server=[1, 2], labels={"mountpoint": "/", "x": "y"})
    assert seen[0] == [
        ("metric", "a"), ("start", "1785467520000"), ("end", "now"), ("server", "1"), ("server", "2"),
        ("labels", "mountpoint=/"), ("labels", "x=y"),
    ]  # fmt: skip
    assert ("cursor", "more") in seen[1]


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no zone"):
        calls.moment(dt.datetime(2026, 1, 1))


@pytest.mark.parametrize("status", [429, 503])
def test_it_waits_as_long_as_it_is_told_and_asks_again(
    monkeypatch: pytest.MonkeyPatch, waits: list[float], status: int
) -> None:
    answers = [
        httpx.Response(status, headers={"Retry-After": "7"}),
        httpx.Response(status),
        httpx.Response(200, json={}),
    ]
    assert client(lambda _: answers.pop(0), monkeypatch).request("GET", "/api/about") == {}
    assert waits == [7, 2]


@pytest.mark.parametrize("after", ["", "3600"])
def test_it_gives_up_in_the_end(monkeypatch: pytest.MonkeyPatch, waits: list[float], after: str) -> None:
    body = {"error": {"code": "rate_limited", "message": "Too many.", "field": None, "limit": 5}}
    refused = httpx.Response(429, json=body, headers={"Retry-After": after} if after else {})
    with pytest.raises(ApiError, match=r"Too many\. \(429 rate_limited\)") as error:
        client(lambda _: refused, monkeypatch).servers()
    assert (error.value.limit, error.value.retry_after) == (5, 3600 if after else None)
    assert waits == ([] if after else [1, 2, 4])


@pytest.mark.parametrize(
    ("response", "code", "message"),
    [
        (httpx.Response(400, json={"status": "error", "errorType": "bad_data", "error": "x"}), "bad_data", "x"),
        (httpx.Response(502, html="<h1>Bad gateway</h1>"), "http_error", "Bad Gateway"),
        (httpx.Response(500, json=["odd"]), "http_error", "Internal Server Error"),
    ],
)
def test_other_errors_keep_what_they_say(
    monkeypatch: pytest.MonkeyPatch, response: httpx.Response, code: str, message: str
) -> None:
    with pytest.raises(ApiError) as error:
        client(lambda _: response, monkeypatch).query("up")
    assert (error.value.code, error.value.message) == (code, message)


def test_another_site_is_no_traceback_of_json(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClientError, match="is this the address of Bongsu"):
        client(lambda _: httpx.Response(200, html="<p>hello"), monkeypatch).servers()


def test_nobody_there() -> None:
    with Client("http://127.0.0.1:1") as nobody, pytest.raises(NotReachable, match=r"127\.0\.0\.1:1"):
        nobody.servers()


HISTORY = History(
    [
        Series(1, "disk", {"device": "sda"}, [0, 60_000], [1.0, None], [0.5, None], [2.0, None]),
        Series(2, "disk", {"device": "sdb", "value": "odd"}, [60_000], [float("nan")]),
        Series(None, "load", {}, [], []),
    ],
    0,
    120_000,
)


def test_pandas() -> None:
    frame = HISTORY.to_pandas()
    assert list(frame.columns) == ["time", "server_id", "metric", "value", "min", "max", "device", "label_value"]
    assert frame["time"].tolist() == [
        pandas.Timestamp(0, tz="UTC"),
        *[pandas.Timestamp(60_000, unit="ms", tz="UTC")] * 2,
    ]
    assert frame["server_id"].tolist() == [1, 1, 2]
    assert frame["value"].dtype == frame["max"].dtype == float
    assert frame["value"].isna().tolist() == [False, True, True]
    assert frame.pivot_table(index="time", columns="device", values="value").to_dict() == {
        "sda": {pandas.Timestamp(0, tz="UTC"): 1.0}
    }
    assert History([], 0, 1).to_pandas().empty


def test_polars() -> None:
    frame = HISTORY.to_polars()
    assert frame.schema["time"] == polars.Datetime("ms", "UTC")
    assert frame["server_id"].to_list() == [1, 1, 2]
    assert frame["value"].to_list()[:2] == [1.0, None]
    assert frame["label_value"].to_list() == [None, None, "odd"]
    assert History([], 0, 1).to_polars().is_empty()


def test_results_of_promql() -> None:
    vector = {"resultType": "vector", "result": [{"metric": {"__name__": "up", "server": "3"}, "value": [1.5, "+Inf"]}]}
    assert promql_series(vector) == [Series(3, "up", {}, [1_500], [math.inf])]
    assert promql_series({"resultType": "scalar", "result": [2, "NaN"]})[0].times == [2_000]
    matrix = {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "2"], [2, "3"]]}]}
    assert promql_series(matrix) == [Series(None, "", {}, [1_000, 2_000], [2.0, 3.0])]
