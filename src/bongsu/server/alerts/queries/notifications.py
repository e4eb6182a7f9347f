"""The queue of notifications: durable, at least once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select, update

from bongsu.alerts.alert import Alert
from bongsu.core.errors import Conflict, NotFound
from bongsu.server.alerts.queries.alerts import find_alert
from bongsu.server.database.tables import alert_decisions, alert_notification_alerts, alert_notifications

_COLUMNS = (
    "id",
    "channel_id",
    "channel_name",
    "event",
    "rule_name",
    "priority",
    "state",
    "created_ms",
    "due_ms",
    "sent_ms",
    "attempts",
    "log",
    "repeated",
)


@dataclass(slots=True)
class StoredNotification:
    """One message to one channel. ``log``: what each attempt came to. ``repeated``: it may have arrived before."""

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


def _notification(row: Any) -> StoredNotification:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["log"] = json.loads(values["log"])
    return StoredNotification(**values)


_SELECT = select(*(alert_notifications.c[name] for name in _COLUMNS))


def waiting_channels(connection: Connection) -> set[int]:
    """Channels with something to send, now or later."""
    return set(
        connection.scalars(
            select(alert_notifications.c.channel_id)
            .where(alert_notifications.c.state.in_(("queued", "sending")))
            .distinct()
        )
    )


def take_next(connection: Connection, channel_id: int, owner: str, now_ms: int) -> StoredNotification | None:
    """The most urgent that is due; it is marked as being sent before it is, so that a crash in between shows.

    What another worker was sending when it lost the channel is taken first, and marked as repeated.
    """
    mine = alert_notifications.c.channel_id == channel_id
    stuck = (alert_notifications.c.state == "sending", alert_notifications.c.claimed_by != owner)
    connection.execute(
        update(alert_notifications).where(mine, *stuck).values(state="queued", due_ms=now_ms, repeated=True)
    )
    row = connection.execute(
        _SELECT.where(mine, alert_notifications.c.state == "queued", alert_notifications.c.due_ms <= now_ms)
        .order_by(alert_notifications.c.priority, alert_notifications.c.created_ms, alert_notifications.c.id)
        .limit(1)
    ).first()
    if row is None:
        return None
    found = _notification(row)
    found.state, found.attempts = "sending", found.attempts + 1
    connection.execute(
        update(alert_notifications)
        .where(alert_notifications.c.id == found.id)
        .values(state="sending", attempts=found.attempts, claimed_by=owner)
    )
    return found


def record(connection: Connection, one: StoredNotification, now_ms: int, outcome: str, detail: str) -> None:
    """Stores what an attempt came to, and says it in the record of each alert."""
    one.log.append({"time_ms": now_ms, "outcome": outcome, "detail": detail})
    values = {"state": one.state, "due_ms": one.due_ms, "sent_ms": one.sent_ms, "log": json.dumps(one.log)}
    connection.execute(update(alert_notifications).where(alert_notifications.c.id == one.id).values(values))
    rows = [
        {
            "alert_id": number,
            "time_ms": now_ms,
            "event": one.event,
            "stage": "record",
            "outcome": outcome,
            "detail": f"{one.channel_name}: {detail}",
        }
        for number in alert_ids(connection, one.id)
    ]
    if rows:
        connection.execute(insert(alert_decisions), rows)


def alert_ids(connection: Connection, number: int) -> list[int]:
    """The alerts of a notification."""
    link = alert_notification_alerts.c
    return list(connection.scalars(select(link.alert_id).where(link.notification_id == number).order_by(link.alert_id)))


def alerts_of(connection: Connection, number: int) -> list[Alert]:
    """The same as alerts, those that were not deleted meanwhile."""
    found = []
    for alert_id in alert_ids(connection, number):
        try:
            found.append(find_alert(connection, alert_id))
        except NotFound:
            continue
    return found


def list_notifications(
    connection: Connection,
    *,
    states: Sequence[str] = (),
    channel_id: int | None = None,
    alert_id: int | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[StoredNotification]:
    """The newest first; of the next page those before an id."""
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


def send_again(connection: Connection, number: int, now_ms: int) -> StoredNotification:
    """Back into the queue.

    Raises:
        NotFound: there is no such notification.
        Conflict: it is not a dead letter.
    """
    row = connection.execute(_SELECT.where(alert_notifications.c.id == number)).first()
    if row is None:
        raise NotFound(f"There is no notification {number}.", code="unknown_notification", field="id")
    one = _notification(row)
    if one.state != "dead":
        raise Conflict(f"Notification {number} is {one.state}, not a dead letter.", code="not_dead", field="id")
    one.state, one.due_ms, one.attempts = "queued", now_ms, 0
    connection.execute(
        update(alert_notifications)
        .where(alert_notifications.c.id == number)
        .values(state="queued", due_ms=now_ms, attempts=0)
    )
    return one


def delete_notifications_before(connection: Connection, before_ms: int, most: int) -> int:
    """Deletes up to ``most`` that were sent or given up before a time. Returns how many."""
    done = alert_notifications.c.state.in_(("sent", "dead", "dropped"))
    old = select(alert_notifications.c.id).where(done, alert_notifications.c.created_ms < before_ms).limit(most)
    numbers = connection.scalars(old).all()
    if numbers:
        link = alert_notification_alerts.c.notification_id
        connection.execute(delete(alert_notification_alerts).where(link.in_(numbers)))
        connection.execute(delete(alert_notifications).where(alert_notifications.c.id.in_(numbers)))
    return len(numbers)
