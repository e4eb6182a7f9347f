"""A history answer as a table with one row for each point: CSV, an Arrow stream, or Parquet."""

import csv as csv_module
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bongsu.server.history import History, SeriesHistory

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("time", "server_id", "server", "metric", "labels", "unit", "value", "min", "max")
# Rows that are written at once, in 5 ms.
ROWS_AT_A_TIME = 2_000
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


def arrow(history: History, names: Mapping[int, str]) -> bytes:
    """An Arrow IPC stream."""
    import pyarrow as pa

    sink = io.BytesIO()
    table = _table(history, names)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet(history: History, names: Mapping[int, str]) -> bytes:
    """A Parquet file, compressed with zstd."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(_table(history, names), sink, compression="zstd")
    return sink.getvalue()


def _table(history: History, names: Mapping[int, str]) -> "pa.Table":
    import pyarrow as pa

    word = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [
            ("time", pa.timestamp("ms", tz="UTC")),
            ("server_id", pa.int32()),
            ("server", word),
            ("metric", word),
            ("labels", word),
            ("unit", word),
            ("value", pa.float64()),
            ("min", pa.float64()),
            ("max", pa.float64()),
        ],
        metadata={"resolution": history.resolution.value, "step_ms": str(history.step_ms or "")},
    )
    batches = []
    for history_series in history.series:
        points, size = history_series.points, len(history_series.points.times)
        first_entry = np.zeros(size, np.int32)
        columns = [
            pa.array(points.times, pa.int64()).cast(pa.timestamp("ms", tz="UTC")),
            pa.array([history_series.server_id] * size, pa.int32()),
        ]
        for text in (*_texts(history_series, names), history_series.series.unit):
            columns.append(pa.DictionaryArray.from_arrays(first_entry, pa.array([text], pa.string())))
        for values in (points.values, points.low, points.high):
            column = points.values if values is None else values
            columns.append(pa.array(column, pa.float64(), from_pandas=True))
        batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    return pa.Table.from_batches(batches, schema).unify_dictionaries()


def _texts(history_series: SeriesHistory, names: Mapping[int, str]) -> tuple[str, str, str]:
    """Server name, metric and labels."""
    series = history_series.series
    labels = ",".join(f'{name}="{value}"' for name, value in series.labels)
    return names.get(history_series.server_id or 0, ""), series.metric, labels


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
