"""``bongsu agent once``: takes two samples a second apart and prints what the agent would send."""

import sys
import time
from collections.abc import Mapping

from bongsu.agent.collectors.base import Reading
from bongsu.agent.commands.once_output import RatedReadings, as_json, as_prometheus, as_table
from bongsu.agent.config import load
from bongsu.agent.sampling.runner import CollectorRunner, RunningCollector
from bongsu.agent.wiring import make_collectors, make_target_collectors

# Long enough for a meaningful usage, short enough to wait for.
SAMPLE_SECONDS = 1.0
COLLECTOR_TIMEOUT_SECONDS = 10.0
_FORMATS = {"table": as_table, "json": as_json, "prometheus": as_prometheus}


def once(file: str, flags: Mapping[str, str], *, format: str) -> int:
    """1 if a collector failed."""
    config = load(file=file, flags=flags)
    # a dict, to print each problem once and in order
    problems: dict[str, None] = {}

    def report_problem(topic: str, problem: str) -> None:
        problems[problem] = None

    collectors = [collector for collector, _ in make_collectors(config, report_problem)]
    collectors += make_target_collectors(config)
    runner = CollectorRunner()
    running = [RunningCollector(collector, COLLECTOR_TIMEOUT_SECONDS) for collector in collectors]

    def sample() -> list[Reading]:
        readings = []
        for result in runner.run(running):
            readings += result.readings
            if result.error:
                report_problem("", f"collector {result.running.name}: {result.error}")
        return readings

    previous, started_at = sample(), time.monotonic()
    time.sleep(SAMPLE_SECONDS)
    current, elapsed = sample(), time.monotonic() - started_at
    runner.stop()
    for collector in collectors:
        collector.close()
    print(_FORMATS[format](RatedReadings(previous, current, elapsed, collectors)))
    for problem in problems:
        print(f"bongsu agent: {problem}", file=sys.stderr)
    return 1 if problems else 0
