"""The archive: sealed runs of frames."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table

from bongsu.server.models.base import metadata

blocks = Table(
    "blocks",
    metadata,
    Column("server_id", Integer, nullable=False),
    Column("layout_id", BigInteger, nullable=False),
    # Times of the first and the last frame. Blocks of one layout may overlap (frames that came late), but hold no
    # frame twice.
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("frames", Integer, nullable=False),
    # crc32 of data.
    Column("checksum", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("server_id", "layout_id", "start_ms"),
)

# Finds what overlaps a range without touching the data: the first block that ends in or after it.
Index("ix_blocks_end", blocks.c.server_id, blocks.c.layout_id, blocks.c.end_ms, blocks.c.start_ms)
