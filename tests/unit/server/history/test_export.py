"""Exports, read by the libraries of others."""

import io
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bongsu.core.series import Series
from bongsu.server.history import History, Resolution, SeriesHistory, export
from bongsu.server.history.aggregation import Aggregation, Points

NAMES = {1: "web-1", 2: "web-2"}
WORD = pa.dictionary(pa.int32(), pa.string())


def a_history(*series: SeriesHistory) -> History:
    return History(Resolution.MINUTE, 60_000, list(series))


def a_series(
    server_id: int | None, values: list[float], low: list[float] | None = None, labels: tuple[tuple[str, str], ...] = ()
) -> SeriesHistory:
    times = np.arange(len(values), dtype=np.int64) * 60_000
    points = Points(times, np.array(values), None if low is None else np.array(low))
    return SeriesHistory(server_id, Series("queue_length", labels, ""), Aggregation.AVG, points)


def both(history: History) -> tuple[pa.Table, pa.Table]:
    """The history as its Arrow stream and its Parquet file hold it."""
    stream = pa.ipc.open_stream(b"".join(export.arrow(history, NAMES))).read_all()
    return stream, pq.read_table(io.BytesIO(b"".join(export.parquet(history, NAMES))))


def test_columns_have_types_that_say_what_they_hold() -> None:
    for table in both(a_history(a_series(1, [1.5]))):
        assert [(field.name, field.type) for field in table.schema] == [
            ("time", pa.timestamp("ms", tz="UTC")),
            ("server_id", pa.int32()),
            ("server", WORD),
            ("metric", WORD),
            ("labels", WORD),
            ("unit", WORD),
            ("value", pa.float64()),
            ("min", pa.float64()),
            ("max", pa.float64()),
        ]
        assert table.schema.metadata[b"resolution"] == b"1m"
        assert table.schema.metadata[b"step_ms"] == b"60000"


def test_series_follow_each_other_with_their_own_texts_and_no_value_is_null() -> None:
    history = a_history(
        a_series(1, [1.0, float("nan"), 3.0], [0.5, float("nan"), 2.5], (("name", "in"),)),
        a_series(2, [4.0]),
        a_series(None, [5.0]),
    )
    for table in both(history):
        assert table.column("server_id").to_pylist() == [1, 1, 1, 2, None], "a group is of no server"
        assert table.column("server").to_pylist() == ["web-1", "web-1", "web-1", "web-2", ""]
        assert table.column("labels").to_pylist() == ['name="in"'] * 3 + ["", ""]
        assert table.column("value").to_pylist() == [1.0, None, 3.0, 4.0, 5.0]
        assert table.column("min").to_pylist() == [0.5, None, 2.5, 4.0, 5.0]
        assert table.column("max").to_pylist() == [1.0, None, 3.0, 4.0, 5.0], "not kept: the value"


def test_nothing_selected_is_a_table_without_rows() -> None:
    for table in both(a_history()):
        assert (table.num_rows, table.num_columns) == (0, 9)


def test_parquet_is_compressed_with_zstd() -> None:
    file = b"".join(export.parquet(a_history(a_series(1, [1.0] * 100)), NAMES))
    group = pq.read_metadata(io.BytesIO(file)).row_group(0)
    assert {group.column(column).compression for column in range(9)} == {"ZSTD"}


@pytest.mark.parametrize("write", [export.arrow, export.parquet])
def test_who_goes_away_in_the_middle_ends_the_export(write: type) -> None:
    noise = np.random.default_rng(1).normal(size=10_000).tolist()
    before = set(threading.enumerate())
    pieces = write(a_history(*[a_series(1, noise)] * 100), NAMES)
    next(pieces)
    (writer,) = set(threading.enumerate()) - before
    pieces.close()
    writer.join(timeout=30)
    assert not writer.is_alive()


def test_what_goes_wrong_while_it_is_written_is_not_a_file_that_ends_early() -> None:
    broken = a_series(1, [1.0, 2.0])
    object.__setattr__(broken.points, "values", np.array([1.0]))
    with pytest.raises(Exception, match="length"):
        list(export.parquet(a_history(a_series(1, [1.0]), broken), NAMES))
