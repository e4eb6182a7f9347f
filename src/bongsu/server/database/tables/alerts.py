"""Tables of alerts: rules, alerts, decisions, notifications, silences, channels and evaluations.

Ids are never reused (``sqlite_autoincrement``): others mention them after the row has been deleted.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from bongsu.server.database.tables.base import metadata

alert_rules = Table(
    "alert_rules",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    # JSON, as in the API and in config/alerts.yml.
    Column("document", Text, nullable=False),
    # Hash of the document when it was last imported from a file; empty: a person created the rule. If the document has
    # another hash, a person changed the rule, and no import changes it again.
    Column("imported", String(64), nullable=False),
    # Deleted rules keep their row: the end of their alerts has yet to be told, and no import adds a rule from a file
    # again.
    Column("deleted", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rule_id", Integer, nullable=False),
    Column("rule_name", String(100), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("server_id", Integer, nullable=False),
    Column("server_name", String(255), nullable=False),
    # As text; empty for the server as a whole. Label values may be long.
    Column("series", Text, nullable=False),
    # pending, firing or resolved.
    Column("state", String(16), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("fired_ms", BigInteger),
    Column("resolved_ms", BigInteger),
    # At the last change of state or notification; null: no value.
    Column("value", Float),
    Column("threshold", Float),
    Column("no_data", Boolean, nullable=False),
    Column("flapping", Boolean, nullable=False),
    Column("acknowledged_ms", BigInteger),
    Column("acknowledged_by", String(255), nullable=False),
    Column("acknowledged_comment", Text, nullable=False),
    # When a notification was last queued, and how many escalation steps have been taken.
    Column("notified_ms", BigInteger),
    Column("escalated", Integer, nullable=False),
    # From when the times of escalation steps count; null while it is held back.
    Column("escalates_from_ms", BigInteger),
    # Resolved, but those who were notified have not been told yet.
    Column("owes", Boolean, nullable=False),
    # The last decision, so that each decision is recorded once, not in every cycle.
    Column("decided", String(200), nullable=False),
    sqlite_autoincrement=True,
)
# Pending and firing alerts are a small part of the table. The series is not indexed because it may be longer than an
# index entry can be. The lease of the server's shard ensures that a series has at most one active alert per rule.
Index(
    "ix_alerts_active",
    alerts.c.rule_id,
    alerts.c.server_id,
    sqlite_where=alerts.c.resolved_ms.is_(None),
    postgresql_where=alerts.c.resolved_ms.is_(None),
)
Index("ix_alerts_owes", alerts.c.owes, sqlite_where=alerts.c.owes, postgresql_where=alerts.c.owes)
Index("ix_alerts_since", alerts.c.since_ms)

alert_decisions = Table(
    "alert_decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("alert_id", Integer, nullable=False, index=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("event", String(16), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    # JSON: what the detail says, as codes and parameters; empty in rows of earlier versions.
    Column("notes", Text, nullable=False, server_default="[]"),
)

alert_notifications = Table(
    "alert_notifications",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("channel_id", Integer, nullable=False),
    Column("channel_name", String(100), nullable=False),
    Column("event", String(16), nullable=False),
    Column("rule_name", String(100), nullable=False),
    Column("priority", Integer, nullable=False),
    # queued, sending, sent, dead, dropped, or superseded by a newer notification about the same alerts.
    Column("state", String(16), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("sent_ms", BigInteger),
    Column("attempts", Integer, nullable=False),
    # JSON list of the attempts and their outcomes.
    Column("log", Text, nullable=False),
    # A worker died between sending and recording: it may have been sent before.
    Column("repeated", Boolean, nullable=False),
    Column("claimed_by", String(64), nullable=False),
    # JSON list of the recipients that have it, where a channel sends to each.
    Column("delivered", Text, nullable=False, server_default="[]"),
    sqlite_autoincrement=True,
)
Index("ix_alert_notifications_due", alert_notifications.c.state, alert_notifications.c.due_ms)

alert_notification_alerts = Table(
    "alert_notification_alerts",
    metadata,
    Column("notification_id", Integer, nullable=False),
    Column("alert_id", Integer, nullable=False, index=True),
    PrimaryKeyConstraint("notification_id", "alert_id"),
)

alert_silences = Table(
    "alert_silences",
    metadata,
    Column("id", Integer, primary_key=True),
    # JSON: what to silence and when.
    Column("document", Text, nullable=False),
    # When it ends; null: never.
    Column("ends_ms", BigInteger),
    Column("created_by", String(255), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

alert_channels = Table(
    "alert_channels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("type", String(32), nullable=False),
    # JSON of the settings that are not secret.
    Column("document", Text, nullable=False),
    # JSON of the secret settings, encrypted (vault, purpose "channels").
    Column("secrets", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    # The service asked to send nothing before this time.
    Column("held_until_ms", BigInteger, nullable=False, server_default="0"),
    sqlite_autoincrement=True,
)

alert_evaluations = Table(
    "alert_evaluations",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    # When its servers were last evaluated.
    Column("evaluated_ms", BigInteger, nullable=False),
    # JSON: what the evaluation left out.
    Column("report", Text, nullable=False),
)
