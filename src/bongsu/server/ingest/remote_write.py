"""POST /api/v1/write: Prometheus' remote write, versions 1.0 and 2.0, as Prometheus, vmagent and Grafana Alloy send it.

An ASGI endpoint below FastAPI. The answer comes when the samples are on disk: 204 if all are; 400 if some cannot be
stored, in which case the others are, and the body says why; 503 or 429 if the sender is to try again.
"""

import asyncio
import json
import logging
from collections import Counter

from starlette.types import Receive, Scope, Send

from bongsu.core.errors import BongsuError, InvalidInput, UnsupportedEncoding
from bongsu.server.config import Limits
from bongsu.server.errors import error_body, retry_after, status_of
from bongsu.server.ingest.bodies import LARGE_BYTES, ClientGone, read_body
from bongsu.server.ingest.foreign import ForeignIngest, Incoming, Outcome
from bongsu.server.ingest.known import Known
from bongsu.server.ingest.writers import Writers
from bongsu.server.ingest.written import Written, read
from bongsu.wire import remote_write

logger = logging.getLogger(__name__)

PATH = "/api/v1/write"
_WRITTEN = "X-Prometheus-Remote-Write-{}-Written"


class RemoteWrite:
    """Receives remote write requests. One per process."""

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
        headers = {}
        body = b""
        try:
            outcome, written = await self._take(scope, receive)
            status = 204
            samples = outcome.stored
            if outcome.first is not None or written.histograms:
                status, body = 400, _partial(outcome, written)
            if written.histograms:
                self._foreign.refused["histograms"] += written.histograms
            headers = _counts(samples)
        except ClientGone:
            return
        except BongsuError as error:
            status = status_of(error)
            self._rejected[error.code] += 1
            body = _json(error.code, error.message, error.field, error.limit)
            headers = retry_after(error) | _counts(0)
        except Exception:
            logger.exception("POST %s failed", PATH)
            self._rejected["internal_error"] += 1
            status = 500
            body = _json("internal_error", "This is a bug in the API server; its log has the details.", None, None)
        if body:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    async def _take(self, scope: Scope, receive: Receive) -> tuple[Outcome, Written]:
        content_type = encoding = authorization = b""
        length: int | None = None
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name == b"authorization":
                authorization = value
            elif name == b"content-encoding":
                encoding = value.strip().lower()
            elif name == b"content-length" and value.isdigit():
                length = int(value)
        writer = await self._writers.of(scope, authorization)
        version_2 = _is_version_2(content_type)
        if encoding != b"snappy":
            raise UnsupportedEncoding("Content-Encoding must be snappy.", field="Content-Encoding")
        compressed = await read_body(receive, length, self._limits.write_bytes)
        known = self._foreign.known(writer)
        if len(compressed) > LARGE_BYTES:
            written = await asyncio.to_thread(self._decode, compressed, known, version_2=version_2)
        else:
            written = self._decode(compressed, known, version_2=version_2)
        if written.came is not None:
            known.keys.came(*written.came)
        incoming = Incoming(
            written.keys,
            written.times,
            written.values,
            remote_write.labels_of,
            written.places,
            written.kinds,
            descriptions=written.descriptions,
        )
        return await self._foreign.store(incoming, writer, known), written

    def _decode(self, compressed: bytes, known: Known, *, version_2: bool) -> Written:
        body = remote_write.decompress(compressed, self._limits.write_bytes)
        return read(body, known.keys, version_2=version_2)


def _is_version_2(content_type: bytes) -> bool:
    """Raises UnsupportedEncoding if it is neither version."""
    kind, *parameters = (part.strip() for part in content_type.split(b";"))
    message = next(
        (part.partition(b"=")[2].strip(b'"') for part in parameters if part.lower().startswith(b"proto=")),
        remote_write.VERSION_1,
    )
    if kind.lower() == remote_write.CONTENT_TYPE and message in (remote_write.VERSION_1, remote_write.VERSION_2):
        return message == remote_write.VERSION_2
    raise UnsupportedEncoding(
        f"Content-Type must be {remote_write.CONTENT_TYPE.decode()}, with proto={remote_write.VERSION_1.decode()} or "
        f"proto={remote_write.VERSION_2.decode()}.",
        field="Content-Type",
    )


def _counts(samples: int) -> dict[str, str]:
    return {
        _WRITTEN.format("Samples"): str(samples),
        _WRITTEN.format("Histograms"): "0",
        _WRITTEN.format("Exemplars"): "0",
    }


def _partial(outcome: Outcome, written: Written) -> bytes:
    refused = sum(outcome.refused.values())
    first = outcome.first or InvalidInput(
        "Native histograms are not stored; send classic ones.", code="histograms", field="timeseries.histograms"
    )
    what = f"{refused} of {outcome.stored + refused} samples" if refused else f"{written.histograms} native histograms"
    message = f"{what} were not stored ({', '.join(sorted(outcome.refused) or ['histograms'])}). {first.message}"
    return _json(first.code, message, first.field, first.limit)


def _json(code: str, message: str, field: str | None, limit: float | None) -> bytes:
    return json.dumps(error_body(code, message, field, limit)).encode()
