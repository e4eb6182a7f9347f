"""Layouts, and frames, which are the write-ahead log of the archive.

``server_id`` is the first column of every key, since Citus distributes by it.
"""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, Table

from bongsu.server.database.tables.base import metadata

layouts = Table(
    "layouts",
    metadata,
    Column("server_id", Integer, nullable=False),
    Column("layout_id", BigInteger, nullable=False),
    # zlib of the JSON list of series: 150 series are 1.5 KB instead of 15.
    Column("series", LargeBinary, nullable=False),
    PrimaryKeyConstraint("server_id", "layout_id"),
)

# On SQLite a rowid table with a separate index, so that frames of many servers are appended to the same few pages; with
# a clustered key, each frame would touch (and log) its own page.
frames = Table(
    "frames",
    metadata,
    Column("server_id", Integer, nullable=False),
    Column("layout_id", BigInteger, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    # Doubles, little-endian, in layout order.
    Column("values", LargeBinary, nullable=False),
    PrimaryKeyConstraint("server_id", "layout_id", "time_ms"),
)

# Frames that do not fit their layout, which only a damaged disk or database makes. Kept for a person to look at.
quarantined_frames = Table(
    "quarantined_frames",
    metadata,
    Column("server_id", Integer, nullable=False),
    Column("layout_id", BigInteger, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("values", LargeBinary, nullable=False),
    Column("found_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("server_id", "layout_id", "time_ms"),
)
