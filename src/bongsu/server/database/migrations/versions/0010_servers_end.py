"""servers: retired ones, deleted ones, ids that are never reused"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# The tables that mention servers.
REFERENCES = ("layouts", "frames", "blocks", "rollups", "process_lists", "intervals", "quarantined_frames", "alerts")


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    if on_sqlite:
        # Without AUTOINCREMENT, SQLite gives the id of a deleted server to a new one.
        batch = op.batch_alter_table("servers", recreate="always", table_kwargs={"sqlite_autoincrement": True})
    else:
        batch = op.batch_alter_table("servers")
    with batch as changes:
        changes.add_column(sa.Column("retired_ms", sa.BigInteger(), nullable=False, server_default="0"))
    if on_sqlite:
        highest = ", ".join(f"coalesce((SELECT max(server_id) FROM {table}), 0)" for table in REFERENCES)  # noqa: S608
        op.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'servers'"))
        op.execute(
            sa.text(
                "INSERT INTO sqlite_sequence (name, seq) "  # noqa: S608
                f"VALUES ('servers', max(coalesce((SELECT max(id) FROM servers), 0), {highest}))"
            )
        )
    op.create_table(
        "deleted_servers",
        sa.Column("server_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("server_id", name=op.f("pk_deleted_servers")),
    )


def downgrade() -> None:
    op.drop_table("deleted_servers")
    with op.batch_alter_table("servers") as changes:
        changes.drop_column("retired_ms")
