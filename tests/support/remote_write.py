"""Requests of Prometheus' remote write."""

from collections.abc import Iterable, Mapping

import cramjam
import httpx

from bongsu.core.descriptions import TYPES, Description
from bongsu.server.auth.principal import Scope
from bongsu.wire import remote_write_pb2 as pb
from tests.support.app import RunningApp, api_token

VERSION_1 = "application/x-protobuf"
VERSION_2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"

# Labels, time in ms, value.
Sample = tuple[Mapping[str, str], int, float]


def snappy(body: bytes) -> bytes:
    """The body as senders compress it."""
    return bytes(cramjam.snappy.compress_raw(body))


def series(labels: Mapping[str, str], *samples: tuple[int, float]) -> bytes:
    """An encoded series of version 1.0."""
    message = pb.TimeSeries(samples=[pb.Sample(timestamp=time_ms, value=value) for time_ms, value in samples])
    for name, value in sorted(labels.items()):
        message.labels.add(name=name, value=value)
    return message.SerializeToString()


def request_1(samples: Iterable[Sample], descriptions: Mapping[str, Description] | None = None) -> bytes:
    """The compressed body of a request of version 1.0."""
    encoded = [series(labels, (time_ms, value)) for labels, time_ms, value in samples]
    told = [
        pb.MetricMetadata(type=TYPES.index(type_), metric_family_name=metric, help=text, unit=unit)
        for metric, (type_, text, unit) in (descriptions or {}).items()
    ]
    return snappy(pb.WriteRequest(timeseries=encoded, metadata=told).SerializeToString())


def request_2(
    samples: Iterable[Sample], kind: int = pb.Metadata.METRIC_TYPE_UNSPECIFIED, text: str = "", unit: str = ""
) -> bytes:
    """The compressed body of a request of version 2.0. ``text`` and ``unit`` describe each metric."""
    message = pb.Request(symbols=[""])
    places: dict[str, int] = {"": 0}

    def place(text: str) -> int:
        if text not in places:
            places[text] = len(places)
            message.symbols.append(text)
        return places[text]

    for labels, time_ms, value in samples:
        references = [place(text) for name in sorted(labels) for text in (name, labels[name])]
        told = pb.Metadata(type=kind, help_ref=place(text), unit_ref=place(unit))  # type: ignore[arg-type]
        entry = message.timeseries.add(labels_refs=references, metadata=told)
        entry.samples.add(timestamp=time_ms, value=value)
    return snappy(message.SerializeToString())


async def writer_token(app: RunningApp, tags: dict[str, str] | None = None) -> str:
    """An API token that may write samples."""
    return await api_token(app.services, min(app.services.auth.directory.users), Scope.writer, tags)


async def write(
    app: RunningApp, body: bytes, token: str, content_type: str = VERSION_1, **headers: str
) -> httpx.Response:
    """POST /api/v1/write."""
    sent = {
        "Content-Type": content_type,
        "Content-Encoding": "snappy",
        "Authorization": f"Bearer {token}",
        **headers,
    }
    return await app.client.post("/api/v1/write", content=body, headers=sent)
