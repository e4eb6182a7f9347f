"""Statements on notifications: queueing, listing, deleting. ``queue`` sends them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select, update

from bongsu.alerts.alert import Alert, Draft
from bongsu.core.errors import Conflict, NotFound
from bongsu.server.alerts.queries.alerts import alerts_with
from bongsu.server.database.tables import alert_notification_alerts, alert_notifications, alerts


@dataclass(slots=True)
class StoredNotification:
    """A message to a channel. ``log``: the attempts to send it. ``repeated``: it may have been sent before.
    ``delivered``: the recipients that have it."""

    id: int
    channel_id: int
    channel_name: str
    event: str
    rule_name: str
    priority: int
    state: str
    created_ms: int
    due_ms: int
    sent_ms: int | None
    attempts: int
    log: list[dict[str, Any]]
    repeated: bool
    delivered: list[str]


SELECT = select(*(alert_notifications.c[name] for name in StoredNotification.__slots__))


def read_notification(row: Any) -> StoredNotification:
    """A row of SELECT."""
    notification = StoredNotification(*row)
    notification.log, notification.delivered = json.loads(row.log), json.loads(row.delivered)
    return notification


def queue_notifications(connection: Connection, drafts: Sequence[Draft], now_ms: int) -> None:
    """Queues drafts, and marks their alerts as notified."""
    for draft in drafts:
        notification_id = connection.execute(
            insert(alert_notifications)
            .values(
                channel_id=draft.channel_id,
                channel_name=draft.channel_name,
                event=draft.event.value,
                rule_name=draft.alerts[0].rule_name,
                priority=draft.priority,
                state="queued",
                created_ms=now_ms,
                due_ms=now_ms,
                attempts=0,
                log=json.dumps([]),
                repeated=False,
                delivered=json.dumps([]),
                claimed_by="",
            )
            .returning(alert_notifications.c.id)
        ).scalar_one()
        links = [{"notification_id": notification_id, "alert_id": alert.id} for alert in draft.alerts]
        connection.execute(insert(alert_notification_alerts), links)
    notified = {alert.id: alert for draft in drafts for alert in draft.alerts}
    for alert in notified.values():
        marks = {
            "value": alert.value,
            "notified_ms": alert.notified_ms,
            "escalated": alert.escalated,
            "owes": alert.owes,
        }
        connection.execute(update(alerts).where(alerts.c.id == alert.id).values(marks))


def alert_ids_of(connection: Connection, notification_id: int) -> list[int]:
    """The alerts that a notification is about."""
    link = alert_notification_alerts.c
    query = select(link.alert_id).where(link.notification_id == notification_id).order_by(link.alert_id)
    return list(connection.scalars(query))


def load_notified_alerts(connection: Connection, notification_id: int) -> list[Alert]:
    """The alerts of a notification, without those that have been deleted."""
    return alerts_with(connection, alert_ids_of(connection, notification_id))


def list_notifications(
    connection: Connection,
    *,
    states: Sequence[str] = (),
    channel_id: int | None = None,
    alert_id: int | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[StoredNotification]:
    """Newest first. ``before_id``: only notifications with a lower id."""
    query = SELECT.order_by(alert_notifications.c.id.desc()).limit(limit)
    if states:
        query = query.where(alert_notifications.c.state.in_(states))
    if channel_id is not None:
        query = query.where(alert_notifications.c.channel_id == channel_id)
    if before_id is not None:
        query = query.where(alert_notifications.c.id < before_id)
    if alert_id is not None:
        link = alert_notification_alerts.c
        query = query.where(exists().where(link.notification_id == alert_notifications.c.id, link.alert_id == alert_id))
    return [read_notification(row) for row in connection.execute(query)]


def send_again(connection: Connection, notification_id: int, now_ms: int) -> StoredNotification:
    """Queues a dead letter again.

    Raises:
        NotFound: there is no such notification.
        Conflict: it is not a dead letter.
    """
    row = connection.execute(SELECT.where(alert_notifications.c.id == notification_id)).first()
    if row is None:
        raise NotFound(f"There is no notification {notification_id}.", code="unknown_notification", field="id")
    notification = read_notification(row)
    if notification.state != "dead":
        raise Conflict(
            f"Notification {notification_id} is {notification.state}, not a dead letter.", code="not_dead", field="id"
        )
    notification.state, notification.due_ms, notification.attempts = "queued", now_ms, 0
    connection.execute(
        update(alert_notifications)
        .where(alert_notifications.c.id == notification_id)
        .values(state="queued", due_ms=now_ms, attempts=0)
    )
    return notification


def delete_notifications_before(connection: Connection, before_ms: int, most: int) -> int:
    """Deletes up to ``most`` notifications that were queued before a time and are not waiting. Returns their number."""
    done = alert_notifications.c.state.in_(("sent", "dead", "dropped", "superseded"))
    old = select(alert_notifications.c.id).where(done, alert_notifications.c.created_ms < before_ms).limit(most)
    notification_ids = connection.scalars(old).all()
    if notification_ids:
        link = alert_notification_alerts.c.notification_id
        connection.execute(delete(alert_notification_alerts).where(link.in_(notification_ids)))
        connection.execute(delete(alert_notifications).where(alert_notifications.c.id.in_(notification_ids)))
    return len(notification_ids)
