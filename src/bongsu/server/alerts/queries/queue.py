"""Statements of the delivery. The notifications are a durable queue; each is sent at least once."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from bongsu.alerts.alert import Outcome, Stage
from bongsu.alerts.notes import Code, Note, encode_notes, note
from bongsu.server.alerts.queries.notifications import SELECT, StoredNotification, alert_ids_of, read_notification
from bongsu.server.database.tables import (
    alert_channels,
    alert_decisions,
    alert_notification_alerts,
    alert_notifications,
    alerts,
)

# An alert that fires again is another row about the same series.
_SERIES = (alerts.c.rule_id, alerts.c.server_id, alerts.c.series)


class QueueState(NamedTuple):
    """``waiting``: notifications that are not sent yet, the oldest queued at ``oldest_ms``. ``dead``: recent dead
    letters, the oldest queued at ``dead_ms``."""

    waiting: int
    oldest_ms: int | None
    dead: int
    dead_ms: int | None


def queue_state(connection: Connection, dead_since_ms: int) -> QueueState:
    """How far the delivery is behind, and what it gave up since a time."""
    table = alert_notifications.c
    query = select(func.count(), func.min(table.created_ms))
    waiting = connection.execute(query.where(table.state.in_(("queued", "sending")))).one()
    dead = connection.execute(query.where(table.state == "dead", table.created_ms >= dead_since_ms)).one()
    return QueueState(waiting[0], waiting[1], dead[0], dead[1])


def anything_queued(connection: Connection) -> bool:
    """Whether there are notifications to send, now or later."""
    query = select(alert_notifications.c.id).where(alert_notifications.c.state.in_(("queued", "sending"))).limit(1)
    return connection.scalar(query) is not None


def waiting_channels(connection: Connection, now_ms: int) -> set[int]:
    """Ids of channels with notifications that are due, or that were being sent when a worker died."""
    table = alert_notifications.c
    due = or_(and_(table.state == "queued", table.due_ms <= now_ms), table.state == "sending")
    held = select(alert_channels.c.id).where(alert_channels.c.held_until_ms > now_ms)
    return set(connection.scalars(select(table.channel_id).where(due, table.channel_id.not_in(held)).distinct()))


def take_next(connection: Connection, channel_id: int, owner: str, now_ms: int) -> StoredNotification | None:
    """The most urgent notification that is due, marked as being sent, so that a crash while sending leaves a mark.

    The owner sends one notification of the channel after the other, and nobody else does. So those that are marked as
    being sent were cut off, or their outcome could not be recorded: they are queued again, marked as repeated. A
    notification whose alerts all have a newer one for the channel is superseded.
    """
    held = select(alert_channels.c.id).where(alert_channels.c.id == channel_id, alert_channels.c.held_until_ms > now_ms)
    if connection.scalar(held) is not None:
        return None
    of_channel = alert_notifications.c.channel_id == channel_id
    connection.execute(
        update(alert_notifications)
        .where(of_channel, alert_notifications.c.state == "sending")
        .values(state="queued", due_ms=now_ms, repeated=True)
    )
    due = (
        SELECT.where(of_channel, alert_notifications.c.state == "queued", alert_notifications.c.due_ms <= now_ms)
        .order_by(alert_notifications.c.priority, alert_notifications.c.created_ms, alert_notifications.c.id)
        .limit(1)
    )
    while (row := connection.execute(due).first()) is not None:
        notification = read_notification(row)
        if not _supersede(connection, notification, now_ms):
            break
    else:
        return None
    notification.state, notification.attempts = "sending", notification.attempts + 1
    connection.execute(
        update(alert_notifications)
        .where(alert_notifications.c.id == notification.id)
        .values(state="sending", attempts=notification.attempts, claimed_by=owner)
    )
    return notification


def _supersede(connection: Connection, notification: StoredNotification, now_ms: int) -> bool:
    """Takes out the alerts about whose series the channel has a newer notification: an ALERT must not arrive after its
    RESOLVED. Returns whether none is left."""
    newer, link = alert_notifications, alert_notification_alerts
    query = (
        select(newer.c.event, *_SERIES)
        .join(link, link.c.notification_id == newer.c.id)
        .join(alerts, alerts.c.id == link.c.alert_id)
        .where(
            newer.c.channel_id == notification.channel_id,
            newer.c.id > notification.id,
            newer.c.state.in_(("queued", "sent")),
        )
        .order_by(newer.c.id)
    )
    events = {(row.rule_id, row.server_id, row.series): row.event for row in connection.execute(query)}
    if not events:
        return False
    about = select(alerts.c.id, *_SERIES).join(link, link.c.alert_id == alerts.c.id)
    rows = connection.execute(about.where(link.c.notification_id == notification.id)).all()
    newest = {row.id: events[row[1:]] for row in rows if row[1:] in events}
    if not newest:
        return False
    left = {row.id for row in rows} - newest.keys()
    for alert_id, event in newest.items():
        why = note(Code.REPLACED, event=event)
        _record_decisions(connection, notification, [alert_id], now_ms, Outcome.SUPERSEDED, why.text, [why])
    of_notification = link.c.notification_id == notification.id
    if left:
        connection.execute(delete(link).where(of_notification, link.c.alert_id.in_(newest)))
    else:
        done = update(alert_notifications).where(alert_notifications.c.id == notification.id)
        connection.execute(done.values(state="superseded"))
    return not left


def record_attempt(
    connection: Connection,
    notification: StoredNotification,
    owner: str,
    now_ms: int,
    outcome: Outcome,
    detail: str,
    notes: Sequence[Note],
) -> None:
    """Stores the outcome of an attempt, in the notification and as a decision about each of its alerts. If another
    worker has taken the notification over meanwhile, its outcome counts."""
    attempt = {"time_ms": now_ms, "outcome": outcome.value, "detail": detail, "notes": encode_notes(notes)}
    notification.log.append(attempt)
    values = {
        "state": notification.state,
        "due_ms": notification.due_ms,
        "sent_ms": notification.sent_ms,
        "log": json.dumps(notification.log),
        "delivered": json.dumps(notification.delivered),
    }
    mine = alert_notifications.c.id == notification.id, alert_notifications.c.claimed_by == owner
    connection.execute(update(alert_notifications).where(*mine).values(values))
    alert_ids = alert_ids_of(connection, notification.id)
    _record_decisions(connection, notification, alert_ids, now_ms, outcome, detail, notes)


def hold_channel(connection: Connection, channel_id: int, until_ms: int) -> None:
    """Nothing is sent to the channel before this time."""
    later = alert_channels.c.id == channel_id, alert_channels.c.held_until_ms < until_ms
    connection.execute(update(alert_channels).where(*later).values(held_until_ms=until_ms))


def _record_decisions(
    connection: Connection,
    notification: StoredNotification,
    alert_ids: Sequence[int],
    now_ms: int,
    outcome: Outcome,
    detail: str,
    notes: Sequence[Note],
) -> None:
    name = notification.channel_name
    stored = json.dumps(encode_notes([note(Code.TO_CHANNEL, channel=name), *notes]))
    rows = [
        {
            "alert_id": alert_id,
            "time_ms": now_ms,
            "event": notification.event,
            "stage": Stage.RECORD.value,
            "outcome": outcome.value,
            "detail": f"{name}: {detail}",
            "notes": stored,
        }
        for alert_id in alert_ids
    ]
    if rows:
        connection.execute(insert(alert_decisions), rows)
