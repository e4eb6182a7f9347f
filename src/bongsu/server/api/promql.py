"""/api/v1: the HTTP API of Prometheus, as far as Grafana and scripts use it, over Bongsu's samples.

Every endpoint takes its parameters from the URL, and with POST from a form as well. Answers and errors have Prometheus'
format (https://prometheus.io/docs/prometheus/latest/querying/api/).
"""

import asyncio
import datetime as dt
import math
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs

import numpy as np
import promql_parser
from fastapi import APIRouter, Path, Request, Response
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse

from bongsu import __version__
from bongsu.arrays import Values
from bongsu.core.descriptions import Description, members_of
from bongsu.core.errors import BongsuError, Forbidden, InvalidInput, TooMany, Unauthenticated, Unavailable
from bongsu.core.series import Kind, Series
from bongsu.core.units import parse_duration_ms
from bongsu.server.api.access import Viewer
from bongsu.server.api.answers import dumped, streamed
from bongsu.server.api.dependencies import ServicesDep
from bongsu.server.errors import retry_after, status_of
from bongsu.server.history.promql.engine import Answer, PromQuery
from bongsu.server.history.promql.labels import NAME, Labels
from bongsu.server.history.promql.syntax import Node, parse
from bongsu.server.history.promql.values import Scalar, String, Vector, Windows
from bongsu.server.storage.descriptions import load_descriptions

T = TypeVar("T")

# What clients are told that they talk to: the version of Prometheus whose API and language these are.
LIKE_PROMETHEUS = "3.5.0"
_FORM = "application/x-www-form-urlencoded"

Arguments = Mapping[str, Sequence[str]]


class PrometheusRoute(APIRoute):
    """Tells errors in Prometheus' format."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def tell(request: Request) -> Response:
            try:
                return await handle(request)
            except (Unauthenticated, Forbidden):
                raise
            except BongsuError as error:
                body = {"status": "error", "errorType": _type_of(error), "error": error.message}
                return JSONResponse(body, status_of(error), headers=retry_after(error))

        return tell


def _type_of(error: BongsuError) -> str:
    if isinstance(error, Unavailable | TooMany):
        return "timeout" if error.code == "query_timeout" else "unavailable"
    return "bad_data" if isinstance(error, InvalidInput) else "execution"


router = APIRouter(prefix="/api/v1", tags=["PromQL"], route_class=PrometheusRoute)


async def _arguments(request: Request) -> Arguments:
    """The parameters of the URL and of the form."""
    text = request.url.query
    if request.method == "POST" and request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
        text = f"{text}&{(await request.body()).decode(errors='replace')}"
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=1_000)
    except ValueError as error:
        raise InvalidInput(f"The parameters cannot be read: {error}.", field="query") from None


def _one(arguments: Arguments, name: str, otherwise: str | None = None) -> str:
    texts = arguments.get(name)
    if texts:
        return texts[0]
    if otherwise is None:
        raise InvalidInput(f"{name} is missing.", field=name)
    return otherwise


def _time_ms(text: str, field: str) -> int:
    """Unix seconds or RFC 3339."""
    try:
        seconds = float(text)
        if math.isfinite(seconds) and abs(seconds) < 1e11:
            return round(seconds * 1000)
    except ValueError:
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None:
            return round(moment.timestamp() * 1000)
    raise InvalidInput(f"{field}: {text[:40]!r} is neither Unix time in seconds nor RFC 3339.", field=field)


def _step_ms(text: str) -> int:
    """Seconds, or a duration such as 15s."""
    try:
        seconds = float(text)
    except ValueError:
        return parse_duration_ms(text, field="step")
    if not 0.001 <= seconds < 1e9:
        raise InvalidInput("step must be at least 0.001 s.", field="step", limit=0.001)
    return round(seconds * 1000)


def _limit(arguments: Arguments) -> int | None:
    text = _one(arguments, "limit", "0")
    if not text.isdecimal() or len(text) > 9:
        raise InvalidInput("limit must be a whole number.", field="limit")
    return int(text) or None


def _success(data: object, warnings: Sequence[str] = ()) -> Response:
    document = {"status": "success", "data": data} | ({"warnings": list(warnings)} if warnings else {})
    return Response(dumped(document), media_type="application/json")


async def _while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Does some work, unless the client goes away: then it is cancelled."""
    working = asyncio.ensure_future(work)
    tasks = working, asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise Unavailable("The client went away.", code="client_gone")
    finally:
        for task in tasks:
            task.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _parameters(*fields: tuple[str, str]) -> dict[str, Any]:
    """The description of parameters that come in the URL or in a form."""
    properties = {name: {"type": "string", "description": text} for name, text in fields}
    described = [
        {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in fields
    ]
    form = {"schema": {"type": "object", "properties": properties}}
    return {"get": {"parameters": described}, "post": {"requestBody": {"content": {_FORM: form}}}}


def _both(path: str, name: str, summary: str, *fields: tuple[str, str]) -> Callable[[T], T]:
    """Registers an endpoint for GET and POST."""
    described = _parameters(*fields)

    def register(endpoint: T) -> T:
        for method in ("get", "post"):
            router.add_api_route(
                path,
                endpoint,  # type: ignore[arg-type]
                methods=[method.upper()],
                operation_id=name if method == "get" else f"{name}_by_form",
                summary=summary,
                openapi_extra=described[method],
                response_class=Response,
                responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
            )
        return endpoint

    return register


_QUERY = ("query", "A PromQL expression.")
_START = ("start", "Unix seconds or RFC 3339.")
_END = ("end", "As `start`; included.")
_MATCH = ("match[]", 'A selector, such as `up{job="node"}`; several are possible.')
_LIMIT = ("limit", "Return at most so many.")


@_both("/query", "promql_query", "Evaluate PromQL at one moment", _QUERY, ("time", "As `start`; default now."))
async def query(request: Request, services: ServicesDep, user: Viewer) -> Response:
    """The value of an expression, or the samples of a range, at one moment."""
    arguments = await _arguments(request)
    now_ms = services.clock.now_ms()
    time_ms = _time_ms(_one(arguments, "time"), "time") if "time" in arguments else now_ms
    asked = PromQuery(_one(arguments, "query"), time_ms, time_ms)
    answer = await _while_there(request, services.promql.run(asked, user.view(services.registry)))
    return streamed(_instant_json(answer))


@_both(
    "/query_range",
    "promql_query_range",
    "Evaluate PromQL at the steps of a range",
    _QUERY,
    _START,
    _END,
    ("step", "Seconds, or a duration such as `15s`."),
)
async def query_range(request: Request, services: ServicesDep, user: Viewer) -> Response:
    """The value of an expression at each step from `start` to `end`."""
    arguments = await _arguments(request)
    start_ms, end_ms = (_time_ms(_one(arguments, name), name) for name in ("start", "end"))
    asked = PromQuery(_one(arguments, "query"), start_ms, end_ms, _step_ms(_one(arguments, "step")))
    answer = await _while_there(request, services.promql.run(asked, user.view(services.registry)))
    return streamed(_range_json(answer))


async def _series(
    arguments: Arguments, services: ServicesDep, user: Viewer, *, needed: bool = False
) -> tuple[list[Labels], int | None]:
    selectors: list[Node] = [parse(text) for text in arguments.get("match[]", ())]
    if needed and not selectors:
        raise InvalidInput("match[] is missing.", field="match[]")
    start_ms = _time_ms(_one(arguments, "start"), "start") if "start" in arguments else 0
    series = await services.promql.series(selectors, start_ms, user.view(services.registry))
    return series, _limit(arguments)


@_both("/series", "promql_series", "List series", _MATCH, _START, _END, _LIMIT)
async def series(request: Request, services: ServicesDep, user: Viewer) -> Response:
    """The labels of the series that match any of the selectors."""
    found, limit = await _series(await _arguments(request), services, user, needed=True)
    return streamed(_listed(dict(labels) for labels in found[:limit]))


@_both("/labels", "promql_labels", "List names of labels", _MATCH, _START, _END, _LIMIT)
async def label_names(request: Request, services: ServicesDep, user: Viewer) -> Response:
    """The names of the labels of all series, or of those that match any of the selectors."""
    found, limit = await _series(await _arguments(request), services, user)
    names = await asyncio.to_thread(lambda: sorted({name for labels in found for name, _ in labels}))
    return _success(names[:limit])


@router.get(
    "/label/{name}/values",
    operation_id="promql_label_values",
    summary="List values of a label",
    openapi_extra=_parameters(_MATCH, _START, _END, _LIMIT)["get"],
    response_class=Response,
)
async def label_values(
    request: Request, services: ServicesDep, user: Viewer, name: str = Path(max_length=256)
) -> Response:
    """The values of a label of all series, or of those that match any of the selectors. `__name__`: the metrics."""
    found, limit = await _series(await _arguments(request), services, user)
    values = await asyncio.to_thread(
        lambda: sorted({text for labels in found for label, text in labels if label == name})
    )
    return _success(values[:limit])


@router.get(
    "/metadata",
    operation_id="promql_metadata",
    summary="List metrics with types, help texts and units",
    openapi_extra=_parameters(("metric", "One metric; all if omitted."), _LIMIT)["get"],
    response_class=Response,
)
async def metadata(request: Request, services: ServicesDep, user: Viewer) -> Response:
    """The type, help text and unit of each metric, as its sender tells them. A histogram or summary is one metric. Of a
    metric that nobody describes, the kind and unit that Bongsu knows."""
    arguments = await _arguments(request)
    wanted, limit = _one(arguments, "metric", ""), _limit(arguments)
    told = await services.database.read(load_descriptions)
    known: dict[str, Series] = {}
    for state in list(user.view(services.registry).by_id.values()):
        for layout in list(state.layouts.values()):
            for metric, members in layout.by_metric.items():
                if metric:
                    known.setdefault(metric, members[0])
    listed = await asyncio.to_thread(_described, known, told)
    found = {metric: [entry] for metric, entry in sorted(listed.items()) if wanted in ("", metric)}
    return _success(dict(list(found.items())[:limit]))


def _described(known: Mapping[str, Series], told: Mapping[str, Description]) -> dict[str, dict[str, str]]:
    """Metric or family -> its entry. ``known``: the first series of each metric."""
    types = {Kind.GAUGE: "gauge", Kind.COUNTER: "counter", Kind.DELTA: "unknown"}
    found: dict[str, dict[str, str]] = {}
    members: set[str] = set()
    for family, description in told.items():
        present = [metric for metric in members_of(family, description.type) if metric in known]
        if present:
            members.update(present)
            unit = description.unit or known[present[0]].unit
            found[family] = {"type": description.type, "help": description.help, "unit": unit}
    for metric, series in known.items():
        if metric not in members:
            found[metric] = {"type": types[series.kind], "help": "", "unit": series.unit}
    return found


@router.get("/status/buildinfo", operation_id="promql_buildinfo", summary="Tell what this is", response_class=Response)
async def buildinfo(user: Viewer) -> Response:
    """`version` is that of Prometheus whose API and language these are; `revision` is Bongsu's own."""
    return _success({"version": LIKE_PROMETHEUS, "revision": f"Bongsu {__version__}", "branch": "", "goVersion": ""})


@_both("/format_query", "promql_format_query", "Format PromQL", _QUERY)
async def format_query(request: Request, user: Viewer) -> Response:
    """The expression, with line breaks and indentation."""
    text = _one(await _arguments(request), "query")
    parse(text)
    return _success(promql_parser.parse(text).prettify())


def _listed(documents: Iterator[object]) -> Iterator[bytes]:
    yield b'{"status":"success","data":['
    separator = b""
    for document in documents:
        yield separator + dumped(document)
        separator = b","
    yield b"]}"


def _head(kind: str) -> bytes:
    return b'{"status":"success","data":{"resultType":"%s","result":' % kind.encode()


def _tail(warnings: Sequence[str]) -> bytes:
    return b'},"warnings":%s}' % dumped(list(warnings)) if warnings else b"}}"


def _metric(labels: Labels) -> bytes:
    by_name = dict(labels)
    first = {NAME: by_name[NAME]} if NAME in by_name else {}
    return dumped(first | by_name)


def _texts(values: Values) -> list[bytes]:
    """The numbers as text. orjson writes them all at once; it has no word for those that are not finite."""
    if not len(values):
        return []
    texts: list[bytes] = (dumped(np.ascontiguousarray(values))[1:-1] + b",").replace(b".0,", b",").split(b",")
    texts.pop()
    for place in np.flatnonzero(~np.isfinite(values)).tolist():
        value = values[place]
        texts[place] = b"NaN" if math.isnan(value) else b"+Inf" if value > 0 else b"-Inf"
    return texts


def _openings(times: Values) -> list[bytes]:
    """What comes before the number of each pair."""
    return [b'"],[%s,"' % text for text in _texts(times)]


def _pairs(openings: Sequence[bytes], values: Values) -> bytes:
    """``[[1700000000.5,"1"],...]``. A million take 0.15 s."""
    if not len(values):
        return b"[]"
    parts = [b""] * (2 * len(values))
    parts[::2], parts[1::2] = openings, _texts(values)
    return b'[%s"]]' % b"".join(parts)[3:]


def _instant_json(answer: Answer) -> Iterator[bytes]:
    value = answer.value
    at = np.array([answer.steps.start_ms / 1000])
    if isinstance(value, Windows):
        yield _head("matrix")
        yield from _rows(
            (labels, _openings(value.samples.times[first:last] / 1000), value.samples.values[first:last])
            for labels, first, last in zip(
                value.samples.labels, value.first[:, 0].tolist(), value.last[:, 0].tolist(), strict=True
            )
            if last > first
        )
    elif isinstance(value, Vector):
        yield _head("vector") + b"["
        separator = b""
        rows = np.flatnonzero(value.present[:, 0]).tolist()
        for row, text in zip(rows, _texts(value.values[rows, 0]) if rows else [], strict=True):
            yield b'%s{"metric":%s,"value":[%s,"%s"]}' % (separator, _metric(value.labels[row]), _texts(at)[0], text)
            separator = b","
        yield b"]"
    elif isinstance(value, Scalar):
        yield _head("scalar") + _pairs(_openings(at), value.values)[1:-1]
    else:
        yield _head("string") + b"[%s,%s]" % (_texts(at)[0], dumped(value.value))
    yield _tail(answer.warnings)


def _range_json(answer: Answer) -> Iterator[bytes]:
    value, times = answer.value, answer.steps.times / 1000
    if isinstance(value, String | Windows):
        raise InvalidInput("A query over a range must have numbers as its value.", code="invalid_promql", field="query")
    yield _head("matrix")
    openings = _openings(times)
    if isinstance(value, Scalar):
        yield from _rows(iter([((), openings, value.values)]))
    else:
        order = sorted(range(len(value.labels)), key=lambda row: value.labels[row])
        yield from _rows(_present(value, row, openings) for row in order if value.present[row].any())
    yield _tail(answer.warnings)


def _present(vector: Vector, row: int, openings: list[bytes]) -> tuple[Labels, list[bytes], Values]:
    there = vector.present[row]
    if there.all():
        return vector.labels[row], openings, vector.values[row]
    return vector.labels[row], [openings[step] for step in np.flatnonzero(there).tolist()], vector.values[row][there]


def _rows(rows: Iterator[tuple[Labels, list[bytes], Values]]) -> Iterator[bytes]:
    separator = b"["
    for labels, openings, values in rows:
        yield b'%s{"metric":%s,"values":%s}' % (separator, _metric(labels), _pairs(openings, values))
        separator = b","
    yield b"[]" if separator == b"[" else b"]"
