"""alerts: stable ids, escalation that waits, deliveries by recipient, channels on hold, evaluations"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Table -> where its ids are mentioned, perhaps after the row itself has been deleted.
REFERENCES: dict[str, tuple[tuple[str, str], ...]] = {
    "alert_rules": (("alerts", "rule_id"),),
    "alerts": (("alert_decisions", "alert_id"), ("alert_notification_alerts", "alert_id")),
    "alert_notifications": (("alert_notification_alerts", "notification_id"),),
    "alert_channels": (("alert_notifications", "channel_id"),),
    "alert_silences": (),
}
NEW_COLUMNS = {
    "alerts": "escalates_from_ms",
    "alert_notifications": "delivered",
    "alert_channels": "held_until_ms",
}


def _column(name: str) -> sa.Column[object]:
    match name:
        case "delivered":
            return sa.Column(name, sa.Text(), nullable=False, server_default="[]")
        case "held_until_ms":
            return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        case _:
            return sa.Column(name, sa.BigInteger())


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in REFERENCES:
        if on_sqlite:
            # Without AUTOINCREMENT, SQLite gives the id of a deleted row to a new one.
            batch = op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_autoincrement": True})
        else:
            batch = op.batch_alter_table(table)
        with batch as changes:
            if table in NEW_COLUMNS:
                changes.add_column(_column(NEW_COLUMNS[table]))
    if on_sqlite:
        _continue_ids()
    op.execute(sa.text("UPDATE alerts SET escalates_from_ms = fired_ms"))
    op.create_table(
        "alert_evaluations",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("evaluated_ms", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_alert_evaluations")),
    )


def _continue_ids() -> None:
    """New ids begin after all that are mentioned anywhere."""
    for table, references in REFERENCES.items():
        highest = ", ".join(
            f"coalesce((SELECT max({column}) FROM {source}), 0)"  # noqa: S608
            for source, column in ((table, "id"), (table, "id"), *references)
        )
        op.execute(sa.text(f"DELETE FROM sqlite_sequence WHERE name = '{table}'"))  # noqa: S608
        op.execute(sa.text(f"INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', max({highest}))"))  # noqa: S608


def downgrade() -> None:
    op.drop_table("alert_evaluations")
    for table, name in NEW_COLUMNS.items():
        with op.batch_alter_table(table) as changes:
            changes.drop_column(name)
