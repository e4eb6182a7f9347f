"""PromQL beside Prometheus and VictoriaMetrics: the same samples and the same queries, on the same core, in one run.

An hour of 1,000 counters, a sample every 15 s, of 10 targets with 100 each, and of 1,000 targets with one each. Each
query is asked over that hour with a step of 15 s, ``--times`` times; the median counts, the answer read to its end.
VictoriaMetrics may remember answers, so each has its own end. Peers that are not installed are left out.
"""

import os
import random
import shutil
import statistics
import time
from collections.abc import Iterator, Mapping

import httpx

from benchmarks.access import ENVIRONMENT, make_standard_tokens
from benchmarks.ingest import CLIENT_CORE, running_server
from benchmarks.peers import PROMETHEUS, VICTORIA_METRICS, empty_folder, running_prometheus, running_victoria_metrics
from benchmarks.report import parser, report
from benchmarks.written import WRITE_HEADERS, request, wait_until_readable

TARGETS = (10, 1_000)
SERIES = 1_000
INTERVAL_MS = 15_000
HOUR_MS = 3_600_000
# What a query looks back before its first step.
BEFORE_MS = 300_000
QUERIES = {
    "rate": "rate({metric}[5m])",
    "sum_by_rate": "sum by (instance) (rate({metric}[5m]))",
    "sum_rate": "sum(rate({metric}[5m]))",
    "instant": "{metric}",
    "quantile": "quantile_over_time(0.9, {metric}[5m])",
}


def _metric(targets: int) -> str:
    return f"bench_{targets}_total"


def _samples(targets: int, end_ms: int) -> Iterator[bytes]:
    """The requests, one for each scrape of all targets."""
    random_, totals = random.Random(targets), [0.0] * SERIES
    each = SERIES // targets
    for time_ms in range(end_ms - HOUR_MS - BEFORE_MS, end_ms, INTERVAL_MS):
        found = []
        for index in range(SERIES):
            totals[index] += random_.randrange(50)
            labels = {"__name__": _metric(targets), "job": "bench", "cpu": str(index % each)}
            labels["instance"] = f"bench-{targets}-{index // each}.example.com:9100"
            found.append((labels, time_ms + index // each, totals[index]))
        yield request(found)


def _measured(port: int, writer: str, reader: str, end_ms: int, times: int) -> dict[str, float]:
    url = f"http://127.0.0.1:{port}"
    results = {}
    with httpx.Client(base_url=url, timeout=120) as client:
        for targets in TARGETS:
            for body in _samples(targets, end_ms):
                headers = WRITE_HEADERS | _authorization(writer)
                client.post("/api/v1/write", content=body, headers=headers).raise_for_status()
        wait_until_readable(client, f"count({_metric(TARGETS[-1])})", SERIES, end_ms, _authorization(reader))
        for targets in TARGETS:
            for name, query in QUERIES.items():
                text = query.format(metric=_metric(targets))
                took = [_asked(client, text, end_ms + turn, reader) for turn in range(times)]
                results[f"{targets}_targets.{name}_ms"] = statistics.median(took) * 1000
    return results


def _asked(client: httpx.Client, query: str, end_ms: int, reader: str) -> float:
    form = {"query": query, "start": f"{(end_ms - HOUR_MS) / 1000:.3f}", "end": f"{end_ms / 1000:.3f}", "step": "15"}
    began = time.perf_counter()
    answer = client.post("/api/v1/query_range", data=form, headers=_authorization(reader))
    took = time.perf_counter() - began
    if answer.status_code != 200 or not answer.json()["data"]["result"]:
        raise RuntimeError(f"{query}: {answer.text[:200]}")
    return took


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def bongsu(end_ms: int, times: int) -> Mapping[str, float]:
    """One run on an empty database, with the worker on the same core."""
    with empty_folder() as folder:
        writer, reader = make_standard_tokens(folder)
        os.environ.update(ENVIRONMENT)
        with running_server(folder, role="all") as (port, _):
            return _measured(port, writer, reader, end_ms, times)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--times", type=int, default=9)
    arguments.add_argument("--prometheus", default=PROMETHEUS, help="the program, if not the one that is installed")
    chosen = arguments.parse_args()
    os.sched_setaffinity(0, {CLIENT_CORE})
    end_ms = int(time.time() * 1000)
    runs = {"bongsu": bongsu(end_ms, chosen.times)}
    if shutil.which(chosen.prometheus):
        with running_prometheus(chosen.prometheus) as (port, _):
            runs["prometheus"] = _measured(port, "", "", end_ms, chosen.times)
    if shutil.which(VICTORIA_METRICS):
        with running_victoria_metrics() as (port, _):
            runs["victoria_metrics"] = _measured(port, "", "", end_ms, chosen.times)
    results = {f"{name}.{figure}": value for name, run in runs.items() for figure, value in run.items()}
    report("promql", results, as_json=chosen.json)


if __name__ == "__main__":
    main()
