"""A history answer as a table, one row a point: CSV, an Arrow stream, or Parquet."""

import csv as csv_module
import datetime as dt
import io
from typing import TYPE_CHECKING

import numpy as np

from bongsu.server.history import History, SeriesHistory

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("time", "server_id", "server", "metric", "labels", "unit", "value", "min", "max")
# What a spreadsheet would run as a formula when a cell begins with it.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv(history: History, names: dict[int, str]) -> bytes:
    """Times in ISO 8601; no value is empty. Begins with a byte order mark, or Excel would not read it as UTF-8."""
    text = io.StringIO()
    writer = csv_module.writer(text, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for one in history.series:
        facts = [str(one.server_id or ""), *(_harmless(fact) for fact in _facts(one, names)), one.series.unit]
        points = one.points
        low = points.values if points.low is None else points.low
        high = points.values if points.high is None else points.high
        for time_ms, *values in zip(
            points.times.tolist(), points.values.tolist(), low.tolist(), high.tolist(), strict=True
        ):
            moment = dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC).isoformat(timespec="milliseconds")
            writer.writerow([moment, *facts, *("" if value != value else repr(value) for value in values)])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def arrow(history: History, names: dict[int, str]) -> bytes:
    """An IPC stream."""
    import pyarrow as pa

    sink = io.BytesIO()
    table = _table(history, names)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet(history: History, names: dict[int, str]) -> bytes:
    """A file, compressed with zstd."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(_table(history, names), sink, compression="zstd")
    return sink.getvalue()


def _table(history: History, names: dict[int, str]) -> "pa.Table":
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
    for one in history.series:
        points, size = one.points, len(one.points.times)
        numbers = [points.values if column is None else column for column in (points.values, points.low, points.high)]
        same = np.zeros(size, np.int32)
        words = [
            pa.DictionaryArray.from_arrays(same, pa.array([fact], pa.string()))
            for fact in (*_facts(one, names), one.series.unit)
        ]
        columns = [
            pa.array(points.times, pa.int64()).cast(pa.timestamp("ms", tz="UTC")),
            pa.array([one.server_id] * size, pa.int32()),
            *words,
            *(pa.array(column, pa.float64(), from_pandas=True) for column in numbers),
        ]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=schema))
    return pa.Table.from_batches(batches, schema).unify_dictionaries()


def _facts(one: SeriesHistory, names: dict[int, str]) -> tuple[str, str, str]:
    """Server, metric, labels."""
    labels = ",".join(f'{name}="{value}"' for name, value in one.series.labels)
    return names.get(one.server_id or 0, ""), one.series.metric, labels


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
