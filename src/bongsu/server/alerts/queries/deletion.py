"""Statements that delete the alerts of a deleted server, and what is about it only."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select

from bongsu.server.alerts.queries.silences import load_silences
from bongsu.server.database.tables import (
    alert_decisions,
    alert_notification_alerts,
    alert_notifications,
    alert_silences,
    alerts,
    servers,
)

# With their decisions and notifications: some 5 ms.
ALERTS_PER_TRANSACTION = 50


def some_alerts(connection: Connection, server_id: int) -> list[int]:
    """Ids of some alerts of a server."""
    return list(
        connection.scalars(select(alerts.c.id).where(alerts.c.server_id == server_id).limit(ALERTS_PER_TRANSACTION))
    )


def delete_alerts(connection: Connection, keys: Sequence[int]) -> int:
    """Deletes alerts, with their decisions, and the notifications that are about no other alert. Returns how many."""
    link = alert_notification_alerts.c
    about = set(connection.scalars(select(link.notification_id).where(link.alert_id.in_(keys))))
    connection.execute(delete(alert_decisions).where(alert_decisions.c.alert_id.in_(keys)))
    connection.execute(delete(alert_notification_alerts).where(link.alert_id.in_(keys)))
    about -= set(connection.scalars(select(link.notification_id).where(link.notification_id.in_(about))))
    connection.execute(delete(alert_notifications).where(alert_notifications.c.id.in_(about)))
    return connection.execute(delete(alerts).where(alerts.c.id.in_(keys))).rowcount


def delete_vain_silences(connection: Connection) -> None:
    """Deletes the silences that name servers of which none exists any more."""
    existing = set(connection.scalars(select(servers.c.id)))
    for stored in load_silences(connection):
        named = stored.silence.scope.servers
        if named and existing.isdisjoint(named):
            connection.execute(delete(alert_silences).where(alert_silences.c.id == stored.id))
