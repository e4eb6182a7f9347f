"""alert_decisions: what each detail says, as codes and parameters"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    with op.batch_alter_table("alert_decisions") as changes:
        changes.add_column(sa.Column("notes", sa.Text(), nullable=False, server_default="[]"))


def downgrade() -> None:
    with op.batch_alter_table("alert_decisions") as changes:
        changes.drop_column("notes")
