"""The raw samples of a running Prometheus, or of what speaks its API.

Time is paged an hour at a time. In each hour, the metrics that match are asked for, some names at once, by the instant
query ``selector[1h]`` at its end: it answers with all raw samples and their own time stamps. The size of the answer
before decides how many names come next. A query that is too much for the other side, or takes too long, is split.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from bongsu.core.errors import BongsuError, ConfigError, Unavailable
from bongsu.core.units import HOUR_MS, MINUTE_MS
from bongsu.importer.parsing import series_key
from bongsu.importer.retry import Retrier, problem, refusal
from bongsu.importer.selectors import with_names
from bongsu.importer.source import Batch, Sample
from bongsu.importer.totals import Totals
from bongsu.importer.uplink import Uplink

# As JSON some 5 MB, and as objects of Python some 50.
SAMPLES_AT_ONCE = 200_000
_FIRST_NAMES, _MOST_NAMES = 20, 1_000
# VictoriaMetrics takes queries up to 16 KiB.
_QUERY_CHARACTERS = 12_000
_SHORTEST_MS = 1_000
# A source may know a sample this long after its time.
_LATE_MS = 5 * MINUTE_MS


class _TooMuch(Exception):
    """The other side cannot answer this at once."""


class PrometheusSource:
    """The samples with ``start_ms <= time <= end_ms``. ``matchers``: of each selector, see ``selectors``."""

    def __init__(
        self,
        client: httpx.Client,
        matchers: Sequence[str],
        range_ms: tuple[int, int],
        totals: Totals,
        uplink: Uplink,
        retrier: Retrier,
        batch_samples: int,
    ) -> None:
        self._client = client
        self._matchers = matchers
        self._start_ms, self._end_ms = range_ms
        self._totals = totals
        self._uplink = uplink
        self._retrier = retrier
        self._batch_samples = batch_samples
        self._whom = f"the source at {str(client.base_url).rstrip('/')}"
        self._names_at_once = _FIRST_NAMES
        self._at_ms = self._start_ms
        self._share_of_hour = 0.0

    @property
    def fraction(self) -> float:
        whole = self._end_ms - self._start_ms
        done = self._at_ms - self._start_ms + self._share_of_hour * min(HOUR_MS, self._end_ms - self._at_ms)
        return min(max(done / whole, 0.0), 1.0) if whole > 0 else 1.0

    @property
    def place(self) -> str:
        return dt.datetime.fromtimestamp(self._at_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")

    def batches(self, position: dict[str, Any] | None) -> Iterator[Batch]:
        """Raises BongsuError if the other side refuses, or was away for too long."""
        hour_ms, selector, after = _position(position, self._start_ms)
        while hour_ms <= self._end_ms:
            end_ms = min(hour_ms + HOUR_MS - 1, self._end_ms)
            self._at_ms = hour_ms
            oldest_ms = self._uplink.oldest_ms
            if oldest_ms is None or end_ms >= oldest_ms:
                for index in range(selector, len(self._matchers)):
                    yield from self._hour(hour_ms, end_ms, index, after)
                    after = ""
            hour_ms, selector, after = end_ms + 1, 0, ""
            self._share_of_hour = 0.0
            self._at_ms = end_ms
            yield Batch([], self._place_of(hour_ms, 0, ""))

    def _hour(self, start_ms: int, end_ms: int, selector: int, after: str) -> Iterator[Batch]:
        """The samples of a selector with ``start_ms <= time <= end_ms``, of the metrics after the name ``after``."""
        every = self._names(selector, start_ms, end_ms)
        names = [name for name in every if name > after]
        while names:
            chosen = self._next(names)
            samples = self._samples(selector, chosen, start_ms, end_ms)
            names = names[len(chosen) :]
            self._totals.read += len(samples)
            done = self._place_of(start_ms, selector, chosen[-1])
            # A server stores the samples of one time together.
            samples.sort(key=_time)
            for first in range(0, max(len(samples), 1), self._batch_samples):
                last = first + self._batch_samples
                if last >= len(samples):
                    share = (len(every) - len(names)) / len(every)
                    self._share_of_hour = (selector + share) / len(self._matchers)
                yield Batch(samples[first:last], done if last >= len(samples) else None)
            self._learn(len(chosen), len(samples))

    def _place_of(self, hour_ms: int, selector: int, after: str) -> dict[str, Any]:
        place = {"hour_ms": hour_ms, "selector": selector, "after": after}
        return place | {"start_ms": self._start_ms, "end_ms": self._end_ms}

    def _next(self, names: Sequence[str]) -> Sequence[str]:
        """The first of these names that fit into one query."""
        characters = count = 0
        for name in names[: self._names_at_once]:
            characters += len(name) + 8
            if count and characters > _QUERY_CHARACTERS:
                break
            count += 1
        return names[:count]

    def _learn(self, names: int, samples: int) -> None:
        """Asks for more or fewer names from now on."""
        wanted = names * SAMPLES_AT_ONCE // max(samples, 1)
        self._names_at_once = max(1, min(wanted, 2 * self._names_at_once, _MOST_NAMES))

    def _names(self, selector: int, start_ms: int, end_ms: int) -> list[str]:
        """The metrics of a selector that may have samples in this time, sorted."""
        matchers = self._matchers[selector] or '__name__=~".+"'
        parameters = {"match[]": f"{{{matchers}}}", "start": _seconds(start_ms), "end": _seconds(end_ms)}
        try:
            answer = self._retrier.answer(
                self._whom, lambda: self._client.get("/api/v1/label/__name__/values", params=parameters)
            )
        except httpx.ReadTimeout:
            raise Unavailable(f"No answer from {self._whom} in time.") from None
        data = self._data(answer)
        if not isinstance(data, list):
            raise self._stranger()
        return sorted(str(name) for name in data if name)

    def _samples(self, selector: int, names: Sequence[str], start_ms: int, end_ms: int) -> list[Sample]:
        """In any order."""
        try:
            return self._query(selector, names, start_ms, end_ms)
        except _TooMuch as error:
            if len(names) > 1:
                half = len(names) // 2
                return self._samples(selector, names[:half], start_ms, end_ms) + self._samples(
                    selector, names[half:], start_ms, end_ms
                )
            if end_ms - start_ms < _SHORTEST_MS:
                raise BongsuError(f"{self._whom} cannot answer for one second of {names[0]}: {error}.") from None
            middle = (start_ms + end_ms) // 2
            return self._samples(selector, names, start_ms, middle) + self._samples(selector, names, middle + 1, end_ms)

    def _query(self, selector: int, names: Sequence[str], start_ms: int, end_ms: int) -> list[Sample]:
        # Prometheus 3 leaves out the beginning of a range, and its predecessors do not.
        query = f"{with_names(self._matchers[selector], names)}[{end_ms - start_ms + 1}ms]"
        form = {"query": query, "time": _seconds(end_ms)}
        try:
            answer = self._retrier.answer(self._whom, lambda: self._client.post("/api/v1/query", data=form))
        except httpx.ReadTimeout:
            raise _TooMuch("no answer in time") from None
        if answer.status_code in (413, 422):
            raise _TooMuch(problem(answer)[1] or f"HTTP {answer.status_code}")
        data = self._data(answer)
        try:
            if data["resultType"] != "matrix":
                raise TypeError
            return [
                (key, time_ms, float(text))
                for row in data["result"]
                for key in [series_key({str(name): str(value) for name, value in row["metric"].items()})]
                for seconds, text in row.get("values", ())
                if start_ms <= (time_ms := round(seconds * 1000)) <= end_ms
            ]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise self._stranger() from None

    def _data(self, answer: httpx.Response) -> Any:
        if answer.status_code != 200:
            raise refusal(self._whom, answer)
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or "data" not in body:
            raise self._stranger()
        return body["data"]

    def _stranger(self) -> BongsuError:
        return BongsuError(f"{self._whom} answers, but not as Prometheus does.")


def _time(sample: Sample) -> int:
    return sample[1]


def _seconds(time_ms: int) -> str:
    return f"{time_ms / 1000:.3f}"


def range_of(position: dict[str, Any] | None) -> tuple[int, int] | None:
    """The range of an import that has begun: times that were relative when it began do not move. None: not begun.

    Raises:
        ConfigError: this is no position.
    """
    if position is None:
        return None
    try:
        return int(position["start_ms"]), int(position["end_ms"])
    except (KeyError, TypeError, ValueError):
        raise ConfigError("The state file has no valid position; begin anew with --restart.", field="--state") from None


def prolonged(position: dict[str, Any] | None, end_ms: int) -> dict[str, Any]:
    """The position of an import that had ended, to bring what has come since. The end of what it brought is read again.

    Raises:
        ConfigError: this is no position.
    """
    hour_ms, selector, _ = _position(position, 0)
    begun = range_of(position) or (0, 0)
    hour_ms = max(begun[0], hour_ms - _LATE_MS)
    return {"hour_ms": hour_ms, "selector": selector, "after": "", "start_ms": begun[0], "end_ms": end_ms}


def _position(position: dict[str, Any] | None, start_ms: int) -> tuple[int, int, str]:
    if position is None:
        return start_ms, 0, ""
    try:
        return int(position["hour_ms"]), int(position["selector"]), str(position["after"])
    except (KeyError, TypeError, ValueError):
        raise ConfigError("The state file has no valid position; begin anew with --restart.", field="--state") from None
