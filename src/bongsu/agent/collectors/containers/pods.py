"""What the kubelet tells of pods: the answers to ``GET /pods`` and ``GET /stats/summary``.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ and the package ``stats/v1alpha1`` of
k8s.io/kubelet.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bongsu.agent.collectors.containers.details import Details, exit_code, pod_workload, time_ms, wire_text

_ITEMS = re.compile(r'"items"\s*:\s*(\[|null)')
_BETWEEN = re.compile(r"[\s,]*")
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d+)?(n|u|m|k|[KMGTPE]i?)?")
_DECIMAL = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_FACTORS = _DECIMAL | {f"{prefix}i": 1024.0**power for power, prefix in enumerate("KMGTPE", start=1)}
_MAX_BYTES = 2**63 - 1
# A controller puts a hash of the template into the name of a replica set, and tells it in a label of its pods.
_HASHES = (("pod-template-hash", "Deployment"), ("rollouts-pod-template-hash", "Rollout"))
# A cron job appends the minute, counted from 1970, to the name of each job.
_OF_CRON_JOB = re.compile(r"(.+)-\d{8}")
_ENDED = ("Succeeded", "Failed")


class End(NamedTuple):
    """How a container last ended. ``key``: another one for each end."""

    key: tuple[str, str]
    exit_code: int
    reason: str
    finished_ms: int


class Pod(NamedTuple):
    """``containers``: without init containers that have done their work, which are ``completed``. ``ends``: of those
    that have ended, by id. Requests are those by which the scheduler counts."""

    uid: str
    node: str
    phase: str
    is_evicted: bool
    is_leaving: bool
    containers: list[Details]
    completed: set[str]
    ends: dict[str, End]
    cpu_request_cores: float
    memory_request_bytes: int

    @property
    def has_ended(self) -> bool:
        return self.phase in _ENDED


class Sample(NamedTuple):
    """What a container used, as the kubelet measured at ``at``, in Unix seconds."""

    at: float
    cpu_seconds: float
    memory_bytes: int


def pods_of_list(text: str) -> Iterator[Any]:
    """The pods one after the other: all at once would take ten times the memory of the text. Raises ValueError."""
    items = _ITEMS.search(text)
    if items is None:
        raise ValueError("no list of pods")
    if items[1] == "null":
        return
    decoder, position = json.JSONDecoder(), items.end()
    while True:
        between = _BETWEEN.match(text, position)
        position = between.end() if between is not None else position
        if text.startswith("]", position):
            return
        pod, position = decoder.raw_decode(text, position)
        yield pod


def quantity(text: Any) -> float:
    """``250m`` -> 0.25, ``64Mi`` -> 67108864.0; 0 without any. Raises ValueError."""
    if text is None:
        return 0.0
    match = _QUANTITY.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{str(text)[:40]!r} is no quantity")
    return max(0.0, float(match[1] + (match[2] or "")) * _FACTORS.get(match[3] or "", 1.0))


def size_bytes(text: Any) -> int:
    """A quantity of memory, as a number of the wire."""
    return int(min(quantity(text), _MAX_BYTES))


def read_pod(pod: Mapping[str, Any]) -> Pod:
    """A pod of the list. Raises KeyError, TypeError, ValueError or AttributeError if it is none."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    uid = metadata["uid"]
    if not isinstance(uid, str) or not uid:
        raise ValueError("a pod without uid")
    phase = wire_text(status.get("phase"))
    workload, kind = _owner(metadata, wire_text(spec.get("nodeName")))
    is_evicted = phase == "Failed" and status.get("reason") == "Evicted"
    common = Details(
        "",
        "",
        workload=wire_text(f"{wire_text(metadata['namespace'])}/{workload}"),
        runtime="kubernetes",
        created_ms=time_ms(metadata.get("creationTimestamp")) or time_ms(status.get("startTime")),
        namespace=wire_text(metadata["namespace"]),
        pod=wire_text(metadata["name"]),
        workload_kind=wire_text(kind),
        pod_phase=phase,
    )
    is_leaving = bool(metadata.get("deletionTimestamp"))
    containers, completed, ends = [], set(), {}
    for container, told, is_init in _containers(spec, status):
        details = _details(common, uid, container, told)
        if is_evicted:
            details = _evicted(details, status)
        if is_leaving:
            details = details._replace(health="")
        end = _end(told)
        if end is not None:
            ends[details.id] = end
        if is_init:
            details = details._replace(cpu_request_cores=0.0, memory_request_bytes=0)
            is_waiting = details.state == "created" and details.reason in ("", "PodInitializing")
            if is_waiting or (details.state == "exited" and details.exit_code == 0):
                completed.add(details.id)
                continue
        containers.append(details)
    return Pod(
        uid,
        wire_text(spec.get("nodeName")),
        phase,
        is_evicted,
        is_leaving,
        containers,
        completed,
        ends,
        _pod_request(spec, "cpu"),
        int(_pod_request(spec, "memory")),
    )


def read_summary(
    answer: Mapping[str, Any], groups: Mapping[str, Sequence[str]]
) -> tuple[list[Details], dict[str, Sample]]:
    """Containers of an answer to ``/stats/summary``, as far as it tells them, and what they use. ``groups``: pod uid ->
    ids of the runtime, of control groups that can be seen. It does not tell which is which if a pod has several.

    Raises KeyError, TypeError, ValueError or AttributeError."""
    found: list[Details] = []
    samples: dict[str, Sample] = {}
    for pod in answer["pods"] or []:
        reference, containers = pod["podRef"], pod.get("containers") or []
        namespace, name, uid = (wire_text(reference[key]) for key in ("namespace", "name", "uid"))
        common = Details(
            "",
            "",
            workload=wire_text(f"{namespace}/{pod_workload(name)}"),
            runtime="kubernetes",
            created_ms=time_ms(pod.get("startTime")),
            namespace=namespace,
            pod=name,
        )
        ids = groups.get(uid, ())
        for container in containers:
            sample = _sample(container)
            if sample is not None:
                samples[f"{uid}/{container['name']}"] = sample
        named = [(str(container["name"]), "") for container in containers]
        if len(ids) == len(containers) == 1:
            named = [(named[0][0], ids[0])]
        elif ids:
            named = [(id[:12], id) for id in ids]
        for label, id in named:
            found.append(
                common._replace(id=f"{uid}/{label}", name=wire_text(f"{namespace}/{name}/{label}"), runtime_id=id)
            )
    return found, samples


def _owner(metadata: Mapping[str, Any], node: str) -> tuple[str, str]:
    """Name and kind of what made the pod: of a replica set its deployment, of a job its cron job."""
    pod = wire_text(metadata["name"])
    owners = metadata.get("ownerReferences") or []
    owner = next((each for each in owners if each.get("controller")), owners[0] if owners else None)
    if owner is None:
        # A static pod, whose name ends with that of the node; its mirror at the API server has an owner.
        is_static = (metadata.get("annotations") or {}).get("kubernetes.io/config.source", "api") != "api"
        return (pod.removesuffix(f"-{node}"), "Node") if is_static else (pod, "Pod")
    kind, name = str(owner["kind"]), wire_text(owner["name"])
    if kind == "ReplicaSet":
        labels = metadata.get("labels") or {}
        for label, above in _HASHES:
            if labels.get(label) and name.endswith(f"-{labels[label]}"):
                return name.removesuffix(f"-{labels[label]}"), above
    elif kind == "Job" and (job := _OF_CRON_JOB.fullmatch(name)):
        return job[1], "CronJob"
    elif kind == "Node":
        return pod.removesuffix(f"-{name}"), kind
    return name, kind


def _containers(
    spec: Mapping[str, Any], status: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], bool]]:
    """Each with its status, and whether it only prepares the pod. A side car is an init container that stays."""
    for kind, statuses in (
        ("containers", "containerStatuses"),
        ("initContainers", "initContainerStatuses"),
        ("ephemeralContainers", "ephemeralContainerStatuses"),
    ):
        told = {each["name"]: each for each in status.get(statuses) or []}
        for container in spec.get(kind) or []:
            is_init = kind == "initContainers" and container.get("restartPolicy") != "Always"
            yield container, told.get(container["name"]) or {}, is_init


def _details(common: Details, uid: str, container: Mapping[str, Any], told: Mapping[str, Any]) -> Details:
    name, state = container["name"], told.get("state") or {}
    running, ended, waiting = state.get("running"), state.get("terminated"), state.get("waiting") or {}
    last = ended or (told.get("lastState") or {}).get("terminated") or {}
    word = "running" if running is not None else "exited" if ended else "restarting" if last else "created"
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    return common._replace(
        id=f"{uid}/{name}",
        name=wire_text(f"{common.namespace}/{common.pod}/{name}"),
        image=wire_text(container.get("image")),
        state=word,
        health=_health(told) if running is not None else "",
        exit_code=0 if running is not None else exit_code(last.get("exitCode")),
        restarts=max(0, int(told.get("restartCount") or 0)),
        ports=wire_text(", ".join(_ports(container.get("ports") or []))),
        started_ms=time_ms((running or last).get("startedAt")),
        finished_ms=0 if running is not None else time_ms(last.get("finishedAt")),
        reason=wire_text((ended or waiting).get("reason")),
        # A limit alone is also the request; the API server fills it in, but not for static pods.
        cpu_request_cores=quantity(requests.get("cpu", limits.get("cpu"))),
        cpu_limit_cores=quantity(limits.get("cpu")),
        memory_request_bytes=size_bytes(requests.get("memory", limits.get("memory"))),
        memory_limit_bytes=size_bytes(limits.get("memory")),
        runtime_id=str(told.get("containerID") or "").rpartition("//")[2],
    )


def _health(told: Mapping[str, Any]) -> str:
    """By its readiness. Without a probe, a container is ready as soon as it runs."""
    if told.get("ready"):
        return "healthy"
    return "starting" if told.get("started") is False else "unhealthy"


def _evicted(details: Details, status: Mapping[str, Any]) -> Details:
    """The kubelet has ended it; often it leaves no status of the containers."""
    changed = [time_ms(each.get("lastTransitionTime")) for each in status.get("conditions") or []]
    finished_ms = details.finished_ms or max([*changed, time_ms(status.get("startTime")), 1])
    return details._replace(state="exited", reason="Evicted", health="", finished_ms=finished_ms)


def _end(told: Mapping[str, Any]) -> End | None:
    """How it last ended, of the run that has ended now or of the one before."""
    for state in ("state", "lastState"):
        ended = (told.get(state) or {}).get("terminated")
        if ended:
            key = (str(ended.get("containerID")), str(ended.get("finishedAt")))
            reason = wire_text(ended.get("reason"))
            return End(key, exit_code(ended.get("exitCode")), reason, time_ms(ended.get("finishedAt")))
    return None


def _ports(ports: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for port in ports:
        inside = f"{int(port['containerPort'])}/{str(port.get('protocol') or 'TCP').lower()}"
        yield f"{port.get('hostIP') or '0.0.0.0'}:{port['hostPort']}->{inside}" if port.get("hostPort") else inside  # noqa: S104


def _pod_request(spec: Mapping[str, Any], resource: str) -> float:
    """What the scheduler counts: init containers run one after the other, beside the side cars before them.

    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers"""

    def of(holder: Mapping[str, Any]) -> float:
        resources = holder.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        return quantity(requests.get(resource, limits.get(resource)))

    sidecars = highest = 0.0
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            sidecars += of(container)
        else:
            highest = max(highest, sidecars + of(container))
    total = max(sidecars + sum(map(of, spec.get("containers") or [])), highest)
    # Of the whole pod, if that is given.
    return (of(spec) or total) + quantity((spec.get("overhead") or {}).get(resource))


def _sample(container: Mapping[str, Any]) -> Sample | None:
    cpu, memory = container.get("cpu") or {}, container.get("memory") or {}
    at_ms = time_ms(cpu.get("time"))
    if not at_ms or cpu.get("usageCoreNanoSeconds") is None:
        return None
    return Sample(at_ms / 1000, int(cpu["usageCoreNanoSeconds"]) / 1e9, max(0, int(memory.get("workingSetBytes") or 0)))
