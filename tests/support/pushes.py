"""Builds pushes like those of an agent."""

import math
from collections.abc import Iterable, Sequence

from bongsu.core.samples import AgentIdentity, Frame, HostFacts, Push, pack
from bongsu.core.series import Kind, Layout, Series

CPU = Series("cpu_usage_ratio", (), "ratio", Kind.GAUGE)
MEMORY = Series("memory_used_bytes", (), "bytes", Kind.GAUGE)
RECEIVED = Series("network_receive_bytes_total", (("interface", "eth0"),), "bytes", Kind.COUNTER)
LAYOUT = Layout.of((CPU, MEMORY, RECEIVED))
HOST = HostFacts("web-1.example", "Debian 12", "6.1.0", "x86_64", "EPYC", 2, 8 << 30, 1_700_000_000_000)


def an_agent(name: str = "web-1", interval_ms: int = 10_000) -> AgentIdentity:
    """An agent whose id follows from its name."""
    return AgentIdentity(f"agent-{name}", name, "0.1.0", interval_ms)


def a_frame(time_ms: int, values: Iterable[float] = (0.5, 1024.0, 100.0), layout: Layout = LAYOUT) -> Frame:
    """A frame of LAYOUT."""
    return Frame(layout.id, time_ms, pack(values))


def a_push(
    frames: Sequence[Frame] = (),
    *,
    name: str = "web-1",
    layouts: Sequence[Layout] = (LAYOUT,),
    host: HostFacts | None = HOST,
    interval_ms: int = 10_000,
) -> Push:
    """A push of frames of LAYOUT, and the layout itself."""
    return Push(an_agent(name, interval_ms), host, list(layouts), list(frames))


def a_ramp(start_ms: int, count: int, step_ms: int = 10_000) -> list[Frame]:
    """CPU is a sine, memory grows by 1 KiB per frame, received bytes by 1,000 per second."""
    return [
        a_frame(
            start_ms + index * step_ms,
            (0.5 + 0.4 * math.sin(index / 10), 1024.0 * index, index * step_ms / 1000 * 1000.0),
        )
        for index in range(count)
    ]
