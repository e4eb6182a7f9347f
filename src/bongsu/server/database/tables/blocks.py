"""The archive: blocks of sealed frames, and rollups."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, SmallInteger, Table

from bongsu.server.database.tables.base import metadata

blocks = Table(
    "blocks",
    metadata,
    Column("server_id", Integer, nullable=False),
    Column("layout_id", BigInteger, nullable=False),
    # Times of the first and last frame, both within one span. Blocks of one layout may overlap (late frames), but never
    # contain a frame twice.
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("frames", Integer, nullable=False),
    # 1: its frames are part of the rollups.
    Column("rolled", SmallInteger, nullable=False),
    # crc32 of head, which holds the checksums of the columns in data.
    Column("checksum", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("server_id", "layout_id", "start_ms"),
)

# What is yet to be compacted: a few thousand entries, whatever the size of the archive.
Index(
    "ix_blocks_not_rolled",
    blocks.c.server_id,
    blocks.c.layout_id,
    blocks.c.start_ms,
    sqlite_where=blocks.c.rolled == 0,
    postgresql_where=blocks.c.rolled == 0,
)

rollups = Table(
    "rollups",
    metadata,
    Column("server_id", Integer, nullable=False),
    Column("layout_id", BigInteger, nullable=False),
    # Length of a bucket.
    Column("step_ms", Integer, nullable=False),
    # Start of the time that the row covers; its first bucket may be later.
    Column("start_ms", BigInteger, nullable=False),
    # End of its last bucket.
    Column("end_ms", BigInteger, nullable=False),
    Column("buckets", Integer, nullable=False),
    Column("checksum", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("server_id", "layout_id", "step_ms", "start_ms"),
)

# For each tier: everything before floor_ms has been deleted, or is about to be.
tiers = Table(
    "tiers",
    metadata,
    # 0: raw; else the length of a bucket.
    Column("step_ms", Integer, nullable=False, autoincrement=False),
    Column("floor_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("step_ms"),
)
