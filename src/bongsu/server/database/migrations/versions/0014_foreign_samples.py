"""foreign_samples: parts, the log of samples that others than agents send, and the places of their series"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "parts",
        sa.Column("server_id", sa.Integer(), nullable=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("numbers", sa.LargeBinary(), nullable=False),
        sa.Column("values", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("server_id", "time_ms", "digest", name=op.f("pk_parts")),
    )
    op.create_table(
        "foreign_series",
        sa.Column("server_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("layout_id", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("series", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("server_id", "number", name=op.f("pk_foreign_series")),
    )


def downgrade() -> None:
    op.drop_table("foreign_series")
    op.drop_table("parts")
