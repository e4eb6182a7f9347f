"""rollups, tiers, intervals; blocks with a head

Older blocks have their head within the data, and may cross the end of a span. They are turned back into frames, which
the worker then seals again.
"""

import logging
import struct
from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa
from alembic import op
from pcodec import standalone

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

logger = logging.getLogger(__name__)


def upgrade() -> None:
    _unseal(op.get_bind())
    op.drop_table("blocks")
    op.create_table(
        "blocks",
        sa.Column("server_id", sa.Integer(), nullable=False),
        sa.Column("layout_id", sa.BigInteger(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("rolled", sa.SmallInteger(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("server_id", "layout_id", "start_ms", name="pk_blocks"),
    )
    op.create_index(
        "ix_blocks_not_rolled",
        "blocks",
        ["server_id", "layout_id", "start_ms"],
        sqlite_where=sa.text("rolled = 0"),
        postgresql_where=sa.text("rolled = 0"),
    )
    op.create_table(
        "rollups",
        sa.Column("server_id", sa.Integer(), nullable=False),
        sa.Column("layout_id", sa.BigInteger(), nullable=False),
        sa.Column("step_ms", sa.Integer(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("buckets", sa.Integer(), nullable=False),
        sa.Column("checksum", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("server_id", "layout_id", "step_ms", "start_ms", name="pk_rollups"),
    )
    op.create_table(
        "tiers",
        sa.Column("step_ms", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("floor_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("step_ms", name="pk_tiers"),
    )
    op.create_table(
        "intervals",
        sa.Column("server_id", sa.Integer(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("interval_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("server_id", "since_ms", name="pk_intervals"),
    )
    op.execute("INSERT INTO intervals (server_id, since_ms, interval_ms) SELECT id, 0, interval_ms FROM servers")
    with op.batch_alter_table("servers") as table:
        table.add_column(sa.Column("clock_offset_ms", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("clock_jump_ms", sa.BigInteger(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "postgresql":
        # Compressed already; uncompressed by PostgreSQL, a part of a value can be read without the rest.
        for table_name in ("blocks", "rollups"):
            op.execute(f"ALTER TABLE {table_name} ALTER COLUMN data SET STORAGE EXTERNAL")


def _unseal(connection: sa.Connection) -> None:
    keys = connection.execute(sa.text("SELECT server_id, layout_id, start_ms FROM blocks ORDER BY 1, 2, 3")).all()
    insert = sa.text(
        'INSERT INTO frames (server_id, layout_id, time_ms, "values") VALUES (:server, :layout, :time, :values) '
        "ON CONFLICT DO NOTHING"
    )
    for server_id, layout_id, start_ms in keys:
        where = "server_id = :server AND layout_id = :layout AND start_ms = :start"
        data = connection.scalar(
            sa.text(f"SELECT data FROM blocks WHERE {where}"),  # noqa: S608
            {"server": server_id, "layout": layout_id, "start": start_ms},
        )
        try:
            times, values = _decode(bytes(data or b""))
        except (struct.error, ValueError, IndexError, RuntimeError):
            logger.error("server %d: the block at %d is corrupt and was left out", server_id, start_ms)
            continue
        rows = [
            {"server": server_id, "layout": layout_id, "time": int(time_ms), "values": row.tobytes()}
            for time_ms, row in zip(times, values, strict=True)
        ]
        connection.execute(insert, rows)


def _decode(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Times (n,) and values (n, k) of a block of the form "B1"."""
    magic, count, width, length = struct.unpack_from("<2sIII", data)
    if magic != b"B1":
        raise ValueError
    start = 14 + length
    times = standalone.simple_decompress(data[14:start])
    ends = [0, *np.frombuffer(data, "<u4", width, start).tolist()]
    body = data[start + 4 * width :]
    values = np.empty((count, width), "<f8")
    for position in range(width):
        part = body[ends[position] : ends[position + 1]]
        constant = part[0] == 0
        values[:, position] = struct.unpack("<d", part[1:])[0] if constant else standalone.simple_decompress(part[1:])
    return times, values


def downgrade() -> None:
    raise RuntimeError("Restore a backup that was made before the upgrade.")
