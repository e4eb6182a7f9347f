"""Writes samples to Bongsu and its peers by remote write, and waits until they can be read."""

import time
from collections.abc import Iterable, Mapping

import cramjam
import httpx

from bongsu.wire import remote_write_pb2 as pb
from bongsu.wire.remote_write import CONTENT_TYPE

WRITE_HEADERS = {
    "Content-Type": CONTENT_TYPE.decode(),
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
READABLE_SECONDS = 180

# Labels, time in ms, value.
Sample = tuple[Mapping[str, str], int, float]


def request(samples: Iterable[Sample]) -> bytes:
    """The compressed body of a request of version 1.0."""
    encoded = []
    for labels, time_ms, value in samples:
        series = pb.TimeSeries(samples=[pb.Sample(timestamp=time_ms, value=value)])
        for name, text in sorted(labels.items()):
            series.labels.add(name=name, value=text)
        encoded.append(series.SerializeToString())
    return bytes(cramjam.snappy.compress_raw(pb.WriteRequest(timeseries=encoded).SerializeToString()))


def wait_until_readable(client: httpx.Client, query: str, value: float, at_ms: int, headers: Mapping[str, str]) -> None:
    """Waits until a query has this value; Bongsu makes frames of samples some seconds after they came.

    Raises:
        RuntimeError: it does not within minutes.
    """
    deadline = time.monotonic() + READABLE_SECONDS
    while time.monotonic() < deadline:
        form = {"query": query, "time": f"{at_ms / 1000:.3f}"}
        result = client.post("/api/v1/query", data=form, headers=dict(headers)).json()["data"]["result"]
        if result and float(result[0]["value"][1]) == value:
            return
        time.sleep(0.5)
    raise RuntimeError(f"{query} is not {value:g} after {READABLE_SECONDS} s")
