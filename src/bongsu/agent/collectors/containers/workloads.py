"""Sums over the containers of a workload, and counters that outlive them."""

import math
from collections.abc import Iterable

from bongsu.agent.collectors.base import NAN, Counter, Gauge, Labels, Metric, Reading
from bongsu.agent.collectors.containers.details import Details
from bongsu.agent.collectors.containers.tracked import Tracked

MAX_WORKLOADS = 200
# How long a workload without containers is told to have none, so that an alert sees it.
KEEP_SECONDS = 3600.0
# New workloads have series at once, but for these many an hour: each makes a new layout. The others wait for the next
# multiple of five minutes.
AT_ONCE_AN_HOUR = 10

METRICS: tuple[Metric, ...] = (
    Gauge("workload_containers", "Running containers of the workload."),
    Gauge("workload_cpu_usage_ratio", "Share of one core that they use; may exceed 1."),
    Gauge("workload_memory_working_set_bytes", "Memory without files that have not been used lately."),
    Gauge("workload_memory_limit_used_ratio", "Used share of the memory limit; of several, of the fullest container."),
    Counter("workload_restarts_total", "Restarts by the restart policy."),
    Counter("workload_oom_kills_total", "Processes that the kernel killed for lack of memory."),
    Counter("workload_failures_total", "Ends with an exit code other than 0 that nobody asked for."),
    Gauge("workload_unhealthy_containers", "Containers whose health check fails."),
    Gauge("workload_pods", "Pods of the workload on this node that have not ended."),
    Gauge("workload_pods_ready", "Those of them that are ready."),
    Gauge("workload_cpu_request_cores", "CPU that they request."),
    Gauge("workload_cpu_limit_cores", "Their CPU limits, if each container has one."),
    Gauge("workload_memory_request_bytes", "Memory that they request."),
    Gauge("workload_memory_limit_bytes", "Their memory limits, if each container has one."),
    Counter("workload_evictions_total", "Pods that the kubelet ended for lack of memory or disk space."),
)


class Workload:
    """``told``: whether a daemon or the kubelet tells of its containers, without which restarts and failures are
    unknown. ``is_of_pods``: whether the kubelet tells of its pods."""

    def __init__(self, name: str, namespace: str = "") -> None:
        workload = ("workload", name)
        self.labels: Labels = (("namespace", namespace), workload) if namespace else (workload,)
        self.told = self.is_of_pods = False
        self.has_series = False
        self.restarts = 0
        self.oom_kills = 0
        self.failures = 0
        self.evictions = 0
        self.last_seen = 0.0
        self.has_limit = False
        self.clear()

    def clear(self) -> None:
        self.containers = 0
        self.unhealthy = 0
        self.cpu_ratio = 0.0
        self.memory_bytes = 0.0
        self.limit_used = NAN
        self.pods: set[str] = set()
        self.pods_not_ready: set[str] = set()
        self.cpu_request = self.cpu_limit = self.memory_request = self.memory_limit = 0.0

    def add(self, tracked: Tracked) -> None:
        details, usage = tracked.details, tracked.usage
        if details is not None and (details.restarts >= 0 or details.runtime != "kubernetes"):
            self.told = True
            self.unhealthy += details.health == "unhealthy"
        if details is not None and details.pod_phase:
            self._add_to_pod(details)
        if not tracked.is_running:
            return
        self.containers += 1
        if usage is None or not tracked.is_measured:
            return
        self.cpu_ratio += tracked.cpu_ratio if math.isfinite(tracked.cpu_ratio) else 0.0
        self.memory_bytes += usage.memory_bytes if math.isfinite(usage.memory_bytes) else 0
        if usage.memory_limit_bytes:
            self.has_limit = True
            used = usage.memory_bytes / usage.memory_limit_bytes
            self.limit_used = used if math.isnan(self.limit_used) else max(self.limit_used, used)

    def _add_to_pod(self, details: Details) -> None:
        self.is_of_pods = True
        if details.pod_phase in ("Succeeded", "Failed"):
            return
        self.pods.add(details.pod)
        if details.health != "healthy":
            self.pods_not_ready.add(details.pod)
        self.cpu_request += details.cpu_request_cores
        self.memory_request += details.memory_request_bytes
        # One without a limit may use all there is.
        self.cpu_limit += details.cpu_limit_cores or NAN
        self.memory_limit += details.memory_limit_bytes or NAN

    def readings(self) -> Iterable[Reading]:
        yield Reading("workload_containers", self.containers, self.labels)
        yield Reading("workload_cpu_usage_ratio", self.cpu_ratio, self.labels)
        yield Reading("workload_memory_working_set_bytes", self.memory_bytes, self.labels)
        if self.has_limit:
            yield Reading("workload_memory_limit_used_ratio", self.limit_used, self.labels)
        yield Reading("workload_oom_kills_total", self.oom_kills, self.labels)
        if self.told:
            yield Reading("workload_restarts_total", self.restarts, self.labels)
            yield Reading("workload_failures_total", self.failures, self.labels)
            yield Reading("workload_unhealthy_containers", self.unhealthy, self.labels)
        if self.is_of_pods:
            yield Reading("workload_pods", len(self.pods), self.labels)
            yield Reading("workload_pods_ready", len(self.pods - self.pods_not_ready), self.labels)
            yield Reading("workload_cpu_request_cores", self.cpu_request, self.labels)
            yield Reading("workload_memory_request_bytes", self.memory_request, self.labels)
            if self.cpu_limit > 0:
                yield Reading("workload_cpu_limit_cores", self.cpu_limit, self.labels)
            if self.memory_limit > 0:
                yield Reading("workload_memory_limit_bytes", self.memory_limit, self.labels)
            yield Reading("workload_evictions_total", self.evictions, self.labels)


class Workloads:
    def __init__(self) -> None:
        self._workloads: dict[str, Workload] = {}
        self._hour = -1
        self._left_this_hour = AT_ONCE_AN_HOUR
        # How many have no series because there are too many.
        self.left_out = 0

    def of(self, name: str, namespace: str, now: float) -> Workload:
        """The workload, which has just been seen."""
        workload = self._workloads.get(name)
        if workload is None:
            workload = self._workloads[name] = Workload(name, namespace)
        workload.last_seen = now
        return workload

    def collect(self, containers: Iterable[Tracked], now: float, wall: float, *, is_batch: bool) -> Iterable[Reading]:
        """``is_batch``: whether all that wait may have series now."""
        for workload in self._workloads.values():
            workload.clear()
        for tracked in containers:
            if tracked.workload:
                self.of(tracked.workload, tracked.namespace, now).add(tracked)
        for name in [name for name, each in self._workloads.items() if now - each.last_seen > KEEP_SECONDS]:
            del self._workloads[name]
        self._admit(wall, is_batch)
        for workload in self._workloads.values():
            if workload.has_series:
                yield from workload.readings()

    def _admit(self, wall: float, is_batch: bool) -> None:
        if wall // 3600 != self._hour:
            self._hour, self._left_this_hour = int(wall // 3600), AT_ONCE_AN_HOUR
        waiting = [workload for workload in self._workloads.values() if not workload.has_series]
        room = MAX_WORKLOADS - (len(self._workloads) - len(waiting))
        self.left_out = max(0, len(waiting) - room)
        if not waiting or room <= 0 or (not is_batch and self._left_this_hour <= 0):
            return
        if not is_batch:
            self._left_this_hour -= 1
        waiting.sort(key=lambda workload: -workload.memory_bytes)
        for workload in waiting[:room]:
            workload.has_series = True
