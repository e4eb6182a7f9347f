"""An agent that a test drives: the real scheduler, sender and disk buffer, with a clock that moves when told.

``python -m tests.support.driven_agent FOLDER URL START_MS TOKEN`` reads commands from standard input: ``tick N`` samples
until there are N frames, 10 s apart; ``step SECONDS`` sets the clock; ``status`` prints ``S`` and the counters as JSON; ``stop`` ends. It
prints ``F`` and the time of each frame once it has been handed over for sending.
"""

import json
import sys
from dataclasses import replace

from bongsu.agent.defaults import BUFFER_AGE_MS, BUFFER_BYTES, INTERVAL_MS
from bongsu.agent.delivery.backlog import Backlog
from bongsu.agent.delivery.sender import Sender
from bongsu.agent.delivery.transport import Transport
from bongsu.agent.sampling.scheduler import Scheduler
from bongsu.agent.stats import Stats
from bongsu.core.samples import AgentIdentity, HostFacts, Push
from bongsu.wire.outcome import Outcome
from tests.support.agent_day import Ramp
from tests.support.agent_fakes import FakeLog, fake_ps
from tests.support.clock import FakeClock

AGENT_ID = "agent-with-faults"


class HastyTransport(Transport):
    """Waits a second where the API server asks for more, as it does for 30 s when its disk is full."""

    def send(self, push: Push) -> Outcome:
        outcome = super().send(push)
        if outcome.retry_after_seconds is None:
            return outcome
        return replace(outcome, retry_after_seconds=min(outcome.retry_after_seconds, 1.0))


def main(folder: str, url: str, start_ms: int, token: str) -> None:
    clock, log, stats = FakeClock(start_ms), FakeLog(), Stats()
    backlog = Backlog(folder, max_bytes=BUFFER_BYTES, max_age_ms=BUFFER_AGE_MS, clock=clock, log=log)
    sender = Sender(
        HastyTransport([url], token=token, timeout_seconds=2.0),
        backlog,
        identity=AgentIdentity(AGENT_ID, "faults", "", INTERVAL_MS),
        facts=HostFacts,
        stats=stats,
        log=log,
        replay_rate=100_000,
        random=lambda: 0.01,
    )
    sender.start()

    def sink(frame, layout):
        sender.put(frame, layout)
        print("F", frame.time_ms, flush=True)
        commands.ticks -= 1

    class Commands:
        ticks = 0

        def wait(self, seconds):
            while self.ticks <= 0:
                word, _, number = sys.stdin.readline().strip().partition(" ")
                match word:
                    case "tick":
                        self.ticks = int(number)
                    case "step":
                        clock.step(float(number))
                    case "status":
                        counters = {
                            name: getattr(stats, name)
                            for name in ("dropped_frames", "rejected_frames", "failed_requests")
                        }
                        counters |= {
                            "queue": stats.queue_frames,
                            "up": stats.server_up,
                            "error": stats.last_error,
                            "now_ms": clock.now_ms(),
                        }
                        print("S", json.dumps(counters), flush=True)
                    case _:
                        return True
            clock.advance(seconds)
            return False

    commands = Commands()
    Scheduler(
        [(Ramp(fake_ps()), 0)],
        interval_ms=INTERVAL_MS,
        sink=sink,
        log=log,
        stats=stats,
        clock=clock,
        boot_clock=clock.monotonic,
    ).run(commands)
    sender.stop(2.0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
