"""The questions that clients ask: a request, and what is made of its answer. Both clients make them alike."""

import datetime as dt
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx

from bongsu.client.answers import History, promql_series, series_of
from bongsu.client.errors import ApiError, ClientError, error_of

T = TypeVar("T")

# A moment: Unix ms, a datetime with a zone, or text such as "-6h", "now" or "2026-07-31T03:12:00Z".
Moment = int | dt.datetime | str
Parameters = Mapping[str, Any]

TIMEOUT_SECONDS = 60.0
RETRIES = 3
# Waits longer than this are left to the caller.
LONGEST_WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """``parse`` makes the answer of the JSON that comes."""

    method: str
    path: str
    parse: Callable[[Any], T]
    parameters: Parameters = field(default_factory=dict)
    json: Any = None


def moment(value: Moment) -> str:
    """A moment as the API takes it. Raises ValueError: a datetime without a zone, which could mean any."""
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise ValueError("The time has no zone: use datetime.now(timezone.utc), or .astimezone().")
        return str(round(value.timestamp() * 1000))
    return str(value)


def given(**parameters: Any) -> dict[str, Any]:
    """The parameters that are not None; moments and several values as the API takes them."""
    return {name: _text(value) for name, value in parameters.items() if value is not None}


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return moment(value)
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return [_text(each) for each in value]
    if isinstance(value, Mapping):
        return [f"{name}={text}" for name, text in value.items()]
    return value


def one(path: str, key: str | None = None, **parameters: Any) -> Call[Any]:
    """GET; the answer, or what it has under ``key``."""
    return Call("GET", path, lambda body: body if key is None else body[key], given(**parameters))


def page(path: str, **parameters: Any) -> Call[dict[str, Any]]:
    """GET of one page, whose ``next`` is the cursor of the next."""
    return Call("GET", path, lambda body: body, given(**parameters))


def history(pages: list[dict[str, Any]]) -> History:
    """The pages of ``/api/metrics/history`` as one answer."""
    first = pages[0]
    series = [series for each in pages for series in series_of(each["series"])]
    missing = [stretch for each in pages for stretch in each["missing"]]
    return History(series, first["start_ms"], first["end_ms"], first["step_ms"], first["resolution"], missing)


def promql(expression: str, time: Moment | None) -> Call[History]:
    """A question in PromQL at one time."""
    at = None if time is None else _seconds(time)
    return Call("GET", "/api/v1/query", _promql_answer, given(query=expression, time=at))


def promql_range(expression: str, start: Moment, end: Moment, step: str) -> Call[History]:
    """A question in PromQL over a range."""
    parameters = given(query=expression, start=_seconds(start), end=_seconds(end), step=step)
    return Call("GET", "/api/v1/query_range", _promql_answer, parameters)


def _seconds(value: Moment) -> str:
    """A moment as the PromQL API takes it: Unix seconds or ISO 8601; not relative."""
    if isinstance(value, dt.datetime):
        return str(int(moment(value)) / 1000)
    return str(value / 1000) if isinstance(value, int) else value


def _promql_answer(body: Mapping[str, Any]) -> History:
    series = promql_series(body["data"])
    times = [time for each in series for time in (each.times[0], each.times[-1])]
    return History(series, min(times, default=0), max(times, default=0))


def settings(url: str, token: str, verify: Any, timeout: float) -> dict[str, Any]:
    """The arguments of httpx' clients."""
    address = url or os.environ.get("BONGSU_URL", "") or "http://127.0.0.1:8600"
    known = token or os.environ.get("BONGSU_TOKEN", "")
    headers = {"User-Agent": "bongsu-client"} | ({"Authorization": f"Bearer {known}"} if known else {})
    return {"base_url": address.rstrip("/"), "headers": headers, "verify": verify, "timeout": timeout}


def body_of(response: httpx.Response) -> Any:
    """The JSON of a response; None without one. Raises ApiError."""
    if response.status_code >= 400:
        raise error_of(response)
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        raise ClientError(f"{response.url} answered no JSON: is this the address of Bongsu?") from None


def wait_before_retry(error: ApiError, attempt: int) -> float | None:
    """Seconds to wait before the request is made again; None: it is not."""
    if error.status not in (429, 503) or attempt >= RETRIES:
        return None
    seconds = error.retry_after if error.retry_after is not None else 2.0**attempt
    return seconds if seconds <= LONGEST_WAIT_SECONDS else None
