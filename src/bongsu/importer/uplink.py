"""Writes samples to an API server by remote write 1.0, and counts what became of them.

429, 5xx and network errors are repeated. A 4xx about samples is counted, and the import goes on: the samples that the
server can store are stored.
"""

import datetime as dt
from collections.abc import Callable, Sequence

import httpx

from bongsu.core.errors import BongsuError, Unauthenticated, Unavailable
from bongsu.importer.retry import Retrier, problem, refusal
from bongsu.importer.source import Sample
from bongsu.importer.totals import Totals
from bongsu.wire.remote_write import encode_request

PATH = "/api/v1/write"
_WRITTEN = "X-Prometheus-Remote-Write-Samples-Written"
_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


class Uplink:
    """One API server. ``oldest_ms``: samples before it are refused, as it has said; None until it says so."""

    def __init__(self, client: httpx.Client, totals: Totals, retrier: Retrier, say: Callable[[str], None]) -> None:
        self.oldest_ms: int | None = None
        self._client = client
        self._totals = totals
        self._retrier = retrier
        self._say = say
        self._whom = f"the API server at {str(client.base_url).rstrip('/')}"

    def check(self) -> None:
        """Writes nothing, to see that the server takes it.

        Raises:
            BongsuError: it cannot be reached, is no API server of Bongsu, or refuses the token.
        """
        answer = self._post([], again=False)
        if answer.status_code != 204:
            raise self._stranger(answer)

    def write(self, samples: Sequence[Sample]) -> None:
        """Returns when all samples are stored or refused.

        Raises:
            Unavailable: the server was away for too long.
            BongsuError: it refuses the token, or is no API server of Bongsu.
        """
        totals = self._totals
        if self.oldest_ms is not None:
            oldest_ms, given = self.oldest_ms, len(samples)
            samples = [sample for sample in samples if sample[1] >= oldest_ms]
            if len(samples) < given:
                totals.refused["too_old"] += given - len(samples)
        if not samples:
            return
        answer = self._post(samples)
        if answer.status_code == 413 and len(samples) > 1:
            half = len(samples) // 2
            self.write(samples[:half])
            self.write(samples[half:])
            return
        if answer.status_code == 204:
            totals.stored += len(samples)
            return
        code, message, limit = problem(answer)
        if not code or (_WRITTEN not in answer.headers and answer.status_code != 413):
            raise self._stranger(answer)
        written = answer.headers.get(_WRITTEN, "0")
        stored = min(int(written), len(samples)) if written.isdecimal() else 0
        totals.stored += stored
        is_new = code not in totals.refused
        totals.refuse(code, len(samples) - stored, message)
        if code == "too_old" and limit is not None:
            self._too_old(int(limit))
        elif is_new:
            self._say(f"refused: {message}")

    def _too_old(self, oldest_ms: int) -> None:
        if self.oldest_ms is None:
            try:
                oldest = dt.datetime.fromtimestamp(oldest_ms / 1000, dt.UTC).isoformat(" ", "minutes")
            except (ValueError, OverflowError, OSError):
                oldest = f"{oldest_ms} ms"
            self._say(
                f"The API server keeps raw samples from {oldest[:16]} UTC on (its setting retention_raw). Older ones "
                "are counted as too_old, and not sent."
            )
        self.oldest_ms = oldest_ms

    def _post(self, samples: Sequence[Sample], *, again: bool = True) -> httpx.Response:
        body = encode_request(samples)
        try:
            answer = self._retrier.answer(
                self._whom, lambda: self._client.post(PATH, content=body, headers=_HEADERS), again=again
            )
        except httpx.ReadTimeout:
            raise Unavailable(f"No answer from {self._whom} in time.") from None
        if answer.status_code in (401, 403) and problem(answer)[0]:
            message = problem(answer)[1]
            raise Unauthenticated(f"The API server refuses the token: {message} It needs the permission Writer.")
        return answer

    def _stranger(self, answer: httpx.Response) -> BongsuError:
        if problem(answer)[0]:
            return refusal(self._whom, answer)
        return BongsuError(f"{self._whom} answers with HTTP {answer.status_code}, but not as Bongsu.")
