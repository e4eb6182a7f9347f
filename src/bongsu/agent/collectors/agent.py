"""The agent itself: what it costs and how it does."""

import os
import sys
import time
from collections.abc import Callable, Iterable

from bongsu.agent.collectors.base import Counter, Gauge, Labels, Options, Ps, Reading, read_bytes
from bongsu.agent.stats import Stats


class AgentCollector:
    """The agent's own cost and state, from its counters and ``/proc/self``.

    ``agent_info`` is always 1; its labels carry the version and, as ``tag_...``, the configured tags.
    """

    name = "agent"
    metrics = (
        Gauge("agent_cpu_usage_ratio", "Share of one core that the agent takes."),
        Gauge("agent_memory_bytes", "Memory that the agent has resident."),
        Gauge("agent_queue_frames", "Frames that wait to be sent."),
        Gauge("agent_queue_bytes", "Size of the frames that wait on disk or in memory."),
        Gauge("agent_queue_age_seconds", "Age of the oldest frame that waits."),
        Counter("agent_dropped_frames_total", "Frames dropped because the buffer was full or they were too old."),
        Counter("agent_rejected_frames_total", "Frames that the server would not take."),
        Counter("agent_sent_frames_total", "Frames that the server stored."),
        Counter("agent_sent_bytes_total", "Bytes of request bodies sent."),
        Counter("agent_failed_requests_total", "Requests that found no server, or one that could not answer."),
        Counter("agent_missed_ticks_total", "Samples that were not taken in time."),
        Counter("agent_collector_errors_total", "Readings that failed, by collector."),
        Gauge("agent_collector_interval_factor", "How many times less often than configured a collector runs."),
        Gauge("agent_info", "Always 1; version and tags are in the labels."),
    )

    def __init__(
        self,
        ps: Ps,
        options: Options | None = None,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        options = options or Options()
        self._stats: Stats = options.values.get("stats") or Stats()
        tags: dict[str, str] = options.values.get("tags") or {}
        info = {"version": str(options.values.get("version", "")), **{f"tag_{name}": tags[name] for name in tags}}
        self._info: Labels = tuple(sorted(info.items()))
        self._now = now
        self._monotonic = monotonic
        self._cpu = cpu
        self._before = (monotonic(), cpu())

    def collect(self) -> Iterable[Reading]:
        stats = self._stats
        at, spent = self._monotonic(), self._cpu()
        if at > self._before[0]:
            yield Reading("agent_cpu_usage_ratio", (spent - self._before[1]) / (at - self._before[0]))
        self._before = (at, spent)
        memory = resident_bytes()
        if memory:
            yield Reading("agent_memory_bytes", memory)
        yield Reading("agent_queue_frames", stats.queue_frames)
        yield Reading("agent_queue_bytes", stats.queue_bytes)
        age = self._now() - stats.oldest_unsent_ms / 1000 if stats.oldest_unsent_ms else 0.0
        yield Reading("agent_queue_age_seconds", max(0.0, age))
        yield Reading("agent_dropped_frames_total", stats.dropped_frames)
        yield Reading("agent_rejected_frames_total", stats.rejected_frames)
        yield Reading("agent_sent_frames_total", stats.sent_frames)
        yield Reading("agent_sent_bytes_total", stats.sent_bytes)
        yield Reading("agent_failed_requests_total", stats.failed_requests)
        yield Reading("agent_missed_ticks_total", stats.missed_ticks)
        for name, count in list(stats.collector_errors.items()):
            yield Reading("agent_collector_errors_total", count, (("collector", name),))
        for name, factor in list(stats.slowed.items()):
            yield Reading("agent_collector_interval_factor", factor, (("collector", name),))
        yield Reading("agent_info", 1.0, self._info)


def resident_bytes() -> int:
    """Resident memory of this process; 0 where it cannot be known cheaply."""
    if sys.platform == "linux":
        return int(read_bytes("/proc/self/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.Process().memory_info().rss)
