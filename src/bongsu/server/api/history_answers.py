"""Answers to history queries: their models, and how they are written as JSON and in other formats."""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum

from fastapi import Response
from pydantic import BaseModel, Field

from bongsu.core.errors import InvalidInput
from bongsu.server.api.answers import dumped, streamed
from bongsu.server.api.metrics import series_info
from bongsu.server.api.schemas import SeriesInfo
from bongsu.server.history import Cursor, History, HistoryQuery, Resolution, export
from bongsu.server.history.aggregation import Aggregation
from bongsu.server.storage.archive import TIERS


class HistorySeries(SeriesInfo):
    """The points of one series; all lists have the same length."""

    server_id: int | None = Field(description="null for a group of series.")
    aggregation: Aggregation
    members: int = Field(description="How many series it combines; more than 1 only in a group.")
    times: list[int] = Field(description="Unix ms; starts of buckets if there is a `step_ms`.")
    values: list[float | None]
    min: list[float | None] | None = Field(description="Smallest sample of each bucket.")
    max: list[float | None] | None = Field(description="Largest sample of each bucket.")


class MissingStretch(BaseModel):
    """Stored data that cannot be read."""

    server_id: int
    start_ms: int
    end_ms: int
    series: str | None = Field(description="null: all series of this time.")


class HistoryAnswer(BaseModel):
    """The points of the selected series."""

    start_ms: int
    end_ms: int
    resolution: Resolution = Field(description="What the points were made from.")
    step_ms: int | None = Field(description="Length of a bucket; null: samples as they are stored.")
    series: list[HistorySeries]
    missing: list[MissingStretch] = Field(
        description="Damaged parts of the archive, which are missing from the answer."
    )
    next: str | None = Field(description="Pass it as `cursor` for the next page; null on the last page.")


class Format(StrEnum):
    """The format of an answer."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.ARROW: "application/vnd.apache.arrow.stream",
    Format.PARQUET: "application/vnd.apache.parquet",
}
# The JSON of so much is made at once, in at most 5 ms.
SMALL_POINTS = 50_000
SMALL_SERIES = 200


def small_json(query: HistoryQuery, answer: History) -> bytes | None:
    """The JSON of an answer; None if that is too much to be made at once."""
    points = sum(len(entry.points.times) for entry in answer.series)
    if points > SMALL_POINTS or len(answer.series) > SMALL_SERIES:
        return None
    return b"".join(history_json(query, answer))


def formatted(query: HistoryQuery, answer: History, format: Format, names: Mapping[int, str]) -> Response:
    """An answer of any size. ``names``: of the servers."""
    if format is Format.JSON:
        return streamed(history_json(query, answer))
    headers = {"Content-Disposition": f'attachment; filename="bongsu-history.{format.value}"'}
    if answer.next is not None:
        headers["Bongsu-Next-Cursor"] = encode_cursor(answer.next) or ""
    media_type = MEDIA_TYPES[format]
    write = {Format.CSV: export.csv, Format.ARROW: export.arrow, Format.PARQUET: export.parquet}[format]
    return streamed(write(answer, names), media_type, headers)


def history_json(query: HistoryQuery, answer: History) -> Iterator[bytes]:
    """The JSON, series by series: orjson lets nothing else run while it writes."""
    head = {
        "start_ms": query.start_ms,
        "end_ms": query.end_ms,
        "resolution": answer.resolution.value,
        "step_ms": answer.step_ms,
        "missing": [
            {"server_id": entry.server_id, "start_ms": entry.start_ms, "end_ms": entry.end_ms, "series": entry.series}
            for entry in answer.missing
        ],
        "next": encode_cursor(answer.next),
    }
    yield dumped(head).removesuffix(b"}") + b',"series":['
    separator = b""
    for entry in answer.series:
        document = (
            {"server_id": entry.server_id}
            | series_info(entry.series)
            | {
                "aggregation": entry.aggregation.value,
                "members": entry.members,
                "times": entry.points.times,
                "values": entry.points.values,
                "min": entry.points.low,
                "max": entry.points.high,
            }
        )
        yield separator + dumped(document)
        separator = b","
    yield b"]}"


def encode_cursor(cursor: Cursor | None) -> str | None:
    """`next` of an answer."""
    if cursor is None:
        return None
    parts = [cursor.server_id, cursor.series, cursor.step_ms, cursor.tier]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def decode_cursor(text: str | None) -> Cursor | None:
    """The reverse of ``encode_cursor``. Raises InvalidInput."""
    if text is None:
        return None
    try:
        server_id, series, step_ms, tier = json.loads(base64.urlsafe_b64decode(text.encode()))
        if not isinstance(server_id, int) or not isinstance(series, str) or tier not in TIERS:
            raise ValueError
        if step_ms is None:
            if tier:
                raise ValueError
        elif not isinstance(step_ms, int) or step_ms < 1_000 or (tier and step_ms % tier):
            raise ValueError
        return Cursor(server_id, series, step_ms, tier)
    except (ValueError, TypeError, binascii.Error):
        raise InvalidInput("cursor must be the `next` of an earlier answer.", field="cursor") from None
