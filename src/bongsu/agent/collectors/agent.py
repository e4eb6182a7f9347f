"""The agent itself: what it costs and how it is doing."""

import time
from collections.abc import Callable, Iterable

from bongsu.agent.collectors.base import Collector, Counter, Gauge, Labels, Options, Ps, Reading
from bongsu.agent.stats import resident_bytes


class AgentCollector(Collector):
    """The agent's cost and state, from its own counters and ``/proc/self``.

    ``agent_info`` is always 1. Its labels are the version and, as ``tag_...``, the configured tags.
    """

    name = "agent"
    metrics = (
        Gauge("agent_cpu_usage_ratio", "Share of one core that the agent uses."),
        Gauge("agent_memory_bytes", "Resident memory of the agent."),
        Gauge("agent_queue_frames", "Frames waiting to be sent."),
        Gauge("agent_queue_bytes", "Size of the buffered frames, on disk and in memory."),
        Gauge("agent_queue_age_seconds", "Age of the oldest frame waiting to be sent."),
        Counter("agent_dropped_frames_total", "Frames dropped because the buffer was full or they were too old."),
        Counter("agent_rejected_frames_total", "Frames that the server rejected."),
        Counter("agent_sent_frames_total", "Frames that the server stored."),
        Counter("agent_sent_bytes_total", "Bytes of request bodies sent."),
        Counter("agent_failed_requests_total", "Requests that the server did not answer, or refused for now."),
        Counter("agent_missed_ticks_total", "Ticks at which no sample was taken."),
        Counter("agent_collector_errors_total", "Failed runs, by collector."),
        Gauge("agent_collector_interval_factor", "How many times less often than configured a collector runs."),
        Counter("agent_failed_scrapes_total", "Scrapes that failed, by target."),
        Counter("agent_skipped_scrapes_total", "Scrapes that were left out because the target was slow, by target."),
        Counter("agent_dropped_samples_total", "Scraped samples that cannot be sent, by target."),
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
        super().__init__(ps, options)
        info = {"version": self._options.version}
        info |= {f"tag_{name}": value for name, value in self._options.tags.items()}
        self._info_labels: Labels = tuple(sorted(info.items()))
        self._now = now
        self._monotonic = monotonic
        self._cpu = cpu
        self._previous = (monotonic(), cpu())

    def collect(self) -> Iterable[Reading]:
        stats = self._options.stats
        previous_time, previous_cpu_seconds = self._previous
        now, cpu_seconds = self._previous = (self._monotonic(), self._cpu())
        if now > previous_time:
            yield Reading("agent_cpu_usage_ratio", (cpu_seconds - previous_cpu_seconds) / (now - previous_time))
        yield Reading("agent_memory_bytes", resident_bytes())
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
        for name, target in stats.targets.items():
            labels: Labels = (("target", name),)
            yield Reading("agent_failed_scrapes_total", target.failed_scrapes, labels)
            yield Reading("agent_skipped_scrapes_total", target.skipped_scrapes, labels)
            yield Reading("agent_dropped_samples_total", target.dropped_samples, labels)
        yield Reading("agent_info", 1.0, self._info_labels)
