"""dashboard_shares: links that show a dashboard to whoever has them"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "dashboard_shares",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dashboard_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("status_page", sa.Boolean(), nullable=False),
        sa.Column("redact", sa.Text(), nullable=False),
        sa.Column("origins", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dashboard_shares")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_dashboard_shares_key_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_dashboard_shares_dashboard_id"), "dashboard_shares", ["dashboard_id"])


def downgrade() -> None:
    op.drop_table("dashboard_shares")
