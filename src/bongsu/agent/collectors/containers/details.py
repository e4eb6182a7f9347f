"""What a daemon tells of a container, from the JSON of Docker's API, which Podman answers too.

https://docs.docker.com/reference/api/engine/version/v1.44/#tag/Container
"""

import calendar
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from bongsu.core.text import visible
from bongsu.wire.limits import MAX_CONTAINER_TEXT_BYTES

# Of more ports nobody reads a list.
_MAX_PORTS = 20
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,3})?\d*(Z|[+-]\d\d:\d\d)?")
_STATES = frozenset({"created", "running", "paused", "restarting", "removing", "exited", "dead"})
# Podman's own words.
_OTHER_STATES = {"configured": "created", "initialized": "created", "stopped": "exited", "stopping": "running"}
# What Kubernetes appends to the name of a deployment or a daemon set for a pod. It leaves out letters that make words.
_POD_SUFFIX = re.compile(
    r"-[bcdfghjklmnpqrstvwxz2456789]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$"
    r"|-[bcdfghjklmnpqrstvwxz2456789]{5}$|-\d{1,4}$"
)


class Details(NamedTuple):
    """``id``: as long as the runtime's. The kubelet's is ``pod uid/name``, since the runtime's (``runtime_id``) changes
    at each restart. ``restarts``: -1: not asked for yet. Times in Unix ms; 0: unknown. From ``namespace`` on: of
    Kubernetes."""

    id: str
    name: str
    image: str = ""
    workload: str = ""
    runtime: str = ""
    state: str = ""
    health: str = ""
    exit_code: int = 0
    restarts: int = -1
    oom_killed: bool = False
    ports: str = ""
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
    memory_limit_bytes: int = 0
    runtime_id: str = ""


def wire_text(text: Any) -> str:
    """Visible text of a length that the API server accepts; empty if it is none."""
    if not isinstance(text, str):
        return ""
    sendable = visible(text.encode(errors="replace").decode())
    return sendable.encode()[:MAX_CONTAINER_TEXT_BYTES].decode(errors="ignore")


def of_list(entry: Mapping[str, Any], runtime: str) -> Details:
    """An entry of ``GET /containers/json``. Raises ValueError, TypeError or KeyError."""
    names = entry.get("Names") or [entry["Id"][:12]]
    name, image = wire_text(names[0]).lstrip("/"), wire_text(entry.get("Image"))
    return Details(
        entry["Id"],
        name,
        image,
        workload_of(entry.get("Labels") or {}, image, name),
        runtime,
        _state(entry.get("State")),
        created_ms=int(entry.get("Created") or 0) * 1000,
        **pod_of(entry.get("Labels") or {}),
    )


def of_inspection(answer: Mapping[str, Any], runtime: str) -> Details:
    """The answer to ``GET /containers/{id}/json``. Raises ValueError, TypeError or KeyError."""
    state, config = answer["State"], answer.get("Config") or {}
    name, image = wire_text(answer["Name"]).lstrip("/"), wire_text(config.get("Image"))
    is_running = bool(state.get("Running"))
    health = (state.get("Health") or {}).get("Status") or ""
    return Details(
        answer["Id"],
        name,
        image,
        workload_of(config.get("Labels") or {}, image, name),
        runtime,
        _state(state.get("Status")),
        health if health in ("starting", "healthy", "unhealthy") else "",
        0 if is_running else exit_code(state.get("ExitCode")),
        max(0, int(answer.get("RestartCount") or 0)),
        bool(state.get("OOMKilled")),
        _ports((answer.get("NetworkSettings") or {}).get("Ports") or {}),
        time_ms(answer.get("Created")),
        time_ms(state.get("StartedAt")),
        0 if is_running else time_ms(state.get("FinishedAt")),
        **pod_of(config.get("Labels") or {}),
    )


def exit_code(value: Any) -> int:
    """As a number of the wire, which has no sign."""
    return max(0, int(value or 0)) & 0xFFFF_FFFF


def time_ms(text: Any) -> int:
    """RFC 3339 with nanoseconds; the year 1 means never."""
    match = _TIME.match(text) if isinstance(text, str) else None
    if match is None or text.startswith("0001"):
        return 0
    # time.strptime takes six times as long, and a node has hundreds of times.
    seconds = calendar.timegm(tuple(map(int, match.groups()[:6])))
    zone = match[8]
    if zone and zone != "Z":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds += -offset if zone[0] == "+" else offset
    return seconds * 1000 + int(float(match[7] or 0) * 1000)


def workload_of(labels: Mapping[str, str], image: str, name: str) -> str:
    """What stays when containers are replaced: the service, job or deployment, else the image without its version."""
    project = labels.get("com.docker.compose.project") or labels.get("io.podman.compose.project")
    service = labels.get("com.docker.compose.service") or labels.get("io.podman.compose.service")
    if project and service:
        return wire_text(f"{project}/{service}")
    if service := labels.get("com.docker.swarm.service.name"):
        return wire_text(service)
    if pod := labels.get("io.kubernetes.pod.name"):
        return wire_text(f"{labels.get('io.kubernetes.pod.namespace', 'default')}/{pod_workload(pod)}")
    if job := labels.get("com.hashicorp.nomad.job_name"):
        return wire_text(f"{job}/{labels.get('com.hashicorp.nomad.task_name', '')}".rstrip("/"))
    repository = image.partition("@")[0]
    head, colon, tag = repository.rpartition(":")
    if colon and "/" not in tag:  # not the port of a registry
        repository = head
    # An image without a name is only a digest.
    return name if repository in ("", "sha256") or re.fullmatch("[0-9a-f]{12,64}", repository) else repository


def pod_of(labels: Mapping[str, str]) -> dict[str, Any]:
    """Where a container of Docker belongs, if the kubelet made it."""
    pod = labels.get("io.kubernetes.pod.name")
    return {"pod": wire_text(pod), "namespace": wire_text(labels.get("io.kubernetes.pod.namespace"))} if pod else {}


def pod_workload(pod: str) -> str:
    """The deployment, daemon set or stateful set, as far as the name of the pod tells."""
    return _POD_SUFFIX.sub("", pod)


def is_pause(labels: Mapping[str, str]) -> bool:
    """Whether the container only holds the network of a pod."""
    return (
        labels.get("io.kubernetes.docker.type") == "podsandbox" or labels.get("io.kubernetes.container.name") == "POD"
    )


def _state(text: Any) -> str:
    state = str(text or "").lower()
    return state if state in _STATES else _OTHER_STATES.get(state, "")


def _ports(ports: Mapping[str, Any]) -> str:
    texts = []
    for port, bindings in sorted(ports.items())[:_MAX_PORTS]:
        if not bindings:
            texts.append(port)
        for binding in bindings or ():
            address = binding.get("HostIp") or "0.0.0.0"  # noqa: S104
            address = f"[{address}]" if ":" in address else address
            texts.append(f"{address}:{binding.get('HostPort', '')}->{port}")
    return wire_text(", ".join(dict.fromkeys(texts)))
