"""Random series, and random questions about them, for two servers that speak PromQL and must agree.

Samples lie within the first half of a second, and questions look from half seconds back by whole ones: so no sample lies
on the edge of a range, where Prometheus 2 and 3 disagree.
"""

import json
import math
import random
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from tests.support.promql import stale
from tests.support.remote_write import Sample

INTERVAL_MS = 5_000
GAUGES = ("demo_memory_bytes", "demo_load", "demo_temperature_celsius", "demo_odd", "demo_batch_timestamp_seconds")
COUNTERS = ("demo_cpu_seconds_total", "demo_requests_total", "demo_latency_seconds_bucket")
LABELS = ("instance", "job", "type", "mode", "path", "le", "none")
INSTANCES = ("alpha:9100", "beta:9100", "gamma:9100")
BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 10, math.inf)
ODD = (math.nan, math.inf, -math.inf, 0.0, -1.5, 1e30, 1e-30)
TOLERANCE = 1e-5


def demo_samples(start_ms: int, end_ms: int, random_: random.Random) -> Iterator[list[Sample]]:
    """What three servers measure, scrape by scrape. Some counters start again, some series come and go."""
    totals: dict[tuple[object, ...], float] = {}

    def grown(key: tuple[object, ...], by: float) -> float:
        totals[key] = totals.get(key, 0.0) + by
        if random_.random() < 0.004:
            totals[key] = random_.random()
        return totals[key]

    for turn, time_ms in enumerate(range(start_ms - start_ms % 1000, end_ms, INTERVAL_MS)):
        found: list[Sample] = []
        for place, instance in enumerate(INSTANCES):
            if random_.random() < 0.02:
                continue  # a scrape that failed
            at_ms = time_ms + 1_000 * place + random_.randrange(1, 500)

            add = partial(_add, found, at_ms, instance)

            for step, kind in enumerate(("used", "free", "cached")):
                swing = math.sin(turn / 17 + step + place)
                add("demo_memory_bytes", 1e9 * (step + 1 + swing / 3) + random_.random(), type=kind)
            add("demo_load", random_.random() * (place + 1))
            add("demo_batch_timestamp_seconds", (time_ms - turn % 30 * 1000) / 1000 - place)
            if place or turn % 40 < 25:
                add("demo_temperature_celsius", 40 + random_.random() * 20)
            elif turn % 40 == 25:
                add("demo_temperature_celsius", stale())
            add("demo_odd", ODD[random_.randrange(len(ODD))])
            for mode in ("idle", "user", "system"):
                add("demo_cpu_seconds_total", grown((instance, mode), random_.random() * 3), mode=mode)
            for path in ("/", "/login"):
                add("demo_requests_total", grown((instance, path), random_.randrange(20)), path=path)
                below = 0.0
                for bound in BOUNDS:
                    totals[instance, path, bound] = totals.get((instance, path, bound), 0.0) + random_.randrange(5)
                    below += totals[instance, path, bound]
                    le = "+Inf" if math.isinf(bound) else f"{bound:g}"
                    add("demo_latency_seconds_bucket", below, path=path, le=le)
        yield found


def _add(found: list[Sample], at_ms: int, instance: str, metric: str, number: float, **labels: str) -> None:
    found.append(({"__name__": metric, "instance": instance, "job": "demo", **labels}, at_ms, number))


class Questions:
    """Makes questions: each a path of the API and its parameters."""

    def __init__(self, start_ms: int, end_ms: int, seed: int) -> None:
        self._start_s, self._end_s = start_ms // 1000, end_ms // 1000
        self._random = random.Random(seed)

    def __iter__(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Questions without end."""
        choice = self._random.choice
        while True:
            end_s = self._end_s - choice((60, 300, 900)) + 0.5
            if self._random.random() < 0.3:
                text = self._range() if self._random.random() < 0.1 else self.vector(2)
                yield "/api/v1/query", {"query": text, "time": f"{end_s:.3f}"}
            else:
                parameters = {"start": f"{end_s - choice((600, 1800)):.3f}", "end": f"{end_s:.3f}"}
                yield (
                    "/api/v1/query_range",
                    {"query": self.vector(choice((1, 2, 3))), "step": choice(("10", "15", "60"))} | parameters,
                )

    def vector(self, depth: int) -> str:
        """An expression with so many levels at most."""
        kinds = [self._leaf, self._of_range]
        if depth > 0:
            kinds += [
                self._of_range,
                self._aggregate,
                self._number,
                self._pair,
                self._set,
                self._function,
                self._labelled,
            ]
        return self._random.choice(kinds)(depth)

    def _choice(self, *texts: str) -> str:
        return self._random.choice(texts)

    def _selector(self, metrics: tuple[str, ...] = (*GAUGES, *COUNTERS)) -> str:
        return self._choice(*metrics) + self._choice(
            "", "", '{instance="beta:9100"}', '{instance=~"al.*|gamma:.+"}', '{type!="free"}', '{none="",le!~"0.*"}'
        )

    def _when(self) -> str:
        fixed = self._start_s + self._random.randrange(600, self._end_s - self._start_s)
        return self._choice(
            "", "", "", "", " offset 3m", " offset -20s", f" @ {fixed}.5", " @ end()", " @ start() offset 1m"
        )

    def _range(self, metrics: tuple[str, ...] = (*GAUGES, *COUNTERS)) -> str:
        return f"{self._selector(metrics)}[{self._choice('7s', '15s', '1m', '5m', '20m')}]{self._when()}"

    def _leaf(self, _depth: int = 0) -> str:
        return self._selector() + self._when()

    def _of_range(self, depth: int) -> str:
        function = self._choice(
            *("rate", "increase", "irate", "delta", "idelta", "avg_over_time", "sum_over_time", "min_over_time"),
            *("max_over_time", "count_over_time", "present_over_time", "last_over_time", "stddev_over_time"),
            *("quantile_over_time", "changes", "resets", "deriv", "predict_linear", "absent_over_time"),
        )
        counters = function in ("rate", "increase", "irate")
        of = self._range(COUNTERS if counters else (*GAUGES, *COUNTERS))
        if depth > 1 and self._random.random() < 0.3 and not counters:
            of = (
                f"({self.vector(depth - 1)})[{self._choice('1m', '5m')}:{self._choice('', '10s', '30s')}]{self._when()}"
            )
        before = f"{self._choice('0.3', '0.9', '-1', '1')}, " if function == "quantile_over_time" else ""
        after = ""
        if function == "predict_linear":  # with a fixed time, Prometheus 2.42 loses most steps
            of, after = of.partition(" @")[0], f", {self._choice('600', '-60')}"
        return f"{function}({before}{of}{after})"

    def _names(self) -> str:
        return ", ".join(self._random.sample(LABELS, self._random.randrange(4)))

    def _aggregate(self, depth: int) -> str:
        grouping = f"{self._choice('by', 'without')} ({self._names()})"
        if self._random.random() < 0.2:
            return f"{self._choice('topk', 'bottomk')} {grouping} ({self._choice('1', '2', '5')}, demo_load)"
        if self._random.random() < 0.2:
            return f"quantile {grouping} ({self._choice('0.2', '0.95', '-1')}, {self.vector(depth - 1)})"
        operator = self._choice("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")
        return f"{operator} {grouping} ({self.vector(depth - 1)})"

    def _number(self, depth: int) -> str:
        number = self._choice("1", "2.5", "-3", "0", "Inf", "time()", "pi()", "scalar(demo_load{instance='beta:9100'})")
        operator = self._choice("+", "-", "*", "/", "%", "^", "==", "!=", ">", "<=", "> bool")
        pair = [f"({self.vector(depth - 1)})", number]
        self._random.shuffle(pair)
        return f" {operator} ".join(pair)

    def _matching(self) -> str:
        return self._choice("", f" on ({self._names()})", f" ignoring ({self._names()})")

    def _pair(self, depth: int) -> str:
        matching = self._matching()
        if matching:
            matching += self._choice("", "", " group_left", " group_right", f" group_left ({self._names()})")
        operator = self._choice("+", "-", "/", "==", ">", "!= bool")
        return f"({self.vector(depth - 1)}) {operator}{matching} ({self.vector(depth - 1)})"

    def _set(self, depth: int) -> str:
        operator = self._choice("and", "or", "unless")
        return f"({self.vector(depth - 1)}) {operator}{self._matching()} ({self.vector(depth - 1)})"

    def _function(self, depth: int) -> str:
        inner = self.vector(depth - 1)
        share = self._choice("0.5", "0.99", "-1", "0")
        return self._choice(
            f"{self._choice('abs', 'ceil', 'floor', 'exp', 'sqrt', 'ln', 'log2', 'log10', 'sgn', 'atan', 'sin')}({inner})",
            f"{self._choice('hour', 'minute', 'day_of_week', 'month', 'year')}(demo_batch_timestamp_seconds)",
            f"timestamp({inner})",
            f"absent({inner})",
            f"clamp({inner}, -2, 100)",
            f"clamp_max(clamp_min({inner}, 3), 1e9)",
            f"round({inner}, {self._choice('1', '0.1', '7')})",
            f"-({inner})",
            f"histogram_quantile({share}, rate(demo_latency_seconds_bucket[5m]))",
            f"histogram_quantile({share}, sum by (le, instance) (increase(demo_latency_seconds_bucket[1m])))",
            f'count_values("value", round({inner}))',
        )

    def _labelled(self, depth: int) -> str:
        inner = self.vector(depth - 1)
        return self._choice(
            f'label_replace({inner}, "{self._choice("new", "type")}", "x-$1", "{self._choice(*LABELS)}", "(.*):9100")',
            f'label_join({inner}, "joined", "-", "instance", "type")',
        )


Result = Mapping[str, list[tuple[float, str]]]


def result_of(answer: Mapping[str, Any]) -> Result:
    """Series as text -> (time, number) pairs."""
    data = answer["data"]
    if data["resultType"] in ("scalar", "string"):
        return {"": [tuple(data["result"])]}
    return {
        json.dumps(row["metric"], sort_keys=True): [tuple(pair) for pair in row.get("values") or [row["value"]]]
        for row in data["result"]
    }


def difference(mine: Result, theirs: Result) -> str:
    """Where two results differ; empty: they agree."""
    if mine.keys() != theirs.keys():
        return f"only mine: {sorted(mine.keys() - theirs.keys())[:3]}; only theirs: {sorted(theirs.keys() - mine.keys())[:3]}"
    for series, points in theirs.items():
        if [round(time_s, 3) for time_s, _ in mine[series]] != [round(time_s, 3) for time_s, _ in points]:
            return f"{series} has other times: {len(mine[series])} instead of {len(points)}"
        for (time_s, number), (_, wanted) in zip(mine[series], points, strict=True):
            if not _close(float(number), float(wanted)):
                return f"{series} at {time_s} is {number} instead of {wanted}"
    return ""


def _close(mine: float, theirs: float) -> bool:
    if math.isnan(mine) or math.isnan(theirs):
        return math.isnan(mine) and math.isnan(theirs)
    # Of differences between equal numbers, only what was lost by rounding is left.
    return mine == theirs or math.isclose(mine, theirs, rel_tol=TOLERANCE, abs_tol=1e-6)
