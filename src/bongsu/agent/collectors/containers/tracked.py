"""One container as the collector follows it."""

import math
from typing import Any

from bongsu.agent.collectors.base import NAN
from bongsu.agent.collectors.containers.details import Details, wire_text
from bongsu.agent.collectors.containers.groups import Group, short_id
from bongsu.agent.collectors.containers.pods import Sample
from bongsu.agent.collectors.containers.usage import Usage
from bongsu.core.samples import Container


class Tracked:
    """``details``: what a daemon or the kubelet tells, if one does. ``usage``: from its control group, else as the
    kubelet measured; ``is_measured``: whether it is of now. ``cpu_ratio`` and ``throttled_ratio`` are those since the
    reading before; NaN if there was none."""

    def __init__(self, id: str, now: float, *, is_new: bool) -> None:
        self.id = id
        # Whether it was made after the agent began, so that all kills and restarts are news.
        self.is_new = is_new
        self.first_seen = now
        # Whether a daemon has it in its list, and whether that can be asked at present.
        self.is_told = False
        self.is_fresh = False
        self.details: Details | None = None
        self.group: Group | None = None
        self.usage: Usage | None = None
        self.is_measured = False
        self.cpu_ratio = NAN
        self.throttled_ratio = NAN
        self.oom_kills = 0
        # Of those, what the kernel counted, and what the daemon told.
        self._counted_ooms = 0
        self._told_ooms = 0
        self.group_created_ms = 0
        self._read_at = 0.0
        self._listed: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        if self.details is not None:
            return self.details.name
        return wire_text(self.id if self.group is not None and self.group.has_name else short_id(self.id))

    @property
    def workload(self) -> str:
        """Without a daemon: the name that people gave, or the runtime."""
        if self.details is not None:
            return self.details.workload
        if self.group is None:
            return ""
        return self.name if self.group.has_name else self.group.runtime

    @property
    def namespace(self) -> str:
        return self.details.namespace if self.details is not None else ""

    @property
    def created_ms(self) -> int:
        return (self.details.created_ms if self.details is not None else 0) or self.group_created_ms

    @property
    def is_running(self) -> bool:
        if self.group is not None:
            return True
        if not self.is_fresh or self.details is None:
            return False
        # Where the kubelet does not tell states, it measures only what runs.
        return self.details.state in ("running", "paused") or (self.details.state == "" and self.is_measured)

    def tell(self, details: Details) -> int:
        """What the daemon knows now. Returns how often the container was restarted since it told the last time."""
        known = self.details.restarts if self.details is not None else -1
        if known < 0:
            known = 0 if self.is_new else details.restarts
        self.details = details
        return max(0, details.restarts - known) if details.restarts >= 0 else 0

    def take_group(self, unnamed: "Tracked") -> None:
        """Its control group was followed before the kubelet told whose it is."""
        self.group, self.group_created_ms = unnamed.group, unnamed.group_created_ms
        self.usage, self._read_at = unnamed.usage, unnamed._read_at

    def take_sample(self, sample: Sample) -> None:
        """What the kubelet has measured; it measures less often than it is asked."""
        if sample.at > self._read_at or not self.is_measured:
            limit = self.details.memory_limit_bytes if self.details is not None else 0
            self.read(Usage(sample.cpu_seconds, 0, 0, sample.memory_bytes, limit, 0, NAN), sample.at)

    def read(self, usage: Usage | None, now: float) -> None:
        """``now``: monotonic seconds."""
        previous, elapsed = self.usage, now - self._read_at
        self.cpu_ratio = self.throttled_ratio = NAN
        self.is_measured = usage is not None
        if usage is None:
            self.group = None
            return
        if previous is not None and elapsed > 0 and usage.cpu_seconds >= previous.cpu_seconds:
            self.cpu_ratio = (usage.cpu_seconds - previous.cpu_seconds) / elapsed
            periods = usage.periods - previous.periods
            throttled = usage.throttled_periods - previous.throttled_periods
            self.throttled_ratio = throttled / periods if periods > 0 else 0.0
        # A group that is made anew counts from 0.
        counted_before = previous.oom_kills if previous is not None else 0
        self._counted_ooms += usage.oom_kills - (counted_before if usage.oom_kills >= counted_before else 0)
        if previous is None and not self.is_new:
            self.oom_kills = self._told_ooms = self._counted_ooms
        self.usage, self._read_at = usage, now

    def tell_oom(self) -> bool:
        """The daemon has told of a kill. Whether it is one that the kernel had not counted before."""
        self._told_ooms += 1
        return self._told_ooms > self.oom_kills

    def new_ooms(self) -> tuple[int, bool]:
        """Kills since the call before, and whether the daemon has told of one. The kernel counts the same ones."""
        known, self.oom_kills = self.oom_kills, max(self.oom_kills, self._counted_ooms, self._told_ooms)
        return self.oom_kills - known, self._told_ooms > known

    def as_container(self) -> Container:
        """As it is sent in a list; the CPU is that since it was listed before."""
        usage, details = self.usage, self.details
        cpu = self.cpu_ratio
        if usage is not None:
            if self._listed is not None and self._read_at > self._listed[0]:
                cpu = (usage.cpu_seconds - self._listed[1]) / (self._read_at - self._listed[0])
            self._listed = (self._read_at, usage.cpu_seconds)
        known: dict[str, Any] = {}
        if details is not None:
            known = details._asdict()
            del known["oom_killed"], known["runtime_id"]
        runtime = self.group.runtime if self.group is not None else ""
        known |= {
            "id": short_id(self.id),
            "name": self.name,
            "workload": self.workload,
            "runtime": known.get("runtime") or runtime,
            "restarts": max(0, known.get("restarts", 0)),
            "oom_kills": self.oom_kills,
            "created_ms": self.created_ms,
        }
        if usage is not None:
            known |= {
                "cpu_ratio": max(0.0, round(_finite(cpu), 4)),
                "memory_bytes": int(_finite(usage.memory_bytes)),
                "memory_limit_bytes": usage.memory_limit_bytes or known.get("memory_limit_bytes", 0),
                "processes": int(_finite(usage.processes)),
            }
        return Container(**known)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
