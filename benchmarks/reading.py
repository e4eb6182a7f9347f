"""Reading history beside VictoriaMetrics: the same samples and ranges, on the same core, over HTTP, in one run.

``--servers`` servers x ``--days`` days of 150 series every 10 s, ending now. Bongsu chooses the step of each range; its
points say the average, the smallest and the largest sample of each step, those of VictoriaMetrics one sample. The
kinds of question take turns, and so do the two; each question has its own end, and VictoriaMetrics is told not to
remember.
"""

import http.client
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlencode

import cramjam
import numpy as np

from benchmarks.access import agent, make_tokens
from benchmarks.archive import INTERVAL_MS, make
from benchmarks.ingest import CLIENT_CORE, running_server
from benchmarks.peers import VICTORIA_METRICS, empty_folder, running_victoria_metrics
from benchmarks.report import parser, report
from benchmarks.written import WRITE_HEADERS
from bongsu.core.units import DAY_MS, HOUR_MS
from bongsu.simulator import capture
from bongsu.wire.remote_write import encode_labels

# CPU, which changes with every sample.
POSITION = 20
SAMPLES_PER_REQUEST = 4_000
RANGES = {"1_series_1_hour": HOUR_MS, "1_series_24_hours": DAY_MS, "1_series_7_days": 7 * DAY_MS}
FLEET = "average_of_all_24_hours"


@dataclass(slots=True)
class Asker:
    """One keep-alive connection."""

    connection: http.client.HTTPConnection
    headers: dict[str, str]

    def get(self, path: str, parameters: dict[str, object], known: str = "") -> tuple[float, bytes, str]:
        """Milliseconds until the answer was read, its body and its tag."""
        headers = self.headers | ({"If-None-Match": known} if known else {})
        began = time.perf_counter()
        self.connection.request("GET", f"{path}?{urlencode(parameters, doseq=True)}", headers=headers)
        response = self.connection.getresponse()
        body = response.read()
        took = (time.perf_counter() - began) * 1000
        if response.status not in (200, 304):
            raise RuntimeError(f"{path}: {response.status} {body[:300]!r}")
        return took, body, response.headers.get("ETag", "")


def _asker(port: int, token: str = "") -> Asker:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    return Asker(connection, {"Authorization": f"Bearer {token}"} if token else {})


def _bodies(servers: int, days: float, now_ms: int) -> Iterator[bytes]:
    """What ``archive.make`` has written, as requests of remote write."""
    start_ms = (now_ms - int(days * DAY_MS)) // INTERVAL_MS * INTERVAL_MS
    count = (now_ms // INTERVAL_MS * INTERVAL_MS - start_ms) // INTERVAL_MS
    times = start_ms + np.arange(count, dtype=np.int64) * INTERVAL_MS
    # Tag and length of a sample, tag and value, tag and time of six bytes.
    packed = np.zeros((count, 18), np.uint8)
    packed[:, 0], packed[:, 1], packed[:, 2], packed[:, 11] = 0x12, 16, 0x09, 0x10
    for place in range(6):
        packed[:, 12 + place] = (times >> 7 * place) & 0x7F | (0x80 if place < 5 else 0)
    for number in range(servers):
        values = capture.rows(count, number * 37)
        for position, series in enumerate(capture.layout().series):
            labels = {"__name__": series.metric, "instance": agent(number, 0).name} | dict(series.labels)
            key = encode_labels(sorted(labels.items()))
            packed[:, 3:11] = np.ascontiguousarray(values[:, position]).view(np.uint8).reshape(-1, 8)
            for first in range(0, count, SAMPLES_PER_REQUEST):
                entry = key + packed[first : first + SAMPLES_PER_REQUEST].tobytes()
                yield b"\n" + _varint(len(entry)) + entry


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _fill_peer(port: int, servers: int, days: float, now_ms: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for body in _bodies(servers, days, now_ms):
        connection.request("POST", "/api/v1/write", bytes(cramjam.snappy.compress_raw(body)), WRITE_HEADERS)
        response = connection.getresponse()
        response.read()
        if response.status != 204:
            raise RuntimeError(f"VictoriaMetrics refused samples: {response.status}")
    connection.request("GET", "/internal/force_flush")
    connection.getresponse().read()


def _asked_bongsu(asker: Asker, kind: str, end_ms: int, server: int) -> tuple[float, int]:
    """Milliseconds, and the step of the answer."""
    series = capture.layout().series[POSITION]
    parameters: dict[str, object] = {"metric": series.metric, "end": end_ms}
    parameters["labels"] = [f"{name}={text}" for name, text in series.labels]
    if kind == FLEET:
        parameters |= {"start": end_ms - DAY_MS, "across": "avg"}
    else:
        parameters |= {"start": end_ms - RANGES[kind], "server": server}
    took, body, tag = asker.get("/api/metrics/history", parameters)
    answer = json.loads(body)
    if not answer["series"] or answer["missing"]:
        raise RuntimeError(f"{kind}: no answer")
    if kind != FLEET and asker.get("/api/metrics/history", parameters, tag)[1]:
        raise RuntimeError(f"{kind}: the same question has another answer")
    return took, answer["step_ms"] or INTERVAL_MS


def _asked_peer(asker: Asker, kind: str, end_ms: int, server: int, step_ms: int) -> float:
    series = capture.layout().series[POSITION]
    labels = [f'{name}="{text}"' for name, text in series.labels]
    if kind != FLEET:
        labels.append(f'instance="{agent(server - 1, 0).name}"')
    query = f"{series.metric}{{{','.join(labels)}}}"
    length_ms = DAY_MS if kind == FLEET else RANGES[kind]
    parameters: dict[str, object] = {
        "query": f"avg({query})" if kind == FLEET else query,
        "start": (end_ms - length_ms) / 1000,
        "end": end_ms / 1000,
        "step": step_ms / 1000,
        "nocache": 1,
    }
    took, body, _ = asker.get("/api/v1/query_range", parameters)
    if not json.loads(body)["data"]["result"]:
        raise RuntimeError(f"{kind}: no answer of VictoriaMetrics")
    return took


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--servers", type=int, default=20)
    arguments.add_argument("--days", type=float, default=7)
    arguments.add_argument("--rounds", type=int, default=60)
    options = arguments.parse_args()
    now_ms = int(time.time() * 1000)
    took: dict[str, list[float]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(empty_folder())
        make(folder / "bongsu.db", options.servers, options.days, now_ms)
        viewer, _ = make_tokens(folder, ())
        os.sched_setaffinity(0, {CLIENT_CORE})
        bongsu = _asker(stack.enter_context(running_server(folder))[0], viewer)
        peer: Asker | None = None
        if shutil.which(VICTORIA_METRICS):
            port, _ = stack.enter_context(running_victoria_metrics())
            _fill_peer(port, options.servers, options.days, now_ms)
            peer = _asker(port)
        for turn in range(-3, options.rounds):  # the first three do not count
            for kind in (*RANGES, FLEET):
                end_ms, server = now_ms - (turn + 3) * 10_000, turn % options.servers + 1
                milliseconds, step_ms = _asked_bongsu(bongsu, kind, end_ms, server)
                found = {"bongsu": milliseconds}
                if peer is not None:
                    found["victoria_metrics"] = _asked_peer(peer, kind, end_ms, server, step_ms)
                for who, each in found.items() if turn >= 0 else ():
                    took.setdefault(f"{kind}.{who}", []).append(each)
    results = {
        f"{name}_p{percent}_ms": float(np.percentile(times, percent))
        for name, times in took.items()
        for percent in (50, 95)
    }
    report("reading", results, as_json=options.json)


if __name__ == "__main__":
    main()
