from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNSPECIFIED: _ClassVar[Kind]
    KIND_GAUGE: _ClassVar[Kind]
    KIND_COUNTER: _ClassVar[Kind]
    KIND_DELTA: _ClassVar[Kind]
KIND_UNSPECIFIED: Kind
KIND_GAUGE: Kind
KIND_COUNTER: Kind
KIND_DELTA: Kind

class PushRequest(_message.Message):
    __slots__ = ("agent", "host", "layouts", "frames", "process_lists", "sent_ms", "container_lists")
    AGENT_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    LAYOUTS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    PROCESS_LISTS_FIELD_NUMBER: _ClassVar[int]
    SENT_MS_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_LISTS_FIELD_NUMBER: _ClassVar[int]
    agent: AgentIdentity
    host: HostFacts
    layouts: _containers.RepeatedCompositeFieldContainer[Layout]
    frames: _containers.RepeatedCompositeFieldContainer[Frame]
    process_lists: _containers.RepeatedCompositeFieldContainer[ProcessList]
    sent_ms: int
    container_lists: _containers.RepeatedCompositeFieldContainer[ContainerList]
    def __init__(self, agent: _Optional[_Union[AgentIdentity, _Mapping]] = ..., host: _Optional[_Union[HostFacts, _Mapping]] = ..., layouts: _Optional[_Iterable[_Union[Layout, _Mapping]]] = ..., frames: _Optional[_Iterable[_Union[Frame, _Mapping]]] = ..., process_lists: _Optional[_Iterable[_Union[ProcessList, _Mapping]]] = ..., sent_ms: _Optional[int] = ..., container_lists: _Optional[_Iterable[_Union[ContainerList, _Mapping]]] = ...) -> None: ...

class AgentIdentity(_message.Message):
    __slots__ = ("agent_id", "name", "version", "interval_ms", "tags")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    name: str
    version: str
    interval_ms: int
    tags: _containers.ScalarMap[str, str]
    def __init__(self, agent_id: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., interval_ms: _Optional[int] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class HostFacts(_message.Message):
    __slots__ = ("hostname", "os", "kernel", "architecture", "cpu_model", "cpu_count", "memory_total_bytes", "boot_time_ms")
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    CPU_MODEL_FIELD_NUMBER: _ClassVar[int]
    CPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    BOOT_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    hostname: str
    os: str
    kernel: str
    architecture: str
    cpu_model: str
    cpu_count: int
    memory_total_bytes: int
    boot_time_ms: int
    def __init__(self, hostname: _Optional[str] = ..., os: _Optional[str] = ..., kernel: _Optional[str] = ..., architecture: _Optional[str] = ..., cpu_model: _Optional[str] = ..., cpu_count: _Optional[int] = ..., memory_total_bytes: _Optional[int] = ..., boot_time_ms: _Optional[int] = ...) -> None: ...

class SeriesDescriptor(_message.Message):
    __slots__ = ("metric", "labels", "unit", "kind")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    METRIC_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    metric: str
    labels: _containers.ScalarMap[str, str]
    unit: str
    kind: Kind
    def __init__(self, metric: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., unit: _Optional[str] = ..., kind: _Optional[_Union[Kind, str]] = ...) -> None: ...

class Layout(_message.Message):
    __slots__ = ("id", "series")
    ID_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    id: int
    series: _containers.RepeatedCompositeFieldContainer[SeriesDescriptor]
    def __init__(self, id: _Optional[int] = ..., series: _Optional[_Iterable[_Union[SeriesDescriptor, _Mapping]]] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("layout_id", "time_ms", "values")
    LAYOUT_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    layout_id: int
    time_ms: int
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, layout_id: _Optional[int] = ..., time_ms: _Optional[int] = ..., values: _Optional[_Iterable[float]] = ...) -> None: ...

class ProcessList(_message.Message):
    __slots__ = ("time_ms", "processes")
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    time_ms: int
    processes: _containers.RepeatedCompositeFieldContainer[Process]
    def __init__(self, time_ms: _Optional[int] = ..., processes: _Optional[_Iterable[_Union[Process, _Mapping]]] = ...) -> None: ...

class Process(_message.Message):
    __slots__ = ("pid", "name", "user", "cpu_ratio", "memory_bytes", "threads", "started_ms")
    PID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CPU_RATIO_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    pid: int
    name: str
    user: str
    cpu_ratio: float
    memory_bytes: int
    threads: int
    started_ms: int
    def __init__(self, pid: _Optional[int] = ..., name: _Optional[str] = ..., user: _Optional[str] = ..., cpu_ratio: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., threads: _Optional[int] = ..., started_ms: _Optional[int] = ...) -> None: ...

class ContainerList(_message.Message):
    __slots__ = ("time_ms", "containers", "events", "events_dropped")
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_DROPPED_FIELD_NUMBER: _ClassVar[int]
    time_ms: int
    containers: _containers.RepeatedCompositeFieldContainer[Container]
    events: _containers.RepeatedCompositeFieldContainer[ContainerEvent]
    events_dropped: int
    def __init__(self, time_ms: _Optional[int] = ..., containers: _Optional[_Iterable[_Union[Container, _Mapping]]] = ..., events: _Optional[_Iterable[_Union[ContainerEvent, _Mapping]]] = ..., events_dropped: _Optional[int] = ...) -> None: ...

class Container(_message.Message):
    __slots__ = ("id", "name", "image", "workload", "runtime", "state", "health", "exit_code", "restarts", "oom_kills", "ports", "cpu_ratio", "memory_bytes", "memory_limit_bytes", "processes", "created_ms", "started_ms", "finished_ms", "namespace", "pod", "workload_kind", "pod_phase", "reason", "cpu_request_cores", "cpu_limit_cores", "memory_request_bytes")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    OOM_KILLS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    CPU_RATIO_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_MS_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    POD_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_KIND_FIELD_NUMBER: _ClassVar[int]
    POD_PHASE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CPU_REQUEST_CORES_FIELD_NUMBER: _ClassVar[int]
    CPU_LIMIT_CORES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_REQUEST_BYTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    image: str
    workload: str
    runtime: str
    state: str
    health: str
    exit_code: int
    restarts: int
    oom_kills: int
    ports: str
    cpu_ratio: float
    memory_bytes: int
    memory_limit_bytes: int
    processes: int
    created_ms: int
    started_ms: int
    finished_ms: int
    namespace: str
    pod: str
    workload_kind: str
    pod_phase: str
    reason: str
    cpu_request_cores: float
    cpu_limit_cores: float
    memory_request_bytes: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., image: _Optional[str] = ..., workload: _Optional[str] = ..., runtime: _Optional[str] = ..., state: _Optional[str] = ..., health: _Optional[str] = ..., exit_code: _Optional[int] = ..., restarts: _Optional[int] = ..., oom_kills: _Optional[int] = ..., ports: _Optional[str] = ..., cpu_ratio: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., memory_limit_bytes: _Optional[int] = ..., processes: _Optional[int] = ..., created_ms: _Optional[int] = ..., started_ms: _Optional[int] = ..., finished_ms: _Optional[int] = ..., namespace: _Optional[str] = ..., pod: _Optional[str] = ..., workload_kind: _Optional[str] = ..., pod_phase: _Optional[str] = ..., reason: _Optional[str] = ..., cpu_request_cores: _Optional[float] = ..., cpu_limit_cores: _Optional[float] = ..., memory_request_bytes: _Optional[int] = ...) -> None: ...

class ContainerEvent(_message.Message):
    __slots__ = ("time_ms", "type", "container_id", "name", "workload", "exit_code")
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    time_ms: int
    type: str
    container_id: str
    name: str
    workload: str
    exit_code: int
    def __init__(self, time_ms: _Optional[int] = ..., type: _Optional[str] = ..., container_id: _Optional[str] = ..., name: _Optional[str] = ..., workload: _Optional[str] = ..., exit_code: _Optional[int] = ...) -> None: ...

class PushResponse(_message.Message):
    __slots__ = ("accepted", "duplicates", "unknown_layouts", "server_time_ms", "hints", "error")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_LAYOUTS_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    HINTS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    duplicates: int
    unknown_layouts: _containers.RepeatedScalarFieldContainer[int]
    server_time_ms: int
    hints: Hints
    error: Error
    def __init__(self, accepted: _Optional[int] = ..., duplicates: _Optional[int] = ..., unknown_layouts: _Optional[_Iterable[int]] = ..., server_time_ms: _Optional[int] = ..., hints: _Optional[_Union[Hints, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class Hints(_message.Message):
    __slots__ = ("interval_ms",)
    INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    interval_ms: int
    def __init__(self, interval_ms: _Optional[int] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message", "field", "limit")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    field: str
    limit: float
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., field: _Optional[str] = ..., limit: _Optional[float] = ...) -> None: ...

class PackedPushRequest(_message.Message):
    __slots__ = ("agent", "host", "layouts", "frames", "process_lists", "sent_ms", "container_lists")
    AGENT_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    LAYOUTS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    PROCESS_LISTS_FIELD_NUMBER: _ClassVar[int]
    SENT_MS_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_LISTS_FIELD_NUMBER: _ClassVar[int]
    agent: AgentIdentity
    host: HostFacts
    layouts: _containers.RepeatedCompositeFieldContainer[Layout]
    frames: _containers.RepeatedCompositeFieldContainer[PackedFrame]
    process_lists: _containers.RepeatedCompositeFieldContainer[ProcessList]
    sent_ms: int
    container_lists: _containers.RepeatedCompositeFieldContainer[ContainerList]
    def __init__(self, agent: _Optional[_Union[AgentIdentity, _Mapping]] = ..., host: _Optional[_Union[HostFacts, _Mapping]] = ..., layouts: _Optional[_Iterable[_Union[Layout, _Mapping]]] = ..., frames: _Optional[_Iterable[_Union[PackedFrame, _Mapping]]] = ..., process_lists: _Optional[_Iterable[_Union[ProcessList, _Mapping]]] = ..., sent_ms: _Optional[int] = ..., container_lists: _Optional[_Iterable[_Union[ContainerList, _Mapping]]] = ...) -> None: ...

class PackedFrame(_message.Message):
    __slots__ = ("layout_id", "time_ms", "values")
    LAYOUT_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    layout_id: int
    time_ms: int
    values: bytes
    def __init__(self, layout_id: _Optional[int] = ..., time_ms: _Optional[int] = ..., values: _Optional[bytes] = ...) -> None: ...
