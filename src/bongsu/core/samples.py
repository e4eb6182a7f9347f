"""Frames, lists of processes and containers, and the pushes that carry them."""

import sys
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bongsu.core.series import Layout

# Bits of NaN. A frame has ABSENT where there is no value, as Python's and numpy's own NaN. Of samples that Bongsu takes
# from others NaN is a value as well: NOT_A_NUMBER, as Prometheus writes it, and STALE, its sign that a series has ended
# (https://prometheus.io/docs/specs/prw/remote_write_spec/#stale-markers).
ABSENT = 0x7FF8000000000000
NOT_A_NUMBER = 0x7FF8000000000001
STALE = 0x7FF0000000000002


def pack(values: Iterable[float], bits: Mapping[int, int] | None = None) -> bytes:
    """Doubles, little-endian, 8 bytes each; NaN = no value. ``bits``: position -> bits of another NaN, which a float
    would lose on some processors."""
    packed: array[float] | array[int] = array("d", values)
    if bits:
        packed = array("q", packed.tobytes())
        for position, pattern in bits.items():
            packed[position] = pattern
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack(packed: bytes) -> "array[float]":
    """The reverse of ``pack``.

    Raises:
        ValueError: the length is not a multiple of 8.
    """
    values = array("d")
    values.frombytes(packed)
    if sys.byteorder == "big":
        values.byteswap()
    return values


@dataclass(slots=True)
class Frame:
    """One agent's values for one layout at one time stamp. ``values``: packed, in layout order."""

    layout_id: int
    time_ms: int
    values: bytes


class Process(NamedTuple):
    """One process at one moment. ``cpu_ratio``: share of one core, may exceed 1; ``memory_bytes``: resident."""

    pid: int
    name: str
    user: str = ""
    cpu_ratio: float = 0.0
    memory_bytes: int = 0
    threads: int = 0
    started_ms: int = 0


@dataclass(slots=True)
class ProcessList:
    """The processes of one server that used most CPU and memory at one time."""

    time_ms: int
    processes: list[Process] = field(default_factory=list)


class Container(NamedTuple):
    """One container at one moment; one that has ended, as it was then. The fields are those of ``proto/metrics.proto``.

    ``id``: 12 characters; ``cpu_ratio``: share of one core, may exceed 1; ``memory_bytes``: working set;
    ``memory_limit_bytes``: 0 without a limit; ``finished_ms``: 0 while it runs. From ``namespace`` on: of Kubernetes.
    """

    id: str
    name: str
    image: str = ""
    workload: str = ""
    runtime: str = ""
    state: str = ""
    health: str = ""
    exit_code: int = 0
    restarts: int = 0
    oom_kills: int = 0
    ports: str = ""
    cpu_ratio: float = 0.0
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    processes: int = 0
    created_ms: int = 0
    started_ms: int = 0
    finished_ms: int = 0
    namespace: str = ""
    pod: str = ""
    workload_kind: str = ""
    pod_phase: str = ""
    reason: str = ""
    cpu_request_cores: float = 0.0
    cpu_limit_cores: float = 0.0
    memory_request_bytes: int = 0


class ContainerEvent(NamedTuple):
    """What happened to a container. ``type``: started, exited, oom_killed, restarted, healthy, unhealthy, evicted or
    removed."""

    time_ms: int
    type: str
    container_id: str
    name: str
    workload: str = ""
    exit_code: int = 0


@dataclass(slots=True)
class ContainerList:
    """The containers of one server at one time, with those that ended since the list before, and what happened in
    between. ``events_dropped``: events that were too many."""

    time_ms: int
    containers: list[Container] = field(default_factory=list)
    events: list[ContainerEvent] = field(default_factory=list)
    events_dropped: int = 0


@dataclass(slots=True)
class AgentIdentity:
    """Identifies an agent. ``agent_id``: a UUID generated once per installation; ``name``: what people see."""

    agent_id: str
    name: str
    version: str = ""
    interval_ms: int = 0
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Facts about a host that do not change from sample to sample. Empty or 0: unknown."""

    hostname: str = ""
    os: str = ""
    kernel: str = ""
    architecture: str = ""
    cpu_model: str = ""
    cpu_count: int = 0
    memory_total_bytes: int = 0
    boot_time_ms: int = 0


@dataclass(slots=True)
class Push:
    """The body of one POST, stored as a whole or not at all. ``sent_ms``: the agent's clock at sending; 0: unknown."""

    agent: AgentIdentity
    host: HostFacts | None = None
    layouts: list[Layout] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    process_lists: list[ProcessList] = field(default_factory=list)
    sent_ms: int = 0
    container_lists: list[ContainerList] = field(default_factory=list)


@dataclass(slots=True)
class PushError:
    """Why a push was not stored."""

    code: str
    message: str
    field: str | None = None
    limit: float | None = None


@dataclass(slots=True)
class PushResult:
    """The answer to a push. ``interval_ms``: the interval the API server asks for; 0: the agent decides."""

    accepted: int = 0
    duplicates: int = 0
    unknown_layouts: list[int] = field(default_factory=list)
    server_time_ms: int = 0
    interval_ms: int = 0
    error: PushError | None = None
