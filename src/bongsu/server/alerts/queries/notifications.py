"""Statements on notifications. The table is a durable queue; each notification is sent at least once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select, update

from bongsu.alerts.alert import Alert, Draft
from bongsu.core.errors import Conflict, NotFound
from bongsu.server.alerts.queries.alerts import find_alert
from bongsu.server.database.tables import alert_decisions, alert_notification_alerts, alert_notifications, alerts


@dataclass(slots=True)
class StoredNotification:
    """A message to a channel. ``log``: the attempts to send it. ``repeated``: it may have been sent before."""

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


_SELECT = select(*(alert_notifications.c[name] for name in StoredNotification.__slots__))


def _notification(row: Any) -> StoredNotification:
    notification = StoredNotification(*row)
    notification.log = json.loads(row.log)
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


def waiting_channels(connection: Connection) -> set[int]:
    """Ids of channels with notifications that are not sent yet, whether due or not."""
    return set(
        connection.scalars(
            select(alert_notifications.c.channel_id)
            .where(alert_notifications.c.state.in_(("queued", "sending")))
            .distinct()
        )
    )


def take_next(connection: Connection, channel_id: int, owner: str, now_ms: int) -> StoredNotification | None:
    """The most urgent notification that is due, marked as being sent, so that a crash while sending leaves a mark.

    Notifications that another worker was sending when it lost the channel are queued again, marked as repeated.
    """
    of_channel = alert_notifications.c.channel_id == channel_id
    stuck = (alert_notifications.c.state == "sending", alert_notifications.c.claimed_by != owner)
    connection.execute(
        update(alert_notifications).where(of_channel, *stuck).values(state="queued", due_ms=now_ms, repeated=True)
    )
    row = connection.execute(
        _SELECT.where(of_channel, alert_notifications.c.state == "queued", alert_notifications.c.due_ms <= now_ms)
        .order_by(alert_notifications.c.priority, alert_notifications.c.created_ms, alert_notifications.c.id)
        .limit(1)
    ).first()
    if row is None:
        return None
    notification = _notification(row)
    notification.state, notification.attempts = "sending", notification.attempts + 1
    connection.execute(
        update(alert_notifications)
        .where(alert_notifications.c.id == notification.id)
        .values(state="sending", attempts=notification.attempts, claimed_by=owner)
    )
    return notification


def record_attempt(
    connection: Connection, notification: StoredNotification, now_ms: int, outcome: str, detail: str
) -> None:
    """Stores the outcome of an attempt, in the notification and as a decision about each of its alerts."""
    notification.log.append({"time_ms": now_ms, "outcome": outcome, "detail": detail})
    values = {
        "state": notification.state,
        "due_ms": notification.due_ms,
        "sent_ms": notification.sent_ms,
        "log": json.dumps(notification.log),
    }
    connection.execute(update(alert_notifications).where(alert_notifications.c.id == notification.id).values(values))
    rows = [
        {
            "alert_id": alert_id,
            "time_ms": now_ms,
            "event": notification.event,
            "stage": "record",
            "outcome": outcome,
            "detail": f"{notification.channel_name}: {detail}",
        }
        for alert_id in _alert_ids(connection, notification.id)
    ]
    if rows:
        connection.execute(insert(alert_decisions), rows)


def _alert_ids(connection: Connection, notification_id: int) -> list[int]:
    link = alert_notification_alerts.c
    query = select(link.alert_id).where(link.notification_id == notification_id).order_by(link.alert_id)
    return list(connection.scalars(query))


def load_notified_alerts(connection: Connection, notification_id: int) -> list[Alert]:
    """The alerts of a notification, without those that have been deleted."""
    notified = []
    for alert_id in _alert_ids(connection, notification_id):
        try:
            notified.append(find_alert(connection, alert_id))
        except NotFound:
            continue
    return notified


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
    query = _SELECT.order_by(alert_notifications.c.id.desc()).limit(limit)
    if states:
        query = query.where(alert_notifications.c.state.in_(states))
    if channel_id is not None:
        query = query.where(alert_notifications.c.channel_id == channel_id)
    if before_id is not None:
        query = query.where(alert_notifications.c.id < before_id)
    if alert_id is not None:
        link = alert_notification_alerts.c
        query = query.where(exists().where(link.notification_id == alert_notifications.c.id, link.alert_id == alert_id))
    return [_notification(row) for row in connection.execute(query)]


def send_again(connection: Connection, notification_id: int, now_ms: int) -> StoredNotification:
    """Queues a dead letter again.

    Raises:
        NotFound: there is no such notification.
        Conflict: it is not a dead letter.
    """
    row = connection.execute(_SELECT.where(alert_notifications.c.id == notification_id)).first()
    if row is None:
        raise NotFound(f"There is no notification {notification_id}.", code="unknown_notification", field="id")
    notification = _notification(row)
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
    done = alert_notifications.c.state.in_(("sent", "dead", "dropped"))
    old = select(alert_notifications.c.id).where(done, alert_notifications.c.created_ms < before_ms).limit(most)
    notification_ids = connection.scalars(old).all()
    if notification_ids:
        link = alert_notification_alerts.c.notification_id
        connection.execute(delete(alert_notification_alerts).where(link.in_(notification_ids)))
        connection.execute(delete(alert_notifications).where(alert_notifications.c.id.in_(notification_ids)))
    return len(notification_ids)
