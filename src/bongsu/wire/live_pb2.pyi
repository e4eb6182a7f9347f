from bongsu.wire import metrics_pb2 as _metrics_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATE_UNSPECIFIED: _ClassVar[State]
    STATE_UP: _ClassVar[State]
    STATE_LATE: _ClassVar[State]
    STATE_DOWN: _ClassVar[State]
    STATE_RETIRED: _ClassVar[State]
    STATE_GONE: _ClassVar[State]
STATE_UNSPECIFIED: State
STATE_UP: State
STATE_LATE: State
STATE_DOWN: State
STATE_RETIRED: State
STATE_GONE: State

class ClientMessage(_message.Message):
    __slots__ = ("authenticate", "subscribe", "unsubscribe", "ping")
    AUTHENTICATE_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBE_FIELD_NUMBER: _ClassVar[int]
    UNSUBSCRIBE_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    authenticate: Authenticate
    subscribe: Subscribe
    unsubscribe: Unsubscribe
    ping: Ping
    def __init__(self, authenticate: _Optional[_Union[Authenticate, _Mapping]] = ..., subscribe: _Optional[_Union[Subscribe, _Mapping]] = ..., unsubscribe: _Optional[_Union[Unsubscribe, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ...) -> None: ...

class Authenticate(_message.Message):
    __slots__ = ("protocol", "token")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    token: str
    def __init__(self, protocol: _Optional[int] = ..., token: _Optional[str] = ...) -> None: ...

class Subscribe(_message.Message):
    __slots__ = ("id", "servers", "names", "tags", "metrics", "types", "labels", "min_interval_ms", "since_ms", "values", "states", "events", "watch")
    ID_FIELD_NUMBER: _ClassVar[int]
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MIN_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    WATCH_FIELD_NUMBER: _ClassVar[int]
    id: int
    servers: _containers.RepeatedScalarFieldContainer[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    tags: _containers.RepeatedScalarFieldContainer[str]
    metrics: _containers.RepeatedScalarFieldContainer[str]
    types: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.RepeatedScalarFieldContainer[str]
    min_interval_ms: int
    since_ms: int
    values: bool
    states: bool
    events: bool
    watch: bool
    def __init__(self, id: _Optional[int] = ..., servers: _Optional[_Iterable[int]] = ..., names: _Optional[_Iterable[str]] = ..., tags: _Optional[_Iterable[str]] = ..., metrics: _Optional[_Iterable[str]] = ..., types: _Optional[_Iterable[str]] = ..., labels: _Optional[_Iterable[str]] = ..., min_interval_ms: _Optional[int] = ..., since_ms: _Optional[int] = ..., values: _Optional[bool] = ..., states: _Optional[bool] = ..., events: _Optional[bool] = ..., watch: _Optional[bool] = ...) -> None: ...

class Unsubscribe(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: int
    def __init__(self, id: _Optional[int] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class ServerMessage(_message.Message):
    __slots__ = ("welcome", "pongs", "refusals", "series_lists", "streams", "subscriptions", "values", "gaps", "servers", "servers_changed", "behind", "events")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    PONGS_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    SERIES_LISTS_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTIONS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    SERVERS_CHANGED_FIELD_NUMBER: _ClassVar[int]
    BEHIND_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    pongs: _containers.RepeatedCompositeFieldContainer[Pong]
    refusals: _containers.RepeatedCompositeFieldContainer[Refusal]
    series_lists: _containers.RepeatedCompositeFieldContainer[SeriesList]
    streams: _containers.RepeatedCompositeFieldContainer[Stream]
    subscriptions: _containers.RepeatedCompositeFieldContainer[Subscription]
    values: _containers.RepeatedCompositeFieldContainer[Values]
    gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    servers: _containers.RepeatedCompositeFieldContainer[ServerStatus]
    servers_changed: bool
    behind: bool
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., pongs: _Optional[_Iterable[_Union[Pong, _Mapping]]] = ..., refusals: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ..., series_lists: _Optional[_Iterable[_Union[SeriesList, _Mapping]]] = ..., streams: _Optional[_Iterable[_Union[Stream, _Mapping]]] = ..., subscriptions: _Optional[_Iterable[_Union[Subscription, _Mapping]]] = ..., values: _Optional[_Iterable[_Union[Values, _Mapping]]] = ..., gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ..., servers: _Optional[_Iterable[_Union[ServerStatus, _Mapping]]] = ..., servers_changed: _Optional[bool] = ..., behind: _Optional[bool] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("protocol", "server_time_ms", "expires_ms")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    server_time_ms: int
    expires_ms: int
    def __init__(self, protocol: _Optional[int] = ..., server_time_ms: _Optional[int] = ..., expires_ms: _Optional[int] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ("number", "server_time_ms")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    number: int
    server_time_ms: int
    def __init__(self, number: _Optional[int] = ..., server_time_ms: _Optional[int] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("subscription", "error")
    SUBSCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    subscription: int
    error: _metrics_pb2.Error
    def __init__(self, subscription: _Optional[int] = ..., error: _Optional[_Union[_metrics_pb2.Error, _Mapping]] = ...) -> None: ...

class SeriesList(_message.Message):
    __slots__ = ("id", "series")
    ID_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    id: int
    series: _containers.RepeatedCompositeFieldContainer[_metrics_pb2.SeriesDescriptor]
    def __init__(self, id: _Optional[int] = ..., series: _Optional[_Iterable[_Union[_metrics_pb2.SeriesDescriptor, _Mapping]]] = ...) -> None: ...

class Stream(_message.Message):
    __slots__ = ("id", "server", "series_list", "interval_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    SERIES_LIST_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    id: int
    server: int
    series_list: int
    interval_ms: int
    def __init__(self, id: _Optional[int] = ..., server: _Optional[int] = ..., series_list: _Optional[int] = ..., interval_ms: _Optional[int] = ...) -> None: ...

class Subscription(_message.Message):
    __slots__ = ("id", "streams", "servers")
    ID_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    id: int
    streams: _containers.RepeatedScalarFieldContainer[int]
    servers: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, id: _Optional[int] = ..., streams: _Optional[_Iterable[int]] = ..., servers: _Optional[_Iterable[int]] = ...) -> None: ...

class Values(_message.Message):
    __slots__ = ("stream", "time_ms", "values", "rates")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    RATES_FIELD_NUMBER: _ClassVar[int]
    stream: int
    time_ms: int
    values: _containers.RepeatedScalarFieldContainer[float]
    rates: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, stream: _Optional[int] = ..., time_ms: _Optional[int] = ..., values: _Optional[_Iterable[float]] = ..., rates: _Optional[_Iterable[float]] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("server", "start_ms", "end_ms")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    START_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    server: int
    start_ms: int
    end_ms: int
    def __init__(self, server: _Optional[int] = ..., start_ms: _Optional[int] = ..., end_ms: _Optional[int] = ...) -> None: ...

class ServerStatus(_message.Message):
    __slots__ = ("server", "state", "last_seen_ms")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_MS_FIELD_NUMBER: _ClassVar[int]
    server: int
    state: State
    last_seen_ms: int
    def __init__(self, server: _Optional[int] = ..., state: _Optional[_Union[State, str]] = ..., last_seen_ms: _Optional[int] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("id", "time_ms", "type", "server", "server_name", "alert", "rule_name", "severity", "series", "before", "after")
    ID_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    SERVER_NAME_FIELD_NUMBER: _ClassVar[int]
    ALERT_FIELD_NUMBER: _ClassVar[int]
    RULE_NAME_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    id: int
    time_ms: int
    type: str
    server: int
    server_name: str
    alert: int
    rule_name: str
    severity: str
    series: str
    before: str
    after: str
    def __init__(self, id: _Optional[int] = ..., time_ms: _Optional[int] = ..., type: _Optional[str] = ..., server: _Optional[int] = ..., server_name: _Optional[str] = ..., alert: _Optional[int] = ..., rule_name: _Optional[str] = ..., severity: _Optional[str] = ..., series: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class PackedValues(_message.Message):
    __slots__ = ("stream", "time_ms", "values", "rates")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    RATES_FIELD_NUMBER: _ClassVar[int]
    stream: int
    time_ms: int
    values: bytes
    rates: bytes
    def __init__(self, stream: _Optional[int] = ..., time_ms: _Optional[int] = ..., values: _Optional[bytes] = ..., rates: _Optional[bytes] = ...) -> None: ...

class PackedServerMessage(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[PackedValues]
    def __init__(self, values: _Optional[_Iterable[_Union[PackedValues, _Mapping]]] = ...) -> None: ...
