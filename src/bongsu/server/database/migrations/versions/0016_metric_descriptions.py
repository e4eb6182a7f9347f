"""metric_descriptions: types, help texts and units that senders tell"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "metric_descriptions",
        sa.Column("metric", sa.String(256), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("help", sa.Text(), nullable=False),
        sa.Column("unit", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("metric", name=op.f("pk_metric_descriptions")),
    )


def downgrade() -> None:
    op.drop_table("metric_descriptions")
