"""Series of a single container."""

import math
from collections.abc import Iterable

from bongsu.agent.collectors.base import Counter, Gauge, Labels, Metric, Reading
from bongsu.agent.collectors.containers.tracked import Tracked
from bongsu.agent.collectors.containers.usage import Traffic, Usage

METRICS: tuple[Metric, ...] = (
    Gauge("container_cpu_usage_ratio", "Share of one core that the container uses; may exceed 1."),
    Gauge("container_cpu_throttled_ratio", "Share of the periods in which it had to wait because of its CPU limit."),
    Gauge("container_memory_working_set_bytes", "Memory of the container without files not used lately."),
    Gauge("container_memory_limit_bytes", "Its memory limit."),
    Gauge("container_memory_limit_used_ratio", "Used share of its memory limit."),
    Counter("container_disk_read_bytes_total", "Bytes that it read from block devices."),
    Counter("container_disk_written_bytes_total", "Bytes that it wrote to block devices."),
    Counter("container_network_receive_bytes_total", "Bytes that it received, if it has a network of its own."),
    Counter("container_network_transmit_bytes_total", "Bytes that it sent, if it has a network of its own."),
    Gauge("container_processes", "Its processes and threads."),
)


def container_readings(label: str, tracked: Tracked, usage: Usage, traffic: Traffic | None) -> Iterable[Reading]:
    """``traffic``: None without a control group, as are processes."""
    labels: Labels = (("container", label),)
    yield Reading("container_cpu_usage_ratio", tracked.cpu_ratio, labels)
    if usage.periods:  # only a container with a CPU limit has periods
        yield Reading("container_cpu_throttled_ratio", tracked.throttled_ratio, labels)
    yield Reading("container_memory_working_set_bytes", usage.memory_bytes, labels)
    if usage.memory_limit_bytes:
        yield Reading("container_memory_limit_bytes", usage.memory_limit_bytes, labels)
        yield Reading("container_memory_limit_used_ratio", usage.memory_bytes / usage.memory_limit_bytes, labels)
    if traffic is None:
        return
    yield Reading("container_disk_read_bytes_total", traffic.disk_read, labels)
    yield Reading("container_disk_written_bytes_total", traffic.disk_written, labels)
    if not math.isnan(traffic.received):
        yield Reading("container_network_receive_bytes_total", traffic.received, labels)
        yield Reading("container_network_transmit_bytes_total", traffic.transmitted, labels)
    yield Reading("container_processes", usage.processes, labels)
