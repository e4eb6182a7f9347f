"""The tables. One MetaData for all engines; migrations must equal it (a test compares them)."""

from bongsu.server.models.alerts import (
    alert_channels,
    alert_decisions,
    alert_notification_alerts,
    alert_notifications,
    alert_rules,
    alert_silences,
    alerts,
)
from bongsu.server.models.base import metadata
from bongsu.server.models.blocks import blocks
from bongsu.server.models.frames import frames, layouts
from bongsu.server.models.leases import leases
from bongsu.server.models.processes import process_lists
from bongsu.server.models.servers import servers

__all__ = [
    "alert_channels",
    "alert_decisions",
    "alert_notification_alerts",
    "alert_notifications",
    "alert_rules",
    "alert_silences",
    "alerts",
    "blocks",
    "frames",
    "layouts",
    "leases",
    "metadata",
    "process_lists",
    "servers",
]
