"""Follows the kubelet of this node, in a thread of its own, so that one that hangs delays nothing.

It asks for all pods every 30 s, and sooner when a control group has appeared that no pod is known to have. What has
happened follows from two answers. Where pods may not be read, ``/stats/summary`` tells their names; where no control
groups can be seen, it tells what containers use. Once a minute it asks the API server for the object of the node.
"""

import json
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bongsu.agent.collectors.containers.daemon import FORGET_SECONDS, News
from bongsu.agent.collectors.containers.details import Details
from bongsu.agent.collectors.containers.happened import Happened
from bongsu.agent.collectors.containers.kubernetes_api import Access, KubernetesApi
from bongsu.agent.collectors.containers.node import Node, read_node
from bongsu.agent.collectors.containers.pods import End, Pod, Sample, pods_of_list, read_pod, read_summary
from bongsu.agent.collectors.containers.unix_http import BadAnswer
from bongsu.wire.limits import MAX_CONTAINER_EVENTS, MAX_CONTAINERS

ASK_SECONDS = 30.0
# Not sooner than this after the answer before, whatever has appeared.
LEAST_SECONDS = 5.0
NODE_SECONDS = 60.0
# A right that is missing is not asked for each time.
REFUSED_SECONDS = 300.0
# A container that is not ready is only starting for so long, unless it has been ready before.
STARTING_MS = 300_000
SUMMARY = "/stats/summary?only_cpu_and_memory=true"
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, RecursionError)


class PodSums(NamedTuple):
    """Over the pods that have not ended. Requests are those by which the scheduler counts."""

    pods: int = 0
    cpu_request_cores: float = 0.0
    memory_request_bytes: int = 0


class Kubelet:
    """Other threads call ``start``, ``take``, ``ask_soon`` and ``close``, and read what has no underscore."""

    def __init__(self, access: Access) -> None:
        self.url = access.url
        # Why it cannot be asked; empty if it can.
        self.problem = ""
        # Of what it tells, what is missing, and why: topic -> text.
        self.gaps: dict[str, str] = {}
        self.is_connected = False
        # Set once it has answered, or has failed to.
        self.answered = threading.Event()
        # Questions that it refused or did not answer as it should.
        self.errors = 0
        # None: not known, because pods may not be read.
        self.sums: PodSums | None = None
        self.node: Node | None = None
        self.samples: Mapping[str, Sample] = {}
        # The collector sets it: pod uid -> the runtime's ids of the control groups that can be seen.
        self.groups: Mapping[str, Sequence[str]] = {}
        # Pods of which all containers are known.
        self.pod_uids: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._containers: dict[str, Details] = {}
        self._removed: list[Details] = []
        self._events: deque[Happened] = deque()
        self._events_dropped = 0
        # Only the thread uses what follows.
        self._api = KubernetesApi(access.url, access.token_file, access.ca_file, verify=access.verify)
        self._server = KubernetesApi(access.api_url, access.token_file, access.api_ca_file) if access.api_url else None
        self._node_name = access.node
        self._node_at = self._pods_at = 0.0
        self._has_answered = False
        self._ends: dict[str, End] = {}
        self._evicted: set[str] = set()
        self._began_ms = time.time() * 1000
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="bongsu-kubelet", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_soon(self) -> None:
        self._wake.set()

    def take(self) -> News:
        """What is known, with what happened since the call before."""
        with self._lock:
            news = News(dict(self._containers), self._removed, list(self._events), self._events_dropped)
            self._removed, self._events_dropped = [], 0
            self._events.clear()
        return news

    def close(self) -> None:
        """The thread ends within a few seconds; nobody waits for it."""
        self._stopping = True
        self._wake.set()
        self._api.abort()
        if self._server is not None:
            self._server.abort()

    def _run(self) -> None:
        lost_at = time.monotonic()
        while not self._stopping:
            try:
                self._ask()
                self.problem, self.is_connected = "", True
                lost_at = time.monotonic()
            except BadAnswer as error:
                self._fail(str(error))
            except _UNREADABLE as error:
                self._fail(f"answers what is not understood ({type(error).__name__}: {str(error)[:100]})")
            if time.monotonic() - lost_at > FORGET_SECONDS:
                self._forget()
            self._ask_for_node()
            self.answered.set()
            self._pause()
        self._api.close()
        if self._server is not None:
            self._server.close()

    def _pause(self) -> None:
        answered_at = time.monotonic()
        if self._wake.wait(ASK_SECONDS) and not self._stopping:
            self._wake.clear()
            left = LEAST_SECONDS - (time.monotonic() - answered_at)
            if left > 0 and self._wake.wait(left):
                self._wake.clear()

    def _fail(self, problem: str) -> None:
        self.errors += 1
        self.problem, self.is_connected = problem, False

    def _forget(self) -> None:
        with self._lock:
            self._removed = [*self._removed, *self._containers.values()][-MAX_CONTAINERS:]
            self._containers = {}
        self.samples, self.sums, self.pod_uids = {}, None, frozenset()

    def _ask(self) -> None:
        if time.monotonic() >= self._pods_at:
            try:
                body = self._api.get("/pods")
            except BadAnswer as error:
                if error.status != 403:
                    raise
                self.errors += 1
                self._pods_at = time.monotonic() + REFUSED_SECONDS
                self.gaps["pods"] = (
                    f"The kubelet {error}, so that requests, restarts and phases are unknown: grant it nodes/pods"
                )
            else:
                self.gaps.pop("pods", None)
                self._take_pods(body.decode(errors="replace"))
                del body
                self._ask_for_usage()
                return
        self._take_summary()

    def _ask_for_usage(self) -> None:
        """Of containers whose control groups cannot be seen."""
        seen = {id for ids in self.groups.values() for id in ids}
        if all(each.runtime_id in seen for each in self._containers.values() if each.state == "running"):
            self.samples = {}
            self.gaps.pop("usage", None)
            return
        try:
            _, self.samples = read_summary(json.loads(self._api.get(SUMMARY)), {})
            self.gaps.pop("usage", None)
        except BadAnswer as error:
            self.errors += 1
            self.gaps["usage"] = f"The kubelet {error}, and not all control groups can be seen: grant it nodes/stats"

    def _take_summary(self) -> None:
        """Names without states: pods may not be read."""
        found, samples = read_summary(json.loads(self._api.get(SUMMARY)), self.groups)
        self.samples, self.sums, self.pod_uids = samples, None, frozenset()
        with self._lock:
            known = self._containers
            self._containers = {each.id: each for each in found[:MAX_CONTAINERS]}
            self._removed += [each for id, each in known.items() if id not in self._containers]

    def _take_pods(self, text: str) -> None:
        now_ms = int(time.time() * 1000)
        pods: list[Pod] = []
        broken = ""
        for each in pods_of_list(text):
            try:
                pods.append(read_pod(each))
            except _UNREADABLE as error:  # one costs itself only
                broken = f"{type(error).__name__}: {str(error)[:100]}"
        if broken:
            self.errors += 1
            self.gaps["pod"] = f"The kubelet tells of a pod what is not understood ({broken})"
        else:
            self.gaps.pop("pod", None)
        self._node_name = self._node_name or next((pod.node for pod in pods if pod.node), "")
        # Those that have ended stay until somebody deletes them. What runs comes first.
        pods.sort(key=lambda pod: pod.has_ended)
        found: dict[str, Details] = {}
        for pod in pods:
            for details in pod.containers:
                old = self._containers.get(details.id)
                if len(found) < MAX_CONTAINERS:
                    found[details.id] = details = _settled(details, old, now_ms)
                    self._compare(pod, old, details, now_ms)
            if pod.is_evicted and pod.uid not in self._evicted and self._has_answered and pod.containers:
                self._tell(Happened(now_ms, "evicted", pod.containers[0]))
        self._evicted = {pod.uid for pod in pods if pod.is_evicted}
        self._leave(pods, found, now_ms)
        self._ends = {id: end for pod in pods for id, end in pod.ends.items()}
        living = [pod for pod in pods if not pod.has_ended]
        self.sums = PodSums(
            len(living),
            sum(pod.cpu_request_cores for pod in living),
            sum(pod.memory_request_bytes for pod in living),
        )
        self.pod_uids = frozenset(pod.uid for pod in pods)
        self._has_answered = True

    def _leave(self, pods: Sequence[Pod], found: dict[str, Details], now_ms: int) -> None:
        """Replaces what is known; those that are gone are told once more."""
        completed = {id for pod in pods for id in pod.completed}
        gone = []
        for id, details in self._containers.items():
            if id in found:
                continue
            if id in completed:  # an init container that has done its work
                details = details._replace(state="exited", reason="Completed", exit_code=0, health="")
            elif details.state:  # else only the summary had told of it
                self._tell(Happened(now_ms, "removed", details))
                if details.state != "exited":
                    details = details._replace(state="removing", health="")
            gone.append(details._replace(finished_ms=details.finished_ms or now_ms))
        with self._lock:
            self._containers = found
            self._removed = [*self._removed, *gone][-MAX_CONTAINERS:]

    def _compare(self, pod: Pod, old: Details | None, new: Details, now_ms: int) -> None:
        """Tells what has happened to a container since the answer before."""
        if not self._has_answered or (old is None and new.created_ms < self._began_ms):
            return
        end, known = pod.ends.get(new.id), self._ends.get(new.id)
        restarts = new.restarts - (max(0, old.restarts) if old is not None else 0)
        if end is not None and (known is None or known.key != end.key):
            at_ms = end.finished_ms or now_ms
            if end.reason == "OOMKilled":
                self._tell(Happened(at_ms, "oom_killed", new))
            failed = end.exit_code not in (0, 143) and not pod.is_leaving and not pod.is_evicted
            self._tell(Happened(at_ms, "exited", new, end.exit_code, failed))
        if restarts > 0:
            code = end.exit_code if end is not None else 0
            self._tell(Happened(max(new.started_ms, end.finished_ms if end else 0) or now_ms, "restarted", new, code))
        elif new.state == "running" and (old is None or old.state == "created"):
            self._tell(Happened(new.started_ms or now_ms, "started", new))
        if old is not None and old.health and new.health in ("healthy", "unhealthy") and new.health != old.health:
            self._tell(Happened(now_ms, new.health, new))

    def _tell(self, happened: Happened) -> None:
        with self._lock:
            if len(self._events) >= MAX_CONTAINER_EVENTS:
                self._events.popleft()
                self._events_dropped += 1
            self._events.append(happened)

    def _ask_for_node(self) -> None:
        """Without the right to it, allocatable resources and conditions are unknown."""
        if self._server is None or not self._node_name or time.monotonic() < self._node_at:
            return
        self._node_at = time.monotonic() + NODE_SECONDS
        path = f"/api/v1/nodes/{urllib.parse.quote(self._node_name, safe='')}"
        try:
            self.node = read_node(json.loads(self._server.get(path)))
            self.gaps.pop("node", None)
        except BadAnswer as error:
            self._lose_node(str(error), is_refused=error.status in (401, 403, 404))
        except _UNREADABLE as error:
            self._lose_node(f"answers what is not understood ({type(error).__name__})", is_refused=False)

    def _lose_node(self, problem: str, *, is_refused: bool) -> None:
        self.errors += 1
        self.gaps["node"] = f"The API server {problem}, so that conditions and capacity of the node are unknown"
        # What was told a minute ago says nothing about a node that is in trouble now.
        self.node = None
        if is_refused:
            self._node_at = time.monotonic() + REFUSED_SECONDS


def _settled(details: Details, old: Details | None, now_ms: int) -> Details:
    """A container that is not ready yet is no unhealthy one."""
    if details.health != "unhealthy" or (old is not None and old.health in ("healthy", "unhealthy")):
        return details
    is_young = now_ms - details.started_ms < STARTING_MS
    return details._replace(health="starting") if is_young else details
