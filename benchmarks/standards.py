"""Samples of others, durable, beside VictoriaMetrics, Prometheus and InfluxDB: on the same core, in one run.

Each of ``--senders`` connections sends requests of 500 samples, each as soon as the previous one was answered, for
``--seconds``: series of three targets, with the labels and values of a real capture. The receiver runs on core 0, the
senders on core 1. Bongsu syncs to disk before it answers, and so does InfluxDB 1, which gets the same samples as its
own lines; the others write to disk later. Bongsu runs twice: the API server alone, and with the worker, which makes
frames and blocks meanwhile, on the same core. Peers that are not installed (Debian: victoria-metrics, prometheus,
influxdb) are left out.
"""

import asyncio
import os
import random
import shutil
import time
from dataclasses import dataclass, field

import cramjam
import numpy as np
import psutil
import uvloop

from benchmarks.access import ENVIRONMENT, make_writer_token
from benchmarks.ingest import CLIENT_CORE, cpu_seconds, running_server
from benchmarks.peers import (
    INFLUXDB,
    PROMETHEUS,
    VICTORIA_METRICS,
    empty_folder,
    running_influxdb,
    running_prometheus,
    running_victoria_metrics,
)
from benchmarks.report import parser, report
from bongsu.simulator import capture
from bongsu.wire import remote_write_pb2 as pb
from bongsu.wire.remote_write import CONTENT_TYPE, encode_labels

SAMPLES = 500
TARGETS = 3
STEP_MS = 1_000
PATH = "/api/v1/write"


def _labels(sender: int, index: int) -> list[tuple[str, str]]:
    target, place = divmod(index, SAMPLES // TARGETS + 1)
    series = capture.layout().series[place % capture.SERIES]
    labels = {"__name__": series.metric, "job": "node", "instance": f"host-{sender}-{target}.example.com:9100"}
    return sorted((labels | dict(series.labels) | ({"copy": "2"} if place >= capture.SERIES else {})).items())


class Requests:
    """The requests of one sender, made by writing times and values into a finished one."""

    def __init__(self, sender: int, start_ms: int) -> None:
        self.time_ms = start_ms
        self._row = sender * 7
        self._rows = np.array([np.frombuffer(row.tobytes(), "<f8") for row in capture.rows(1_500)])
        positions = np.array([index % (SAMPLES // TARGETS + 1) % capture.SERIES for index in range(SAMPLES)])
        # Series that are always 0 have no value on the wire.
        zero = (self._rows[:, positions] == 0).all(axis=0)
        body = bytearray()
        values, times, filled = [], [], []
        for index in range(SAMPLES):
            value = 0.0 if zero[index] else 1.0
            sample = pb.Sample(value=value, timestamp=start_ms).SerializeToString()
            series = encode_labels(_labels(sender, index)) + b"\x12" + bytes([len(sample)]) + sample
            entry = b"\n" + _varint(len(series)) + series
            body += entry
            times.append(len(body) - 6)
            if not zero[index]:
                values.append(len(body) - 15)
                filled.append(positions[index])
        self._body = np.frombuffer(body, np.uint8).copy()
        self._times = np.array(times)[:, None] + np.arange(6)
        self._values, self._filled = np.array(values)[:, None] + np.arange(8), np.array(filled)

    def next(self) -> bytes:
        """The compressed body of the next request."""
        self.time_ms += STEP_MS
        self._row += 1
        bits = [(self.time_ms >> shift) & 0x7F | (0x80 if shift < 35 else 0) for shift in range(0, 42, 7)]
        self._body[self._times] = bits
        values = self._rows[self._row % len(self._rows)][self._filled]
        # A zero of a series that is not always 0 has a value here; receivers take both.
        self._body[self._values] = values.view(np.uint8).reshape(-1, 8)
        return bytes(cramjam.snappy.compress_raw(self._body.tobytes()))


class Lines:
    """The same samples as InfluxDB's lines."""

    def __init__(self, sender: int, start_ms: int) -> None:
        self.time_ms = start_ms
        self._row = sender * 7
        self._rows = capture.rows(1_500)
        self._positions = [index % (SAMPLES // TARGETS + 1) % capture.SERIES for index in range(SAMPLES)]
        self._heads = []
        for index in range(SAMPLES):
            labels = dict(_labels(sender, index))
            name = labels.pop("__name__")
            tags = "".join(f",{label}={_escaped(text)}" for label, text in labels.items() if text)
            self._heads.append(f"{name}{tags} value=")

    def next(self) -> bytes:
        """The body of the next request."""
        self.time_ms += STEP_MS
        self._row += 1
        row = np.nan_to_num(self._rows[self._row % len(self._rows)])[self._positions].tolist()
        return "\n".join(
            [f"{head}{value!r} {self.time_ms}" for head, value in zip(self._heads, row, strict=True)]
        ).encode()


def _escaped(text: str) -> str:
    for character in ("\\", " ", ",", "="):
        text = text.replace(character, f"\\{character}")
    return text


def _varint(number: int) -> bytes:
    return bytes([number & 0x7F | 0x80, number >> 7]) if number >= 0x80 else bytes([number])


@dataclass(slots=True)
class Sent:
    """What the senders have seen."""

    acknowledged: int = 0
    latencies: list[float] = field(default_factory=list)


async def _send(port: int, head: bytes, requests: Requests | Lines, stop_at: float, sent: Sent) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < stop_at:
            body = requests.next()
            began = time.perf_counter()
            writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            status = answer.split(b" ", 2)[1]
            if status not in (b"204", b"200"):
                raise RuntimeError((answer + await reader.read(500)).decode(errors="replace"))
            sent.latencies.append(time.perf_counter() - began)
            sent.acknowledged += SAMPLES
    finally:
        writer.close()


_REMOTE_WRITE = (
    f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {CONTENT_TYPE.decode()}\r\n"
    "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
)
_LINES = "POST /write?db=bench&precision=ms HTTP/1.1\r\nHost: 127.0.0.1\r\n"


async def _drive(port: int, token: str, options: "Options", kind: type[Requests] | type[Lines]) -> Sent:
    head = (_REMOTE_WRITE if kind is Requests else _LINES).encode()
    if token:
        head += f"Authorization: Bearer {token}\r\n".encode()
    # Time stamps of senders that are this quick run ahead: they begin far enough in the past.
    start_ms = round(time.time() * 1000) - 3_600_000
    requests = [kind(number, start_ms + random.randrange(STEP_MS)) for number in range(options.senders)]
    sent = Sent()
    stop_at = time.perf_counter() + options.seconds
    await asyncio.gather(*(_send(port, head, each, stop_at, sent) for each in requests))
    return sent


def _cpu_seconds(pid: int) -> float:
    """Of a process and those it has started."""
    return sum(cpu_seconds(each.pid) for each in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)])


def measured(
    port: int, pid: int, token: str, options: "Options", kind: type[Requests] | type[Lines] = Requests
) -> dict[str, float]:
    """What senders reach at a receiver on this port, which is the process ``pid`` and its children."""
    before, began = _cpu_seconds(pid), time.perf_counter()
    client = time.process_time()
    sent = uvloop.run(_drive(port, token, options, kind))
    took = time.perf_counter() - began
    return {
        "samples_per_second": sent.acknowledged / took,
        "ack_p50_ms": float(np.percentile(sent.latencies, 50)) * 1000,
        "ack_p99_ms": float(np.percentile(sent.latencies, 99)) * 1000,
        "server_cores": (_cpu_seconds(pid) - before) / took,
        "client_cores": (time.process_time() - client) / took,
    }


@dataclass(frozen=True, slots=True)
class Options:
    """From the command line."""

    senders: int
    seconds: float


def bongsu(options: Options, *, role: str) -> dict[str, float]:
    """One run on an empty database."""
    with empty_folder() as folder:
        token = make_writer_token(folder)
        os.environ.update(ENVIRONMENT)
        with running_server(folder, role=role) as (port, process):
            return measured(port, process.pid, token, options)


def victoria_metrics(options: Options) -> dict[str, float]:
    """One run of VictoriaMetrics."""
    with running_victoria_metrics() as (port, pid):
        return measured(port, pid, "", options)


def prometheus(options: Options) -> dict[str, float]:
    """One run of Prometheus as a receiver."""
    with running_prometheus() as (port, pid):
        return measured(port, pid, "", options)


def influxdb(options: Options) -> dict[str, float]:
    """One run of InfluxDB."""
    with running_influxdb() as (port, pid):
        return measured(port, pid, "", options, Lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--senders", type=int, default=32)
    chosen = arguments.parse_args()
    options = Options(chosen.senders, chosen.seconds)
    os.sched_setaffinity(0, {CLIENT_CORE})
    runs = {"bongsu": lambda: bongsu(options, role="api"), "bongsu_with_worker": lambda: bongsu(options, role="all")}
    if shutil.which(VICTORIA_METRICS):
        runs["victoria_metrics"] = lambda: victoria_metrics(options)
    if shutil.which(PROMETHEUS):
        runs["prometheus"] = lambda: prometheus(options)
    if shutil.which(INFLUXDB):
        runs["influxdb"] = lambda: influxdb(options)
    results = {f"{name}.{figure}": value for name, run in runs.items() for figure, value in run().items()}
    report("standards", results, as_json=chosen.json)


if __name__ == "__main__":
    main()
