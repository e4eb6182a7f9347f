"""Everything on one core, beside VictoriaMetrics on the same core, in turns.

API server and worker share core 0: ingest of one frame of 150 series a POST by ``--agents`` agents, each synced to disk
before its answer, while the worker seals, rolls up and evaluates the rules that come with Bongsu, and the live stream
is open to everybody. VictoriaMetrics gets requests of 500 samples by remote write, and InfluxDB's lines, from 32
senders; it writes to disk later. The best of ``--rounds`` counts for each.
"""

import os
import shutil
from collections.abc import Callable

from benchmarks import ingest, standards
from benchmarks.peers import VICTORIA_METRICS, running_victoria_metrics
from benchmarks.report import parser, report
from benchmarks.standards import Lines, Options


def _lines(options: Options) -> dict[str, float]:
    with running_victoria_metrics() as (port, pid):
        return standards.measured(port, pid, "", options, Lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--agents", type=int, default=64)
    arguments.add_argument("--rounds", type=int, default=3)
    chosen = arguments.parse_args()
    os.sched_setaffinity(0, {ingest.CLIENT_CORE})
    options = Options(32, chosen.seconds)
    runs: dict[str, Callable[[], dict[str, float]]] = {
        "bongsu": lambda: ingest.measure(chosen.agents, 1, chosen.seconds, role="all")
    }
    if shutil.which(VICTORIA_METRICS):
        runs["victoria_metrics_remote_write"] = lambda: standards.victoria_metrics(options)
        runs["victoria_metrics_lines"] = lambda: _lines(options)
    best: dict[str, dict[str, float]] = {}
    for _ in range(chosen.rounds):
        for name, run in runs.items():
            found = run()
            if name not in best or found["samples_per_second"] > best[name]["samples_per_second"]:
                best[name] = found
    figures = ("samples_per_second", "ack_p50_ms", "ack_p99_ms")
    results = {f"{name}.{figure}": found[figure] for name, found in best.items() for figure in figures}
    report("everything", results, as_json=chosen.json)


if __name__ == "__main__":
    main()
