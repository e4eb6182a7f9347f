"""The PromQL compliance score: Prometheus' own tester asks a Prometheus and Bongsu, which have the same samples.

Needs the tester (``promql/cmd/promql-compliance-tester`` of github.com/prometheus/compliance, built with Go), its
``promql-test-queries.yml``, and a Prometheus, best of version 3: older ones count a sample on the left edge of a range.
Queries that have to fail, but that this Prometheus answers, are asked apart: the tester would end there.
"""

import math
import os
import random
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import yaml

from benchmarks.access import ENVIRONMENT, make_standard_tokens
from benchmarks.ingest import running_server
from benchmarks.peers import PROMETHEUS, empty_folder, running_prometheus
from benchmarks.report import parser, report
from benchmarks.written import WRITE_HEADERS, Sample, request, wait_until_readable

INSTANCES = tuple(f"demo.promlabs.com:{port}" for port in (10000, 10001, 10002))
SPAN_MS = 9_000_000
INTERVAL_MS = 5_000
BOUNDS = ("0.0001", "0.00015", "0.000225", "0.005", "0.01", "0.1", "1", "+Inf")
# The tester looks at ten minutes; the samples reach further on both sides, for offsets into either direction.
BEFORE_END_S, RANGE_S, STEP_S = 700, 600, 10
_TOTAL = re.compile(r"Total: (\d+) / (\d+)")


def demo(end_ms: int) -> Iterator[list[Sample]]:
    """The metrics that the queries are about, scrape by scrape; the values are random."""
    random_, totals = random.Random(1), dict[object, float]()

    def grown(key: object, by: float) -> float:
        totals[key] = random_.random() if random_.random() < 0.0015 else totals.get(key, 0.0) + by
        return totals[key]

    for turn, time_ms in enumerate(range(end_ms - SPAN_MS, end_ms, INTERVAL_MS)):
        found: list[Sample] = []
        for place, instance in enumerate(INSTANCES):
            at_ms = time_ms + 1_700 * place + random_.randrange(40)
            for metric, value, labels in _scraped(instance, place, turn, at_ms, random_, grown):
                named = {"__name__": metric, "instance": instance, "job": "demo"} | labels
                found.append((named, at_ms, value))
        yield found


def _scraped(
    instance: str, place: int, turn: int, at_ms: int, random_: random.Random, grown: Callable[[object, float], float]
) -> Iterator[tuple[str, float, dict[str, str]]]:
    for step, kind in enumerate(("used", "free", "buffers", "cached")):
        swing = math.sin(turn / 37 + step + place)
        yield "demo_memory_usage_bytes", 1e9 * (step + 1) + 5e8 * swing + random_.random() * 1e6, {"type": kind}
    for mode in ("idle", "user", "system"):
        yield "demo_cpu_usage_seconds_total", grown((instance, mode), random_.random() * 3), {"mode": mode}
    yield "demo_num_cpus", 4.0 + place, {}
    yield "demo_disk_usage_bytes", 2e9 + turn * 1e5 * (place + 1) + random_.random() * 1e5, {}
    yield "demo_disk_total_bytes", 8e9, {}
    yield "demo_batch_last_success_timestamp_seconds", (at_ms - turn % 60 * INTERVAL_MS) / 1000, {}
    if turn % 40 < 25:
        yield "demo_intermittent_metric", 1.0, {}
    for method in ("GET", "POST"):
        for path, status in (("/api/foo", "200"), ("/api/bar", "200"), ("/api/nonexistent", "404")):
            labels = {"method": method, "path": path, "status": status}
            below = 0.0
            for bound in BOUNDS:
                below += random_.randrange(5)
                total = grown((instance, method, path, bound), below)
                yield "demo_api_request_duration_seconds_bucket", total, labels | {"le": bound}
            yield "demo_api_request_duration_seconds_count", total, labels
            yield "demo_api_request_duration_seconds_sum", total / 100, labels


def _write(urls: dict[str, str], end_ms: int) -> None:
    with httpx.Client(timeout=60) as client:
        for scrape in demo(end_ms):
            body = request(scrape)
            for url, token in urls.items():
                headers = WRITE_HEADERS | ({"Authorization": f"Bearer {token}"} if token else {})
                client.post(f"{url}/api/v1/write", content=body, headers=headers).raise_for_status()


def _fails(url: str, query: str, at_s: float, headers: dict[str, str]) -> bool:
    form = {"query": query, "time": f"{at_s:.3f}"}
    return httpx.post(f"{url}/api/v1/query", data=form, headers=headers, timeout=60).status_code >= 400


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--tester", required=True, help="the promql-compliance-tester")
    arguments.add_argument("--queries", required=True, help="its promql-test-queries.yml")
    arguments.add_argument("--reference", default=PROMETHEUS, help="the Prometheus to compare with")
    chosen = arguments.parse_args()
    end_ms = int(time.time() * 1000)
    at_s = end_ms / 1000 - BEFORE_END_S
    os.environ.update(ENVIRONMENT)
    with empty_folder() as folder:
        (folder / "bongsu").mkdir()
        writer, viewer = make_standard_tokens(folder / "bongsu")
        with (
            running_server(folder / "bongsu", role="all") as (port, _),
            running_prometheus(chosen.reference) as (other, _),
        ):
            mine, reference = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{other}"
            _write({mine: writer, reference: ""}, end_ms)
            headers = {"Authorization": f"Bearer {viewer}"}
            with httpx.Client(base_url=mine, timeout=60) as client:
                wait_until_readable(client, "count(demo_num_cpus)", len(INSTANCES), end_ms - INTERVAL_MS, headers)
            cases = yaml.safe_load(Path(chosen.queries).read_text())["test_cases"]
            apart = [
                case["query"]
                for case in cases
                if case.get("should_fail") and not _fails(reference, case["query"], at_s, {})
            ]
            config = {
                "reference_target_config": {"query_url": reference},
                "test_target_config": {"query_url": mine, "headers": headers},
                "query_time_parameters": {
                    "end_time": f"{at_s:.3f}",
                    "range_in_seconds": RANGE_S,
                    "resolution_in_seconds": STEP_S,
                },
                "query_tweaks": [],
                "test_cases": [case for case in cases if case["query"] not in apart],
            }
            file = folder / "compliance.yml"
            file.write_text(yaml.safe_dump(config, sort_keys=False))
            words = [chosen.tester, "-config-file", str(file), "-query-parallelism", "2", "-output-format", "text"]
            told = subprocess.run(words, capture_output=True, text=True, timeout=900)
            total = _TOTAL.search(told.stdout)
            if total is None:
                raise RuntimeError(f"the tester failed: {told.stderr[-500:]}")
            failing = sum(_fails(mine, query, at_s, headers) for query in apart)
    passed, asked = int(total[1]), int(total[2])
    if passed < asked and not chosen.json:
        print(told.stdout)
    results = {
        "passed": float(passed + failing),
        "queries": float(asked + len(apart)),
        "score_percent": 100 * (passed + failing) / (asked + len(apart)),
        "not_compared": float(len(apart)),
    }
    report("compliance", results, as_json=chosen.json)


if __name__ == "__main__":
    main()
