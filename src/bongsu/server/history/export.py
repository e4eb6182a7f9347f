"""A history answer as a table with one row for each point: CSV, an Arrow stream, or Parquet."""

import csv as csv_module
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from bongsu.server.history import History, SeriesHistory

if TYPE_CHECKING:
    from arro3.core import Array, RecordBatchReader

_COLUMNS = ("time", "server_id", "server", "metric", "labels", "unit", "value", "min", "max")
# Rows that are written at once, in 5 ms.
ROWS_AT_A_TIME = 2_000
# Rows of Parquet that are collected before they are compressed, 7 MB.
ROWS_OF_A_GROUP = 131_072
PIECE_BYTES = 65_536
# A cell that begins with one of these is a formula for a spreadsheet.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv(history: History, names: Mapping[int, str]) -> Iterator[bytes]:
    """CSV with times in ISO 8601; no value is an empty cell. The byte order mark makes Excel read it as UTF-8."""
    yield b"\xef\xbb\xbf" + _row(_COLUMNS).encode() + b"\r\n"
    for history_series in history.series:
        server_id = str(history_series.server_id or "")
        texts = [_harmless(text) for text in _texts(history_series, names)]
        # The cells between the time and the values, which are the same in each row.
        same = _row([server_id, *texts, history_series.series.unit])
        points = history_series.points
        low = points.values if points.low is None else points.low
        high = points.values if points.high is None else points.high
        for first in range(0, len(points.times), ROWS_AT_A_TIME):
            part = slice(first, first + ROWS_AT_A_TIME)
            moments = np.datetime_as_string(points.times[part].astype("datetime64[ms]"), unit="ms").tolist()
            columns = [
                ["" if value != value else repr(value) for value in values[part].tolist()]
                for values in (points.values, low, high)
            ]
            rows = [
                f"{moment}+00:00,{same},{value},{least},{most}\r\n"
                for moment, value, least, most in zip(moments, *columns, strict=True)
            ]
            yield "".join(rows).encode()


def _row(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv_module.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def arrow(history: History, names: Mapping[int, str]) -> Iterator[bytes]:
    """An Arrow IPC stream, which is not compressed: not every reader could unpack it."""
    from arro3.io import write_ipc_stream

    return _as_written(lambda file: write_ipc_stream(_batches(history, names), file, compression=None))


def parquet(history: History, names: Mapping[int, str]) -> Iterator[bytes]:
    """A Parquet file, compressed with zstd."""
    from arro3.io import write_parquet

    return _as_written(
        lambda file: write_parquet(
            _batches(history, names),
            file,
            compression="zstd(1)",
            max_row_group_size=ROWS_OF_A_GROUP,
            key_value_metadata=_metadata(history),
        )
    )


def _as_written(write: Callable[[BinaryIO], None]) -> Iterator[bytes]:
    """What ``write`` puts into a file, while it does so. Raises what it raises.

    A pipe holds it back while nobody reads, and ends it when the reader has gone.
    """
    reading, writing = os.pipe()

    def run() -> None:
        with os.fdopen(writing, "wb", PIECE_BYTES) as file:
            write(file)

    thread = ThreadPoolExecutor(1, "export")
    try:
        with os.fdopen(reading, "rb", PIECE_BYTES) as file:
            written = thread.submit(run)
            while piece := file.read(PIECE_BYTES):
                yield piece
            written.result()
    finally:
        # Nobody waits for the part that is being compressed.
        thread.shutdown(wait=False)


def _batches(history: History, names: Mapping[int, str]) -> "RecordBatchReader":
    """One batch for each series, made when it is written. All of them share the dictionaries of the texts."""
    from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema

    moment, number, value = DataType.timestamp("ms", tz="UTC"), DataType.int32(), DataType.float64()
    word = DataType.dictionary(DataType.int32(), DataType.string())
    types = (moment, number, word, word, word, word, value, value, value)
    schema = Schema(
        [Field(name, type) for name, type in zip(_COLUMNS, types, strict=True)],
        metadata=_metadata(history),
    )
    texts = [(*_texts(entry, names), entry.series.unit) for entry in history.series]
    # The place of each text in its column's dictionary.
    places = [{text: place for place, text in enumerate(dict.fromkeys(column))} for column in zip(*texts, strict=True)]
    dictionaries = [Array(list(column), DataType.string()).cast(word) for column in places]

    def batches() -> Iterator[RecordBatch]:
        for entry, row in zip(history.series, texts, strict=True):
            points = entry.points
            nowhere = np.zeros(len(points.times), np.int32)
            columns = [
                Array.from_numpy(points.times).cast(moment),
                Array([entry.server_id], number).take(Array.from_numpy(nowhere)),
            ]
            for dictionary, place, text in zip(dictionaries, places, row, strict=True):
                columns.append(dictionary.take(Array.from_numpy(nowhere + np.int32(place[text]))))
            for values in (points.values, points.low, points.high):
                columns.append(_numbers(points.values if values is None else values))
            yield RecordBatch.from_arrays(columns, schema=schema)

    return RecordBatchReader.from_batches(schema, batches())


def _metadata(history: History) -> dict[str, str]:
    return {"resolution": history.resolution.value, "step_ms": str(history.step_ms or "")}


def _numbers(values: npt.NDArray[np.float64]) -> "Array":
    """A column of numbers with null for NaN, which a cast to integers makes of it."""
    from arro3.core import Array, DataType

    missing = np.isnan(values)
    if not missing.any():
        return Array.from_numpy(values)
    places = np.where(missing, np.nan, np.arange(len(values)))
    return Array.from_numpy(values).take(Array.from_numpy(places).cast(DataType.int64()))


def _texts(history_series: SeriesHistory, names: Mapping[int, str]) -> tuple[str, str, str]:
    """Server name, metric and labels."""
    series = history_series.series
    labels = ",".join(f'{name}="{value}"' for name, value in series.labels)
    return names.get(history_series.server_id or 0, ""), series.metric, labels


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
