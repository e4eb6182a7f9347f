"""Samples that others than agents send: their write-ahead log, and the places of their series.

``server_id`` is the first column of every key, since Citus distributes by it. Metrics are described for all servers.
"""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, String, Table, Text

from bongsu.server.database.tables.base import metadata

# Some samples of one server at one time, as they came in one request. The worker makes frames of them (assembler.py).
parts = Table(
    "parts",
    metadata,
    Column("server_id", Integer, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    # Hash of the content: a request that is sent again stores nothing new.
    Column("digest", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    # Numbers of the series, int64, and their values, doubles; both little-endian and of the same length.
    Column("numbers", LargeBinary, nullable=False),
    Column("values", LargeBinary, nullable=False),
    PrimaryKeyConstraint("server_id", "time_ms", "digest"),
)

foreign_series = Table(
    "foreign_series",
    metadata,
    Column("server_id", Integer, nullable=False),
    # A hash of metric and labels, so that several API servers need not agree on it.
    Column("number", BigInteger, nullable=False),
    # Its place; null until the first samples are assembled.
    Column("layout_id", BigInteger, nullable=True),
    Column("position", Integer, nullable=True),
    # In the format of layouts.series; null once it has a place, since its layout tells.
    Column("series", LargeBinary, nullable=True),
    PrimaryKeyConstraint("server_id", "number"),
)

metric_descriptions = Table(
    "metric_descriptions",
    metadata,
    # Of a histogram or summary: the name without _bucket, _count or _sum.
    Column("metric", String(256), primary_key=True),
    # One of core/descriptions.TYPES.
    Column("type", String(16), nullable=False),
    Column("help", Text, nullable=False),
    Column("unit", String(64), nullable=False),
)
