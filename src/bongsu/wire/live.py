"""Protobuf <-> the messages of the live stream (``proto/live.proto``).

What the API server says is a sequence of parts. Each function below makes one; parts that are joined are one message,
so a part that many clients get is encoded once.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from bongsu.core.errors import InvalidInput
from bongsu.core.events import Event, EventType
from bongsu.core.samples import PushError
from bongsu.core.series import Series
from bongsu.wire import live_pb2 as pb
from bongsu.wire.protobuf import decode_error, decode_series, encode_error, encode_series

PROTOCOL = 1
_EVENT_TYPES = frozenset(EventType)


@dataclass(frozen=True, slots=True)
class Authenticate:
    """The first message of a client; later again with a new token."""

    protocol: int
    token: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """What a client wants; see ``proto/live.proto``."""

    id: int
    server_ids: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    min_interval_ms: int = 0
    since_ms: int = 0
    values: bool = False
    states: bool = False
    events: bool = False
    watch: bool = False


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Ends a subscription."""

    id: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a pong with the same number."""

    number: int


ClientMessage = Authenticate | Subscribe | Unsubscribe | Ping


class State(enum.IntEnum):
    """What a server is doing, as the wire has it."""

    UP = pb.STATE_UP
    LATE = pb.STATE_LATE
    DOWN = pb.STATE_DOWN
    RETIRED = pb.STATE_RETIRED
    GONE = pb.STATE_GONE


def encode_client(message: ClientMessage) -> bytes:
    """A message of a client. Raises ValueError if a number does not fit its field."""
    match message:
        case Authenticate():
            content = pb.ClientMessage(authenticate=pb.Authenticate(protocol=message.protocol, token=message.token))
        case Subscribe():
            content = pb.ClientMessage(
                subscribe=pb.Subscribe(
                    id=message.id,
                    servers=message.server_ids,
                    names=message.names,
                    tags=message.tags,
                    metrics=message.metrics,
                    types=message.types,
                    labels=message.labels,
                    min_interval_ms=message.min_interval_ms,
                    since_ms=message.since_ms,
                    values=message.values,
                    states=message.states,
                    events=message.events,
                    watch=message.watch,
                )
            )
        case Unsubscribe():
            content = pb.ClientMessage(unsubscribe=pb.Unsubscribe(id=message.id))
        case Ping():
            content = pb.ClientMessage(ping=pb.Ping(number=message.number))
    return content.SerializeToString()


def decode_client(body: bytes) -> ClientMessage:
    """Decodes a message of a client.

    Raises:
        InvalidInput: not a ClientMessage, or one without content.
    """
    try:
        message = pb.ClientMessage.FromString(body)
    except DecodeError:
        raise InvalidInput("The message is not a protobuf ClientMessage.", code="malformed_message") from None
    match message.WhichOneof("content"):
        case "authenticate":
            return Authenticate(message.authenticate.protocol, message.authenticate.token)
        case "subscribe":
            wanted = message.subscribe
            return Subscribe(
                wanted.id,
                tuple(wanted.servers),
                tuple(wanted.names),
                tuple(wanted.tags),
                tuple(wanted.metrics),
                tuple(wanted.types),
                tuple(wanted.labels),
                wanted.min_interval_ms,
                wanted.since_ms,
                wanted.values,
                wanted.states,
                wanted.events,
                wanted.watch,
            )
        case "unsubscribe":
            return Unsubscribe(message.unsubscribe.id)
        case "ping":
            return Ping(message.ping.number)
    raise InvalidInput("The message has no content that is known here.", code="unknown_message")


def welcome(server_time_ms: int, expires_ms: int) -> bytes:
    """The answer to Authenticate. ``expires_ms``: when the token expires; 0: never."""
    content = pb.Welcome(protocol=PROTOCOL, server_time_ms=server_time_ms, expires_ms=expires_ms)
    return pb.ServerMessage(welcome=content).SerializeToString()


def pong(number: int, server_time_ms: int) -> bytes:
    """The answer to a ping."""
    return pb.ServerMessage(pongs=[pb.Pong(number=number, server_time_ms=server_time_ms)]).SerializeToString()


def refusal(error: PushError, subscription: int = 0) -> bytes:
    """Why a message was refused. ``subscription``: 0: it is not about one."""
    content = pb.Refusal(subscription=subscription, error=encode_error(error))
    return pb.ServerMessage(refusals=[content]).SerializeToString()


def series_list(list_id: int, series: Iterable[Series]) -> bytes:
    """A list of series, to which streams refer."""
    content = pb.SeriesList(id=list_id, series=[encode_series(one) for one in series])
    return pb.ServerMessage(series_lists=[content]).SerializeToString()


def stream(stream_id: int, server_id: int, list_id: int, interval_ms: int) -> bytes:
    """What a stream is."""
    content = pb.Stream(id=stream_id, server=server_id, series_list=list_id, interval_ms=interval_ms)
    return pb.ServerMessage(streams=[content]).SerializeToString()


def subscription(subscription_id: int, stream_ids: Iterable[int], server_ids: Iterable[int]) -> bytes:
    """All streams and servers of a subscription."""
    content = pb.Subscription(id=subscription_id, streams=stream_ids, servers=server_ids)
    return pb.ServerMessage(subscriptions=[content]).SerializeToString()


def values(stream_id: int, time_ms: int, packed: bytes, rates: bytes) -> bytes:
    """The values of a frame: little-endian doubles, 8 bytes each."""
    content = pb.PackedValues(stream=stream_id, time_ms=time_ms, values=packed, rates=rates)
    return pb.PackedServerMessage(values=[content]).SerializeToString()


def gap(server_id: int, start_ms: int, end_ms: int) -> bytes:
    """A range of frames that the client was not sent; ``end_ms`` is inclusive."""
    return pb.ServerMessage(gaps=[pb.Gap(server=server_id, start_ms=start_ms, end_ms=end_ms)]).SerializeToString()


def status(server_id: int, state: State, last_seen_ms: int) -> bytes:
    """The state of a server."""
    content = pb.ServerStatus(server=server_id, state=state.value, last_seen_ms=last_seen_ms)
    return pb.ServerMessage(servers=[content]).SerializeToString()


def event(happened: Event) -> bytes:
    """Something that has happened."""
    content = pb.Event(
        id=happened.id,
        time_ms=happened.time_ms,
        type=happened.type.value,
        server=happened.server_id,
        server_name=happened.server_name,
        alert=happened.alert_id,
        rule_name=happened.rule_name,
        severity=happened.severity,
        series=happened.series,
        before=happened.before,
        after=happened.after,
    )
    return pb.ServerMessage(events=[content]).SerializeToString()


def _decode_event(message: pb.Event) -> Event:
    return Event(
        EventType(message.type),
        message.time_ms,
        message.server,
        message.server_name,
        message.alert,
        message.rule_name,
        message.severity,
        message.series,
        message.before,
        message.after,
        message.id,
    )


def behind(present: bool) -> bytes:
    """Whether the API server cannot see what others take in."""
    return pb.ServerMessage(behind=present).SerializeToString()


SERVERS_CHANGED = pb.ServerMessage(servers_changed=True).SerializeToString()


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a stream is."""

    server_id: int
    list_id: int
    interval_ms: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of a frame of a stream, and the rates of its counters."""

    stream_id: int
    time_ms: int
    values: tuple[float, ...]
    rates: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """A gap: a range of frames that were not sent."""

    server_id: int
    start_ms: int
    end_ms: int


@dataclass(slots=True)
class ServerMessage:
    """A decoded message of the API server. ``welcome``: when the token expires; None: it is no welcome."""

    welcome: int | None = None
    pongs: list[int] = field(default_factory=list)
    refusals: list[tuple[int, PushError]] = field(default_factory=list)
    series_lists: dict[int, tuple[Series, ...]] = field(default_factory=dict)
    streams: dict[int, StreamInfo] = field(default_factory=dict)
    # Subscription id -> its streams, and its servers.
    subscriptions: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict)
    values: list[Sample] = field(default_factory=list)
    gaps: list[Missed] = field(default_factory=list)
    # Server id -> its state, and the time of its newest sample.
    servers: dict[int, tuple[State, int]] = field(default_factory=dict)
    servers_changed: bool = False
    behind: bool | None = None
    events: list[Event] = field(default_factory=list)
    # The API server's clock, in a welcome.
    server_time_ms: int = 0


def decode_server(body: bytes) -> ServerMessage:
    """Decodes a message of the API server.

    Raises:
        InvalidInput: not a ServerMessage.
    """
    try:
        message = pb.ServerMessage.FromString(body)
    except DecodeError:
        raise InvalidInput("The message is not a protobuf ServerMessage.", code="malformed_message") from None
    return ServerMessage(
        message.welcome.expires_ms if message.HasField("welcome") else None,
        [part.number for part in message.pongs],
        [(part.subscription, decode_error(part.error)) for part in message.refusals],
        {
            part.id: tuple(decode_series(one, f"series list {part.id}", index) for index, one in enumerate(part.series))
            for part in message.series_lists
        },
        {info.id: StreamInfo(info.server, info.series_list, info.interval_ms) for info in message.streams},
        {part.id: (list(part.streams), list(part.servers)) for part in message.subscriptions},
        [Sample(part.stream, part.time_ms, tuple(part.values), tuple(part.rates)) for part in message.values],
        [Missed(part.server, part.start_ms, part.end_ms) for part in message.gaps],
        {part.server: (State(part.state), part.last_seen_ms) for part in message.servers},
        message.servers_changed,
        message.behind if message.HasField("behind") else None,
        [_decode_event(part) for part in message.events if part.type in _EVENT_TYPES],
        message.welcome.server_time_ms,
    )
