"""The collector of containers: series of workloads and of long-lived containers, and a list of all once a minute."""

import math
import os
import time
from collections.abc import Callable, Iterable
from typing import ClassVar

from bongsu.agent.collectors.base import Collector, Filter, Options, Ps, Reading
from bongsu.agent.collectors.containers.admission import MAX_CONTAINERS_WITH_SERIES, Admission
from bongsu.agent.collectors.containers.container_series import METRICS as CONTAINER_METRICS
from bongsu.agent.collectors.containers.container_series import container_readings
from bongsu.agent.collectors.containers.daemon import Daemon, News
from bongsu.agent.collectors.containers.groups import Group
from bongsu.agent.collectors.containers.happened import Happened
from bongsu.agent.collectors.containers.kubelet import Kubelet
from bongsu.agent.collectors.containers.kubernetes_api import SETTINGS as KUBELET_SETTINGS
from bongsu.agent.collectors.containers.kubernetes_api import find_access
from bongsu.agent.collectors.containers.node import METRICS as NODE_METRICS
from bongsu.agent.collectors.containers.node import node_readings
from bongsu.agent.collectors.containers.record import Record
from bongsu.agent.collectors.containers.sockets import PATTERNS, find_sockets
from bongsu.agent.collectors.containers.tracked import Tracked
from bongsu.agent.collectors.containers.usage import GroupFiles
from bongsu.agent.collectors.containers.workloads import MAX_WORKLOADS, Workloads
from bongsu.agent.collectors.containers.workloads import METRICS as WORKLOAD_METRICS
from bongsu.core.errors import ConfigError
from bongsu.wire.limits import MAX_CONTAINERS

# How often new groups and sockets are looked for; groups also when a daemon has started a container.
LOOK_SECONDS = 30.0
LIST_SECONDS = 60
# A walk through a large tree comes less often, so that it takes 0.1 % of a core at most.
_WALK_SHARE = 0.001
# How long the first reading waits for names, and how long a new group goes without one.
FIRST_ANSWER_SECONDS = 1.0
NAME_SECONDS = 15.0
# The kubelet is asked every 30 s, and hears of its own pods from the API server.
POD_NAME_SECONDS = 90.0


def parse_sockets(text: str) -> tuple[str, ...]:
    """Paths with commas between them; ``none``: no daemon is asked."""
    paths = tuple(path.strip() for path in text.split(",") if path.strip())
    if text.strip() == "none":
        return ()
    if not paths or not all(path.startswith("/") for path in paths):
        raise ConfigError(f"{text!r} is not a list of paths of sockets, such as {PATTERNS[0]}")
    return paths


class ContainersCollector(Collector):
    """Containers of Docker, Podman, Kubernetes, LXC and systemd-nspawn.

    Source: the files of their control groups, versions 1 and 2, and ``/proc/<pid>/net/dev``. Names, states and events
    come from Docker and Podman over their sockets and from the kubelet, each in a thread of its own; without them,
    containers are named by their ids. Filter: ``names``. Settings: ``sockets``, ``kubelet`` and those of its access.
    """

    name = "containers"
    own_layout = True
    filters = ("names",)
    settings: ClassVar = {"sockets": parse_sockets, **KUBELET_SETTINGS}
    metrics = (*WORKLOAD_METRICS, *CONTAINER_METRICS, *NODE_METRICS)

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
        self._sockets: tuple[str, ...] | None = self._options.settings.get("sockets")
        self._monotonic = monotonic
        self._wall = wall
        self._files = GroupFiles(self._options.proc, self._options.sys)
        self._daemons: dict[str, Daemon] = {}
        access = find_access(self._options.settings)
        self._kubelet = Kubelet(access) if access is not None else None
        # The runtime's id of a container of Kubernetes -> ours.
        self._named: dict[str, str] = {}
        self._began_ms = wall() * 1000
        self._tracked: dict[str, Tracked] = {}
        self._workloads = Workloads()
        self._admission = Admission()
        self._record = Record()
        self._runs = 0
        self._listed_minute = -1
        self._look_at = self._walk_at = -math.inf
        self._has_found = False

    def collect(self) -> Iterable[Reading]:
        now, wall = self._monotonic(), self._wall()
        self.containers = None
        self._runs += 1
        looks = now >= self._look_at
        if not looks and not self._has_found:
            return
        if looks:
            self._look_at = now + LOOK_SECONDS
            if self._runs == 1 and self._kubelet is not None:
                self._find_groups(now)  # so that it knows which containers cannot be seen here
            self._start_daemons()
        happened = self._take_news(now)
        if looks or any(event.type in ("started", "restarted") for event in happened):
            self._find_groups(now)
        self._read(now)
        self._count(happened, now, int(wall * 1000))
        self._drop_ended()
        self._has_found = self._has_found or bool(self._tracked or self._daemons or self._kubelet)
        if not self._has_found:
            self._report()
            return
        shown = [tracked for tracked in self._tracked.values() if self._is_shown(tracked, now)]
        is_batch = self._admission.is_batch(wall)
        yield from self._workloads.collect(shown, now, wall, is_batch=is_batch)
        for label, tracked in self._admission.select(shown, now, wall, is_batch=is_batch):
            if tracked.usage is not None:
                traffic = self._files.traffic(tracked.group) if tracked.group is not None else None
                yield from container_readings(label, tracked, tracked.usage, traffic)
        if self._kubelet is not None:
            yield from node_readings(self._kubelet)
        # The first reading has no usage to show, and the scheduler does not send its list.
        is_due = wall // LIST_SECONDS != self._listed_minute or self._runs <= 2
        if is_due or self._record.is_due_at_once(wall):
            self._listed_minute = int(wall // LIST_SECONDS)
            self.containers = self._record.make_list(shown)
        self._report()

    def close(self) -> None:
        for daemon in self._daemons.values():
            daemon.close()
        if self._kubelet is not None:
            self._kubelet.close()

    def _start_daemons(self) -> None:
        new = [path for path in find_sockets(self._sockets, self._options.root) if path not in self._daemons]
        for path in new:
            self._daemons[path] = Daemon(path)
            self._daemons[path].start()
        if self._runs > 1:
            return
        ends_at = time.monotonic() + FIRST_ANSWER_SECONDS
        asked: list[Daemon | Kubelet] = [self._daemons[path] for path in new]
        if self._kubelet is not None:
            self._kubelet.start()
            asked.append(self._kubelet)
        for each in asked:
            each.answered.wait(max(0.0, ends_at - time.monotonic()))

    def _take_news(self, now: float) -> list[Happened]:
        happened: list[Happened] = []
        told: set[str] = set()
        fresh: set[str] = set()
        for daemon in self._daemons.values():
            news = daemon.take()
            if self._kubelet is not None and self._kubelet.is_connected:
                news = _without_pods(news)  # of which the kubelet tells more
            happened += self._take(news, now, told, fresh if daemon.is_connected else set())
        if self._kubelet is not None:
            news = self._kubelet.take()
            happened += self._take(news, now, told, fresh if self._kubelet.is_connected else set())
            self._name_groups(news)
        for id, tracked in self._tracked.items():
            tracked.is_told, tracked.is_fresh = id in told, id in fresh
        return happened

    def _take(self, news: News, now: float, told: set[str], fresh: set[str]) -> list[Happened]:
        told.update(news.containers)
        fresh.update(news.containers)
        self._take_details(news, now)
        self._record.drop(news.events_dropped)
        return [event for event in news.events if self._is_selected(event.details.name)]

    def _name_groups(self, news: News) -> None:
        """Gives control groups to the containers that the kubelet tells of."""
        self._named = {each.runtime_id: id for id, each in news.containers.items() if each.runtime_id}
        for runtime_id, id in self._named.items():
            tracked = self._tracked[id]
            if tracked.group is not None and tracked.group.id != runtime_id:
                tracked.group = None  # a restart has replaced it
            unnamed = self._tracked.pop(runtime_id, None)
            if unnamed is not None and unnamed.group is not None:
                tracked.take_group(unnamed)

    def _take_details(self, news: News, now: float) -> None:
        for details in (*news.removed, *news.containers.values()):
            tracked = self._tracked.get(details.id)
            if tracked is None:
                is_new = details.created_ms >= self._began_ms
                tracked = self._tracked[details.id] = Tracked(details.id, now, is_new=is_new)
            restarts = tracked.tell(details)
            if restarts and self._is_selected(details.name):
                self._workloads.of(details.workload, details.namespace, now).restarts += restarts

    def _find_groups(self, now: float) -> None:
        if now < self._walk_at:
            return
        began = time.thread_time()
        groups = self._files.find()
        has_appeared = False
        for runtime_id, group in groups.items():
            id = self._named.get(runtime_id, runtime_id)
            tracked = self._tracked.get(id)
            if tracked is None:
                tracked = self._tracked[id] = Tracked(id, now, is_new=self._runs > 1)
                has_appeared = has_appeared or group.runtime == "kubernetes"
            if tracked.group is None:
                tracked.group = group
                tracked.group_created_ms = self._files.created_ms(group)
        self._walk_at = now + (time.thread_time() - began) / _WALK_SHARE
        if self._kubelet is not None:
            of_pods: dict[str, list[str]] = {}
            for runtime_id, group in groups.items():
                if group.runtime == "kubernetes":
                    of_pods.setdefault(group.pod_uid, []).append(runtime_id)
            self._kubelet.groups = of_pods
            if has_appeared and self._runs > 1:
                self._kubelet.ask_soon()

    def _read(self, now: float) -> None:
        samples = self._kubelet.samples if self._kubelet is not None else {}
        for id, tracked in self._tracked.items():
            if tracked.group is not None:
                tracked.read(self._files.usage(tracked.group), now)
            elif (sample := samples.get(id)) is not None:
                tracked.take_sample(sample)

    def _count(self, happened: list[Happened], now: float, time_ms: int) -> None:
        """Adds what has happened to the counters of workloads and to the next list."""
        for event in happened:
            workload = self._workloads.of(event.details.workload, event.details.namespace, now)
            workload.told = True
            workload.failures += event.failed
            workload.evictions += event.type == "evicted"
            tracked = self._tracked.get(event.details.id)
            if event.type != "oom_killed" or tracked is None or tracked.tell_oom():
                self._record.add(event)
        for tracked in self._tracked.values():
            kills, is_told = tracked.new_ooms()
            if kills and self._is_selected(tracked.name):
                self._workloads.of(tracked.workload, tracked.namespace, now).oom_kills += kills
                if not is_told:
                    self._record.add_oom(tracked, time_ms)

    def _drop_ended(self) -> None:
        for id, tracked in list(self._tracked.items()):
            if tracked.group is None and not tracked.is_told:
                del self._tracked[id]
                if self._is_selected(tracked.name):
                    self._record.end(tracked)

    def _is_shown(self, tracked: Tracked, now: float) -> bool:
        group = tracked.group
        if tracked.details is None and group is not None and self._waits_for_name(tracked, group, now):
            return False
        return self._is_selected(tracked.name)

    def _waits_for_name(self, tracked: Tracked, group: Group, now: float) -> bool:
        """Whether its daemon or the kubelet will tell its name: two names would be two series."""
        age = now - tracked.first_seen
        if group.runtime == "kubernetes" and self._kubelet is not None:
            if group.pod_uid in self._kubelet.pod_uids:  # it holds the network of a pod, or a restart has just made it
                return True
            return not self._kubelet.problem and age < POD_NAME_SECONDS
        for daemon in self._daemons.values() if age < NAME_SECONDS else ():
            may_know = group.runtime in (daemon.runtime, "containerd") and not daemon.problem
            if may_know and (tracked.is_new or not daemon.is_connected):
                return True
        return False

    def _report(self) -> None:
        report = self._options.report_problem
        if self._kubelet is not None:
            if self._kubelet.problem:
                report("kubelet", f"The kubelet at {self._kubelet.url} {self._kubelet.problem}")
            for topic, gap in list(self._kubelet.gaps.items()):
                report(f"kubelet {topic}", gap)
        for path, daemon in self._daemons.items():
            if daemon.problem:
                report(f"socket {path}", f"{path} cannot be asked for names of containers: {daemon.problem}")
        for path in self._sockets or ():
            if not os.path.exists(path):
                report(f"socket {path}", f"{path} cannot be asked for names of containers: there is no such socket")
        if self._workloads.left_out:
            report("workloads", f"only {MAX_WORKLOADS} workloads have series; {self._workloads.left_out} have none")
        if self._admission.left_out:
            report(
                "containers",
                f"only {MAX_CONTAINERS_WITH_SERIES} containers have series; {self._admission.left_out} have none",
            )
        if len(self._tracked) > MAX_CONTAINERS:
            report("list of containers", f"only {MAX_CONTAINERS} of {len(self._tracked)} containers are listed")
        connected = [path for path, daemon in self._daemons.items() if daemon.is_connected]
        if self._kubelet is not None and self._kubelet.is_connected:
            connected.append(f"the kubelet at {self._kubelet.url}")
        if not self._has_found:
            looked_for = PATTERNS if self._sockets is None else self._sockets
            self.note = f"no container, and no daemon at {', '.join(looked_for) or 'any socket'}"
        else:
            told = f"names from {', '.join(connected)}" if connected else "without names, from control groups only"
            count = len(self._tracked)
            self.note = f"{count} container{'' if count == 1 else 's'}, {told}"


def _without_pods(news: News) -> News:
    return news._replace(
        containers={id: each for id, each in news.containers.items() if not each.pod},
        removed=[each for each in news.removed if not each.pod],
        events=[event for event in news.events if not event.details.pod],
    )
