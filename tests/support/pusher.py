"""An agent whose frames the test makes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import httpx

from bongsu.core.samples import Container, ContainerEvent, ContainerList, Push
from bongsu.core.series import Kind, Layout, Series
from bongsu.wire import protobuf
from tests.support.processes import enrolled, logged_in
from tests.support.pushes import a_frame, a_push

AGENT = "agent-web-1"
LAYOUT = Layout.of((Series("cpu_usage_ratio", (), "ratio", Kind.GAUGE),))


class Pusher:
    """Pushes one frame at a time, one second of agent time after the other. ``url`` may change between pushes."""

    def __init__(self, url: str) -> None:
        self.url = url
        with logged_in(url) as client:
            now_ms: int = client.get("/api/health").raise_for_status().json()["time_ms"]
        self._times: Iterator[int] = iter(range(now_ms, now_ms + 600_000, 1_000))
        self._headers = {
            "Authorization": f"Bearer {enrolled(url, AGENT)[AGENT]}",
            "Content-Type": protobuf.CONTENT_TYPE,
        }

    def push(self, percent: int = 50, *, version: str = "0.1.0") -> None:
        """A frame with this CPU usage, from an agent of this version."""
        push = a_push([a_frame(next(self._times), (percent / 100,), LAYOUT)], layouts=[LAYOUT], interval_ms=1_000)
        self._send(replace(push, agent=replace(push.agent, version=version)))

    def push_containers(self, containers: list[Container], events: Sequence[ContainerEvent] = ()) -> None:
        """A list of containers, and a frame with what one of them uses. The events happen at the time of the list."""
        time_ms = next(self._times)
        series = [
            Series("container_cpu_usage_ratio", (("container", containers[0].name),), "ratio", Kind.GAUGE),
            Series("workload_containers", (("workload", containers[0].workload),), "", Kind.GAUGE),
        ]
        layout = Layout.of(tuple(series))
        push = a_push([a_frame(time_ms, (containers[0].cpu_ratio, 1.0), layout)], layouts=[layout], interval_ms=1_000)
        told = [event._replace(time_ms=time_ms) for event in events]
        self._send(replace(push, container_lists=[ContainerList(time_ms, containers, told)]))

    def _send(self, push: Push) -> None:
        body = protobuf.encode_push(push)
        httpx.post(f"{self.url}/api/metrics", content=body, headers=self._headers, timeout=60).raise_for_status()
