"""The commands that a person waits for."""

import sys
import time
from collections.abc import Mapping

from bongsu.agent.collectors.base import Reading
from bongsu.agent.commands import once_output as output
from bongsu.agent.config import load
from bongsu.agent.sampling.runner import Job, Worker
from bongsu.agent.wiring import NAMES, close, collectors

# Long enough for a usage that means something, short enough to wait for.
SAMPLE_SECONDS = 1.0


def once(file: str, flags: Mapping[str, str], *, form: str) -> int:
    """Two samples a second apart, printed. 1 when a collector failed."""
    config = load(NAMES, file=file, flags=flags)
    problems: list[str] = []

    def note(topic: str, problem: str) -> None:
        if problem not in problems:
            problems.append(problem)

    wanted = [collector for collector, _ in collectors(config, note, note)]
    worker = Worker()
    jobs = [Job(collector, timeout_seconds=10.0) for collector in wanted]

    def sample() -> list[Reading]:
        readings = []
        for result in worker.run(jobs):
            readings += result.readings
            if result.error:
                note("", f"collector {result.job.collector.name}: {result.error}")
        return readings

    before, started = sample(), time.monotonic()
    time.sleep(SAMPLE_SECONDS)
    now, passed = sample(), time.monotonic() - started
    worker.stop()
    close(wanted)
    snapshot = output.Snapshot(before, now, passed, wanted)
    show = {"table": output.as_table, "json": output.as_json, "prometheus": output.as_prometheus}[form]
    print(show(snapshot))
    for problem in problems:
        print(f"bongsu agent: {problem}", file=sys.stderr)
    return 1 if problems else 0
