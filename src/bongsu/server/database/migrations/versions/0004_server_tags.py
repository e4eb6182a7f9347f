"""server tags"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    with op.batch_alter_table("servers") as table:
        table.add_column(sa.Column("tags", sa.Text(), nullable=False, server_default="{}"))
        table.add_column(sa.Column("agent_tags", sa.Text(), nullable=False, server_default="{}"))


def downgrade() -> None:
    with op.batch_alter_table("servers") as table:
        table.drop_column("agent_tags")
        table.drop_column("tags")
