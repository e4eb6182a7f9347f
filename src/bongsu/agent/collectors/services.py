"""What the services of systemd use, from their control groups."""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

from bongsu.agent.collectors.base import NAN, Collector, Counter, Filter, Gauge, Options, Ps, Reading
from bongsu.agent.collectors.containers.groups import Group
from bongsu.agent.collectors.containers.usage import GroupFiles, Usage
from bongsu.agent.config_values import parse_count
from bongsu.core.errors import ConfigError

# A usual server runs 20 to 40 services; each has five series at most.
DEFAULT_LIMIT = 20
MOST_SERVICES = 200
# Each set of series is a layout that the API server keeps, so services get and lose theirs together.
BATCH_SECONDS = 300
# For the order of services: a core counts as much as this much memory.
_BYTES_A_CORE = 4 * 1024**3
# One that has series keeps them unless another uses twice as much.
_KEPT = 2.0
# The services without series of their own. No unit can have this name.
OTHERS = "(others)"
# In the tree of version 2; of version 1, or of both, in the hierarchy of systemd, which has all services.
_HIERARCHIES = ("", "/systemd", "/unified")
_SLICE = "/system.slice"
_SUFFIX = ".service"
# Names that systemd-run gives, of which no two are alike.
_TRANSIENT = "run-"


def _parse_limit(text: str) -> int:
    limit = parse_count(text)
    if limit > MOST_SERVICES:
        raise ConfigError(f"{text!r} is more than {MOST_SERVICES}")
    return limit


class Service:
    """One service as the collector follows it. ``created``: Unix seconds; ``is_new``: since the collector began;
    ``cpu_ratio``: since the reading before, NaN if there was none."""

    def __init__(self, group: Group, created: float, *, is_new: bool) -> None:
        self.group = group
        self.created = created
        self.is_new = is_new
        self.usage: Usage | None = None
        self.disk = (0.0, 0.0)
        self.cpu_ratio = NAN
        # CPU seconds since the last batch.
        self.cpu_seconds = 0.0
        self.has_series = False
        self.has_disk_series = False

    def read(self, files: GroupFiles, elapsed: float) -> tuple[float, float]:
        """Returns the bytes read from disks and written since the reading before. ``usage`` is None if it ended."""
        before, self.usage = self.usage, files.usage(self.group)
        self.cpu_ratio = NAN
        if self.usage is None:
            return 0.0, 0.0
        (read, written), self.disk = self.disk, files.disk(self.group)
        if before is None:
            return self.disk if self.is_new else (0.0, 0.0)
        used = self.usage.cpu_seconds - before.cpu_seconds
        if used < 0:  # it was started again, and counts from 0
            return self.disk
        self.cpu_seconds += used
        self.cpu_ratio = used / elapsed if elapsed > 0 else NAN
        return max(0.0, self.disk[0] - read), max(0.0, self.disk[1] - written)

    @property
    def weight(self) -> float:
        """How much it uses, for the order of services."""
        memory = self.usage.memory_bytes if self.usage is not None else 0.0
        use = self.cpu_seconds / BATCH_SECONDS + (memory if math.isfinite(memory) else 0.0) / _BYTES_A_CORE
        return use * (_KEPT if self.has_series else 1.0)


class ServicesCollector(Collector):
    """CPU, memory, disk traffic and processes of systemd's services.

    Source: the files of their control groups below ``system.slice``, versions 1 and 2. Those that use most have series
    of their own, chosen every five minutes among those that are as old; the others, among them all that ``systemd-run``
    started, are added up as ``(others)``. Filter: ``names``. Setting: ``limit``.
    """

    name = "services"
    interval_seconds = 30
    own_layout = True
    filters = ("names",)
    settings: ClassVar = {"limit": _parse_limit}
    metrics = (
        Gauge("services_in_others", "Services that run and have no series of their own."),
        Gauge("service_cpu_usage_ratio", "Share of one core that the service uses; may exceed 1."),
        Gauge("service_memory_working_set_bytes", "Memory of the service without files not used lately."),
        Gauge("service_processes", "Its processes and threads."),
        Counter("service_disk_read_bytes_total", "Bytes that it read from block devices."),
        Counter("service_disk_written_bytes_total", "Bytes that it wrote to block devices."),
    )

    def __init__(
        self,
        ps: Ps,
        options: Options | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(ps, options)
        self._is_selected = self._options.filter("names", Filter())
        self._limit: int = self._options.settings.get("limit", DEFAULT_LIMIT)
        self._monotonic = monotonic
        self._wall = wall
        self._cgroups = f"{self._options.sys}/fs/cgroup"
        self._files = GroupFiles(self._options.proc, self._options.sys)
        self._services: dict[str, Service] = {}
        # Those that were chosen: one that is started again keeps its series.
        self._chosen: set[str] = set()
        self._others_disk = [0.0, 0.0]
        self._has_disk_series = False
        self._read_at = -math.inf
        self._batch = -1

    def collect(self) -> Iterable[Reading]:
        now, wall = self._monotonic(), self._wall()
        self._find(is_new=self._read_at > 0)
        elapsed, self._read_at = now - self._read_at, now
        for name, service in list(self._services.items()):
            moved = service.read(self._files, elapsed)
            if service.usage is None:
                del self._services[name]
            elif not service.has_series:
                self._others_disk[0] += moved[0]
                self._others_disk[1] += moved[1]
        if not self._services:
            return
        batch = int(wall // BATCH_SECONDS)
        if batch != self._batch:
            self._batch = batch
            self._choose(wall)
        yield from self._readings()

    def _find(self, *, is_new: bool) -> None:
        """Takes up the services that run now."""
        top = next((self._cgroups + name for name in _HIERARCHIES if os.path.isdir(self._cgroups + name + _SLICE)), "")
        found = dict(_find_services(top)) if top else {}
        for name in self._services.keys() - found.keys():
            del self._services[name]
        for name, path in found.items():
            if name not in self._services and self._is_selected(name):
                try:
                    created = os.stat(top + path).st_ctime
                except OSError:  # it ended
                    continue
                service = self._services[name] = Service(Group(name, "systemd", path), created, is_new=is_new)
                service.has_series = name in self._chosen

    def _choose(self, wall: float) -> None:
        """Which services have series until the next time."""
        self._files.forget()
        may = {
            name: service
            for name, service in self._services.items()
            if not name.startswith(_TRANSIENT) and (service.has_series or service.created <= wall - BATCH_SECONDS)
        }
        self._chosen = set(sorted(may, key=lambda name: -may[name].weight)[: self._limit])
        # Many never read or write, and where I/O is not accounted for, none seems to.
        self._has_disk_series = any(any(service.disk) for service in self._services.values())
        for name, service in self._services.items():
            service.has_series = name in self._chosen
            service.has_disk_series = any(service.disk)
            service.cpu_seconds = 0.0

    def _readings(self) -> Iterator[Reading]:
        cpu = memory = processes = 0.0
        count = 0
        for name, service in self._services.items():
            usage = service.usage
            if usage is None:
                continue
            if not service.has_series:
                count += 1
                cpu += _finite(service.cpu_ratio)
                memory += _finite(usage.memory_bytes)
                processes += _finite(usage.processes)
                continue
            labels = (("service", name),)
            yield Reading("service_cpu_usage_ratio", service.cpu_ratio, labels)
            if not math.isnan(usage.memory_bytes):
                yield Reading("service_memory_working_set_bytes", usage.memory_bytes, labels)
            if not math.isnan(usage.processes):
                yield Reading("service_processes", usage.processes, labels)
            if service.has_disk_series:
                yield Reading("service_disk_read_bytes_total", service.disk[0], labels)
                yield Reading("service_disk_written_bytes_total", service.disk[1], labels)
        labels = (("service", OTHERS),)
        yield Reading("services_in_others", count)
        yield Reading("service_cpu_usage_ratio", cpu, labels)
        yield Reading("service_memory_working_set_bytes", memory, labels)
        yield Reading("service_processes", processes, labels)
        if self._has_disk_series:
            yield Reading("service_disk_read_bytes_total", self._others_disk[0], labels)
            yield Reading("service_disk_written_bytes_total", self._others_disk[1], labels)
        self.note = f"{len(self._services)} services, {count} of them in {OTHERS}"


def _find_services(top: str) -> Iterator[tuple[str, str]]:
    """Names without ``.service``, and paths of control groups below ``top``. Instances of a template have a slice."""
    waiting = [_SLICE]
    while waiting:
        path = waiting.pop()
        try:
            with os.scandir(top + path) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:  # it ended
            continue
        for name in names:
            if name.endswith(_SUFFIX):
                yield name.removesuffix(_SUFFIX), f"{path}/{name}"
            elif name.endswith(".slice") and path == _SLICE:
                waiting.append(f"{path}/{name}")


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
