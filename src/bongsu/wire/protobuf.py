"""Converts core types to and from protobuf.

It uses ``PackedPushRequest``, which has the same bytes as ``PushRequest`` but leaves the doubles of each frame packed.
"""

from collections.abc import Iterator
from operator import attrgetter

from google.protobuf.message import DecodeError

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
)
from bongsu.core.series import Kind, Layout, Series
from bongsu.wire import metrics_pb2 as pb
from bongsu.wire.encoder import CONTENT_TYPE as CONTENT_TYPE

# The parser lets no other thread run: 1.7 MB of layouts take 12 ms.
PIECE_BYTES = 256 * 1024

# The names of their fields are those of the messages.
_CONTAINER = attrgetter(*Container._fields)
_EVENT = attrgetter(*ContainerEvent._fields)

_KIND_TO_WIRE = {Kind.GAUGE: pb.KIND_GAUGE, Kind.COUNTER: pb.KIND_COUNTER, Kind.DELTA: pb.KIND_DELTA}
_KIND_FROM_WIRE = {pb.KIND_GAUGE: Kind.GAUGE, pb.KIND_COUNTER: Kind.COUNTER, pb.KIND_DELTA: Kind.DELTA}


def encode_push(push: Push) -> bytes:
    """The body of a POST. Raises ValueError or TypeError if a number does not fit its field."""
    message = pb.PackedPushRequest(
        agent=pb.AgentIdentity(
            agent_id=push.agent.agent_id,
            name=push.agent.name,
            version=push.agent.version,
            interval_ms=push.agent.interval_ms,
            tags=push.agent.tags,
        ),
        sent_ms=push.sent_ms,
    )
    if push.host is not None:
        host = push.host
        message.host.CopyFrom(
            pb.HostFacts(
                hostname=host.hostname,
                os=host.os,
                kernel=host.kernel,
                architecture=host.architecture,
                cpu_model=host.cpu_model,
                cpu_count=host.cpu_count,
                memory_total_bytes=host.memory_total_bytes,
                boot_time_ms=host.boot_time_ms,
            )
        )
    for layout in push.layouts:
        message.layouts.add(
            id=layout.id,
            series=[encode_series(series) for series in layout.series],
        )
    for frame in push.frames:
        message.frames.add(layout_id=frame.layout_id, time_ms=frame.time_ms, values=frame.values)
    for processes in push.process_lists:
        message.process_lists.add(
            time_ms=processes.time_ms, processes=[pb.Process(**process._asdict()) for process in processes.processes]
        )
    for containers in push.container_lists:
        message.container_lists.add(
            time_ms=containers.time_ms,
            containers=[pb.Container(**container._asdict()) for container in containers.containers],
            events=[pb.ContainerEvent(**event._asdict()) for event in containers.events],
            events_dropped=containers.events_dropped,
        )
    return message.SerializeToString()


def encode_series(series: Series) -> pb.SeriesDescriptor:
    """A series as a message."""
    return pb.SeriesDescriptor(
        metric=series.metric, labels=dict(series.labels), unit=series.unit, kind=_KIND_TO_WIRE[series.kind]
    )


def decode_push(body: bytes) -> Push:
    """Decodes the body of a POST. Checks only its form; the API server enforces the limits.

    Raises:
        InvalidInput: not a PushRequest, or a series has no kind.
    """
    message = pb.PackedPushRequest()
    try:
        for piece in _pieces(body) if len(body) > PIECE_BYTES else (body,):
            message.MergeFromString(piece)
    except DecodeError:
        raise InvalidInput("The body is not a protobuf PushRequest.", code="malformed_body", field="body") from None
    identity = message.agent
    return Push(
        AgentIdentity(identity.agent_id, identity.name, identity.version, identity.interval_ms, dict(identity.tags)),
        _host(message.host) if message.HasField("host") else None,
        [_layout(layout, index) for index, layout in enumerate(message.layouts)],
        [Frame(frame.layout_id, frame.time_ms, frame.values) for frame in message.frames],
        [_process_list(processes) for processes in message.process_lists],
        message.sent_ms,
        [_container_list(containers) for containers in message.container_lists],
    )


def _pieces(body: bytes) -> Iterator[bytes]:
    """The body, cut between its fields into pieces of some PIECE_BYTES; merged one after the other they are the same.

    https://protobuf.dev/programming-guides/encoding/ has the form of a field. What has another form is left whole: the
    parser refuses it.
    """
    start = 0
    while start < len(body):
        end = start
        while end - start < PIECE_BYTES and end < len(body):
            tag, end = _varint(body, end)
            if tag & 7 == 2:
                length, end = _varint(body, end)
                end += length
            elif tag & 7 == 0:
                _, end = _varint(body, end)
            else:
                end = len(body)
        yield body[start:end]
        start = end


def _varint(body: bytes, position: int) -> tuple[int, int]:
    """A number of at most ten bytes, and the position after it; the end of the body if there is none."""
    number = 0
    for index, byte in enumerate(body[position : position + 10]):
        number |= (byte & 127) << 7 * index
        if byte < 128:
            return number, position + index + 1
    return number, len(body)


def _process_list(processes: pb.ProcessList) -> ProcessList:
    return ProcessList(
        processes.time_ms,
        [
            Process(
                process.pid,
                process.name,
                process.user,
                process.cpu_ratio,
                process.memory_bytes,
                process.threads,
                process.started_ms,
            )
            for process in processes.processes
        ],
    )


def _container_list(containers: pb.ContainerList) -> ContainerList:
    return ContainerList(
        containers.time_ms,
        [Container(*_CONTAINER(container)) for container in containers.containers],
        [ContainerEvent(*_EVENT(event)) for event in containers.events],
        containers.events_dropped,
    )


def _host(host: pb.HostFacts) -> HostFacts:
    return HostFacts(
        host.hostname,
        host.os,
        host.kernel,
        host.architecture,
        host.cpu_model,
        host.cpu_count,
        host.memory_total_bytes,
        host.boot_time_ms,
    )


def _layout(layout: pb.Layout, index: int) -> Layout:
    place = f"layouts[{index}].series"
    series = [decode_series(descriptor, place, position) for position, descriptor in enumerate(layout.series)]
    return Layout(layout.id, tuple(series))


def decode_series(descriptor: pb.SeriesDescriptor, place: str, position: int) -> Series:
    """A series from its message. ``place``, ``position``: where it stands in a request, for the error.

    Raises:
        InvalidInput: it has no kind.
    """
    kind = _KIND_FROM_WIRE.get(descriptor.kind)
    if kind is None:
        raise InvalidInput(
            "A series must be a gauge, a counter or a delta.", code="unknown_kind", field=f"{place}[{position}].kind"
        )
    return Series(descriptor.metric, tuple(sorted(descriptor.labels.items())), descriptor.unit, kind)


def encode_result(result: PushResult) -> bytes:
    """The body of the response to a POST."""
    message = pb.PushResponse(
        accepted=result.accepted,
        duplicates=result.duplicates,
        unknown_layouts=result.unknown_layouts,
        server_time_ms=result.server_time_ms,
    )
    if result.interval_ms:
        message.hints.interval_ms = result.interval_ms
    if result.error is not None:
        message.error.CopyFrom(encode_error(result.error))
    return message.SerializeToString()


def encode_error(error: PushError) -> pb.Error:
    """An error as a message."""
    return pb.Error(code=error.code, message=error.message, field=error.field or "", limit=error.limit)


def decode_error(error: pb.Error) -> PushError:
    """An error from its message."""
    limit = error.limit if error.HasField("limit") else None
    return PushError(error.code, error.message, error.field or None, limit)


def decode_result(body: bytes) -> PushResult:
    """Decodes the response to a POST.

    Raises:
        InvalidInput: not a PushResponse.
    """
    try:
        message = pb.PushResponse.FromString(body)
    except DecodeError:
        raise InvalidInput("The response is not a protobuf PushResponse.", code="malformed_body") from None
    error = decode_error(message.error) if message.HasField("error") else None
    return PushResult(
        message.accepted,
        message.duplicates,
        list(message.unknown_layouts),
        message.server_time_ms,
        message.hints.interval_ms,
        error,
    )
