"""A day of an agent in seconds: the real scheduler, sender and disk buffer, with a clock that does not wait.

``python -m tests.support.agent_day FOLDER URL START_MS END_MS TOKEN``: prints the time of each sampled frame,
then ``day over``, and sends until standard input closes.
"""

import sys

from bongsu.agent.collectors.base import Collector, Gauge, Reading
from bongsu.agent.defaults import BUFFER_AGE_MS, BUFFER_BYTES, INTERVAL_MS
from bongsu.agent.delivery.backlog import Backlog
from bongsu.agent.delivery.sender import Sender
from bongsu.agent.delivery.transport import Transport
from bongsu.agent.sampling.scheduler import Scheduler
from bongsu.agent.stats import Stats
from bongsu.core.samples import AgentIdentity, HostFacts
from tests.support.agent_fakes import FakeLog, fake_ps
from tests.support.clock import FakeClock

AGENT_ID = "agent-of-a-day"


class Ramp(Collector):
    """150 gauges with constant values."""

    name = "ramp"
    metrics = tuple(Gauge(f"ramp_{number}", ".") for number in range(150))

    def collect(self):
        for number in range(150):
            yield Reading(f"ramp_{number}", number)


def main(folder: str, url: str, start_ms: int, end_ms: int, token: str) -> None:
    clock, log, stats = FakeClock(start_ms), FakeLog(), Stats()
    backlog = Backlog(folder, max_bytes=BUFFER_BYTES, max_age_ms=BUFFER_AGE_MS, clock=clock, log=log)
    sender = Sender(
        Transport([url], token=token),
        backlog,
        identity=AgentIdentity(AGENT_ID, "name", "", INTERVAL_MS),
        facts=HostFacts,
        stats=stats,
        log=log,
        random=lambda: 0.01,
    )
    sender.start()

    def sink(frame, layout):
        sender.put(frame, layout)
        print(frame.time_ms, flush=True)

    class Ticks:
        def wait(self, seconds):
            clock.advance(seconds)
            return clock.now_ms() > end_ms

    Scheduler(
        [(Ramp(fake_ps()), 0)],
        interval_ms=INTERVAL_MS,
        sink=sink,
        log=log,
        stats=stats,
        clock=clock,
        boot_clock=clock.monotonic,
    ).run(Ticks())
    print("day over", flush=True)
    sys.stdin.read()
    sender.stop(2.0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
