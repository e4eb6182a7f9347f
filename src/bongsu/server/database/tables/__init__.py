"""The tables, with one MetaData for all engines. A test compares them with the migrations."""

from bongsu.server.database.tables.accounts import (
    api_tokens,
    auth_revisions,
    login_failures,
    sessions,
    signing_keys,
    users,
)
from bongsu.server.database.tables.agents import agent_tokens, enrolment_tokens
from bongsu.server.database.tables.alerts import (
    alert_channels,
    alert_decisions,
    alert_evaluations,
    alert_notification_alerts,
    alert_notifications,
    alert_rules,
    alert_silences,
    alerts,
)
from bongsu.server.database.tables.audit import audit_log
from bongsu.server.database.tables.base import metadata
from bongsu.server.database.tables.blocks import blocks, rollups, tiers
from bongsu.server.database.tables.dashboards import dashboard_shares, dashboard_versions, dashboards
from bongsu.server.database.tables.events import events
from bongsu.server.database.tables.foreign import foreign_series, metric_descriptions, parts
from bongsu.server.database.tables.frames import frames, layouts, quarantined_frames
from bongsu.server.database.tables.jobs import job_runs
from bongsu.server.database.tables.leases import leases
from bongsu.server.database.tables.lists import container_lists, process_lists
from bongsu.server.database.tables.servers import deleted_servers, intervals, servers

__all__ = [
    "agent_tokens",
    "alert_channels",
    "alert_decisions",
    "alert_evaluations",
    "alert_notification_alerts",
    "alert_notifications",
    "alert_rules",
    "alert_silences",
    "alerts",
    "api_tokens",
    "audit_log",
    "auth_revisions",
    "blocks",
    "container_lists",
    "dashboard_shares",
    "dashboard_versions",
    "dashboards",
    "deleted_servers",
    "enrolment_tokens",
    "events",
    "foreign_series",
    "frames",
    "intervals",
    "job_runs",
    "layouts",
    "leases",
    "login_failures",
    "metadata",
    "metric_descriptions",
    "parts",
    "process_lists",
    "quarantined_frames",
    "rollups",
    "servers",
    "sessions",
    "signing_keys",
    "tiers",
    "users",
]
