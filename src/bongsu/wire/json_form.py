"""Converts core types to and from the JSON form of the messages, for people and scripts.

It follows protobuf's JSON mapping with three exceptions: names are snake_case, a kind is ``gauge``, ``counter`` or
``delta``, and NaN (no value) is ``null``. 64-bit ids are strings, because a double holds only 53 bits, but numbers are
accepted too.
"""

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import orjson

from bongsu.core.errors import InvalidInput
from bongsu.core.samples import (
    AgentIdentity,
    Container,
    ContainerEvent,
    ContainerList,
    Frame,
    HostFacts,
    Process,
    ProcessList,
    Push,
    PushError,
    PushResult,
    pack,
    unpack,
)
from bongsu.core.series import Kind, Layout, Series

CONTENT_TYPE = "application/json"

_INFINITY = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
_INT64 = (-(2**63), 2**63 - 1)
_UINT32 = (0, 2**32 - 1)
_UINT64 = (0, 2**64 - 1)


class _Object:
    """A JSON object with its path in the document, so that every error can name the field."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise InvalidInput(f"{path or 'The body'} must be an object.", code="malformed_body", field=path or "body")
        self.value: dict[str, Any] = value
        self.path = path

    def path_of(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def error(self, key: str, expected: str) -> InvalidInput:
        path = self.path_of(key)
        return InvalidInput(f"{path} must be {expected}.", code="malformed_body", field=path)

    def text(self, key: str) -> str:
        value = self.value.get(key, "")
        if not isinstance(value, str):
            raise self.error(key, "a string")
        try:
            value.encode()
        except UnicodeEncodeError:  # a lone surrogate is valid JSON, but not valid text
            raise self.error(key, "valid Unicode") from None
        return value

    def integer(self, key: str, bounds: tuple[int, int]) -> int:
        value = self.value.get(key, 0)
        if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) <= 20:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not bounds[0] <= value <= bounds[1]:
            raise self.error(key, f"a whole number from {bounds[0]} to {bounds[1]}")
        return value

    def number(self, key: str) -> float:
        value = self.value.get(key, 0)
        # a larger integer does not fit a double
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            raise self.error(key, "a number")
        return float(value)

    def items(self, key: str) -> list[Any]:
        value = self.value.get(key, [])
        if not isinstance(value, list):
            raise self.error(key, "a list")
        return value

    def objects(self, key: str) -> Iterator["_Object"]:
        for index, value in enumerate(self.items(key)):
            yield _Object(value, f"{self.path_of(key)}[{index}]")

    def object(self, key: str) -> "_Object | None":
        value = self.value.get(key)
        return None if value is None else _Object(value, self.path_of(key))


def _parsed(body: bytes) -> Any:
    try:
        # Four times as fast: no other thread runs while a document is parsed.
        return orjson.loads(body)
    except ValueError:
        # Python's module also accepts NaN and Infinity without quotes, which it writes itself.
        return json.loads(body)


def decode_push(body: bytes) -> Push:
    """Decodes the body of a POST. Checks only its form; the API server enforces the limits.

    Raises:
        InvalidInput: not JSON, or a field of the wrong type; names the field.
    """
    try:
        document = _Object(_parsed(body), "")
    except (ValueError, RecursionError):
        raise InvalidInput("The body is not valid JSON.", code="malformed_body", field="body") from None
    agent = document.object("agent") or _Object({}, "agent")
    tags = agent.object("tags") or _Object({}, "agent.tags")
    host = document.object("host")
    return Push(
        AgentIdentity(
            agent.text("agent_id"),
            agent.text("name"),
            agent.text("version"),
            agent.integer("interval_ms", _UINT32),
            {name: tags.text(name) for name in tags.value},
        ),
        None if host is None else _host(host),
        [_layout(layout) for layout in document.objects("layouts")],
        [_frame(frame) for frame in document.objects("frames")],
        [_process_list(processes) for processes in document.objects("process_lists")],
        document.integer("sent_ms", _INT64),
        [_container_list(containers) for containers in document.objects("container_lists")],
    )


def _host(host: _Object) -> HostFacts:
    return HostFacts(
        host.text("hostname"),
        host.text("os"),
        host.text("kernel"),
        host.text("architecture"),
        host.text("cpu_model"),
        host.integer("cpu_count", _UINT32),
        host.integer("memory_total_bytes", _UINT64),
        host.integer("boot_time_ms", _INT64),
    )


def _layout(layout: _Object) -> Layout:
    return Layout(layout.integer("id", _UINT64), tuple(_series(series) for series in layout.objects("series")))


def _series(series: _Object) -> Series:
    labels = series.object("labels") or _Object({}, series.path_of("labels"))
    kind = series.value.get("kind")
    if kind not in ("gauge", "counter", "delta"):
        raise series.error("kind", "gauge, counter or delta")
    return Series(
        series.text("metric"),
        tuple((name, labels.text(name)) for name in sorted(labels.value)),
        series.text("unit"),
        Kind(kind),
    )


def _process_list(processes: _Object) -> ProcessList:
    return ProcessList(
        processes.integer("time_ms", _INT64), [_process(process) for process in processes.objects("processes")]
    )


def _process(process: _Object) -> Process:
    return Process(
        process.integer("pid", _UINT32),
        process.text("name"),
        process.text("user"),
        process.number("cpu_ratio"),
        process.integer("memory_bytes", _UINT64),
        process.integer("threads", _UINT32),
        process.integer("started_ms", _INT64),
    )


def _container_list(containers: _Object) -> ContainerList:
    return ContainerList(
        containers.integer("time_ms", _INT64),
        [Container(*_row(container, Container)) for container in containers.objects("containers")],
        [ContainerEvent(*_row(event, ContainerEvent)) for event in containers.objects("events")],
        containers.integer("events_dropped", _UINT32),
    )


def _row(row: _Object, of: type[Container] | type[ContainerEvent]) -> Iterator[Any]:
    """The fields of a row, in their order."""
    for name, kind in of.__annotations__.items():
        if kind is str:
            yield row.text(name)
        elif kind is float:
            yield row.number(name)
        else:
            yield row.integer(name, _INT64 if name.endswith("_ms") else _UINT64 if name.endswith("_bytes") else _UINT32)


def _frame(frame: _Object) -> Frame:
    values = []
    for index, value in enumerate(frame.items("values")):
        number = math.nan if value is None else _INFINITY.get(value, value) if isinstance(value, str) else value
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise frame.error(f"values[{index}]", 'a number, null, "Infinity" or "-Infinity"')
        try:
            values.append(float(number))
        except OverflowError:
            raise frame.error(f"values[{index}]", "within the range of a double") from None
    return Frame(frame.integer("layout_id", _UINT64), frame.integer("time_ms", _INT64), pack(values))


def encode_push(push: Push) -> bytes:
    """The JSON body of a POST."""
    document: dict[str, Any] = {
        "agent": {
            "agent_id": push.agent.agent_id,
            "name": push.agent.name,
            "version": push.agent.version,
            "interval_ms": push.agent.interval_ms,
            "tags": push.agent.tags,
        },
        "sent_ms": push.sent_ms,
    }
    if push.host is not None:
        document["host"] = {name: getattr(push.host, name) for name in HostFacts.__slots__}
    document["layouts"] = [
        {"id": str(layout.id), "series": [series_object(series) for series in layout.series]} for layout in push.layouts
    ]
    document["frames"] = [
        {
            "layout_id": str(frame.layout_id),
            "time_ms": frame.time_ms,
            "values": [_json_number(value) for value in unpack(frame.values)],
        }
        for frame in push.frames
    ]
    if push.process_lists:
        document["process_lists"] = [
            {
                "time_ms": process_list.time_ms,
                "processes": [process._asdict() for process in process_list.processes],
            }
            for process_list in push.process_lists
        ]
    if push.container_lists:
        document["container_lists"] = [
            {
                "time_ms": container_list.time_ms,
                "containers": [container._asdict() for container in container_list.containers],
                "events": [event._asdict() for event in container_list.events],
                "events_dropped": container_list.events_dropped,
            }
            for container_list in push.container_lists
        ]
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def series_object(series: Series) -> dict[str, Any]:
    """A series as the API shows it."""
    return {"metric": series.metric, "labels": dict(series.labels), "unit": series.unit, "kind": series.kind.value}


def _json_number(value: float) -> float | str | None:
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def encode_result(result: PushResult) -> bytes:
    """The JSON body of the response to a POST. Errors have the same shape as everywhere in the API."""
    document: dict[str, Any] = {}
    if result.error is not None:
        error = result.error
        document["error"] = {
            "code": error.code,
            "message": error.message,
            "field": error.field,
            "limit": error.limit,
        }
    else:
        document |= {"accepted": result.accepted, "duplicates": result.duplicates}
    if result.unknown_layouts:
        document["unknown_layouts"] = [str(layout_id) for layout_id in result.unknown_layouts]
    document["server_time_ms"] = result.server_time_ms
    if result.interval_ms:
        document["hints"] = {"interval_ms": result.interval_ms}
    return json.dumps(document, ensure_ascii=False).encode()


def decode_result(body: bytes) -> PushResult:
    """Decodes the response to a POST.

    Raises:
        InvalidInput: not JSON, or a field of the wrong type.
    """
    try:
        document = _Object(json.loads(body), "")
    except (ValueError, RecursionError):
        raise InvalidInput("The response is not valid JSON.", code="malformed_body", field="body") from None
    error = document.object("error")
    hints = document.object("hints") or _Object({}, "hints")
    return PushResult(
        document.integer("accepted", _UINT32),
        document.integer("duplicates", _UINT32),
        [int(layout_id) for layout_id in document.items("unknown_layouts")],
        document.integer("server_time_ms", _INT64),
        hints.integer("interval_ms", _UINT32),
        None
        if error is None
        else PushError(error.text("code"), error.text("message"), error.value.get("field"), error.value.get("limit")),
    )
