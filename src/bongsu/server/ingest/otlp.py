"""POST /v1/metrics: metrics of OpenTelemetry (OTLP/HTTP), protobuf or JSON, as its SDKs and its Collector send them.

An ASGI endpoint below FastAPI. The answer comes when the samples are on disk: 200, in which ``partial_success`` says
how many data points could not be stored and why; 503 or 429 if the sender is to try again.
"""

import asyncio
import logging
from collections import Counter

import numpy as np
from starlette.types import Receive, Scope, Send

from bongsu.arrays import STALE
from bongsu.core.errors import BongsuError, UnsupportedEncoding
from bongsu.server.config import Limits
from bongsu.server.errors import retry_after, status_of
from bongsu.server.ingest.bodies import LARGE_BYTES, ClientGone, gunzip, read_body
from bongsu.server.ingest.foreign import ForeignIngest, Incoming
from bongsu.server.ingest.writers import Writers
from bongsu.wire import otlp
from bongsu.wire.otlp import Points

logger = logging.getLogger(__name__)

PATH = "/v1/metrics"
_REASONS = {otlp.NO_TEMPORALITY: "A sum or histogram must have a temporality: cumulative or delta."}


class Otlp:
    """Receives metrics of OpenTelemetry. One per process."""

    def __init__(
        self,
        foreign: ForeignIngest,
        writers: Writers,
        limits: Limits,
        rejected: Counter[str],
    ) -> None:
        """``rejected`` counts the refused requests by error code."""
        self._foreign = foreign
        self._writers = writers
        self._limits = limits
        self._rejected = rejected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI endpoint."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        as_json = content_type == otlp.JSON
        extra: dict[str, str] = {}
        try:
            if content_type not in (otlp.PROTOBUF, otlp.JSON):
                raise UnsupportedEncoding(
                    "Content-Type must be application/x-protobuf or application/json.", field="Content-Type"
                )
            body = await self._take(scope, headers, receive, as_json=as_json)
            status = 200
        except ClientGone:
            return
        except BongsuError as error:
            status, extra = status_of(error), retry_after(error)
            self._rejected[error.code] += 1
            body = otlp.encode_error(error.message, as_json=as_json)
        except Exception:
            logger.exception("POST %s failed", PATH)
            status = 500
            self._rejected["internal_error"] += 1
            body = otlp.encode_error("This is a bug in the API server; its log has the details.", as_json=as_json)
        sent = [
            (b"content-type", otlp.JSON if as_json else otlp.PROTOBUF),
            (b"content-length", b"%d" % len(body)),
            *((name.lower().encode(), value.encode()) for name, value in extra.items()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": body})

    async def _take(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, *, as_json: bool) -> bytes:
        writer = await self._writers.of(scope, headers.get(b"authorization", b""))
        encoding = headers.get(b"content-encoding", b"").strip().lower()
        if encoding not in (b"", b"identity", b"gzip"):
            raise UnsupportedEncoding("Content-Encoding must be gzip or absent.", field="Content-Encoding")
        length = headers.get(b"content-length", b"")
        body = await read_body(receive, int(length) if length.isdigit() else None, self._limits.write_bytes)
        known = self._foreign.known(writer)
        if len(body) > LARGE_BYTES or encoding:
            incoming, points = await asyncio.to_thread(self._decode, body, packed=encoding == b"gzip", as_json=as_json)
        else:
            incoming, points = self._decode(body, packed=False, as_json=as_json)
        outcome = await self._foreign.store(incoming, writer, known)
        for reason, count in points.rejected.items():
            self._foreign.refused[reason] += count
        refused = set(np.array(points.data_points)[~outcome.accepted].tolist())
        rejected = len(refused) + sum(points.rejected.values())
        why = [_REASONS[reason] for reason in points.rejected] + ([outcome.first.message] if outcome.first else [])
        return otlp.encode_response(rejected, " ".join(why), as_json=as_json)

    def _decode(self, body: bytes, *, packed: bool, as_json: bool) -> tuple[Incoming, Points]:
        points = otlp.decode(gunzip(body, self._limits.write_bytes) if packed else body, as_json=as_json)
        values = np.array(points.values, np.float64)
        values.view(np.int64)[points.stale] = STALE
        times = np.array(points.times, np.int64)
        incoming = Incoming(
            points.keys, times, values, otlp.labels_of, None, points.kinds, points.servers, False, points.descriptions
        )
        return incoming, points
