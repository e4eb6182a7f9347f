"""Alerts and the decisions about them, in and out."""

import json
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from bongsu.alerts.alert import Alert, Decision, Draft
from bongsu.alerts.ports import Acknowledgement, Remembered
from bongsu.alerts.rules import Severity
from bongsu.alerts.state import SeriesKey
from bongsu.core.errors import Conflict, NotFound
from bongsu.server.database.leases import SHARDS
from bongsu.server.database.tables import alert_decisions, alert_notification_alerts, alert_notifications, alerts

_FIELDS = tuple(field.name for field in fields(Alert))
_SELECT = select(*(alerts.c[name] for name in _FIELDS))
# Acknowledging is the API server's; the worker never writes over it.
_CHANGING = tuple(name for name in _FIELDS if not name.startswith("acknowledged_") and name != "id")


def _alert(row: Any) -> Alert:
    alert = Alert(*row)
    alert.severity = Severity(alert.severity)
    return alert


def _values(alert: Alert) -> dict[str, object]:
    return {name: getattr(alert, name) for name in _CHANGING} | {"severity": alert.severity.value}


def store_alerts(connection: Connection, changed: Sequence[Alert]) -> None:
    """Inserts those without an id, and gives them one; updates the others."""
    new = [alert for alert in changed if not alert.id]
    if new:
        nobody = {"acknowledged_by": "", "acknowledged_comment": ""}
        rows = connection.execute(
            insert(alerts).returning(alerts.c.id, sort_by_parameter_order=True), [_values(one) | nobody for one in new]
        )
        for alert, number in zip(new, rows.scalars(), strict=True):
            alert.id = number
    added = {id(alert) for alert in new}
    for alert in changed:
        if id(alert) not in added:
            connection.execute(update(alerts).where(alerts.c.id == alert.id).values(_values(alert)))


def remove_alerts(connection: Connection, withdrawn: Sequence[Alert]) -> None:
    """Pending ones that never fired leave nothing behind."""
    if withdrawn:
        connection.execute(delete(alerts).where(alerts.c.id.in_([alert.id for alert in withdrawn])))


def store_decisions(connection: Connection, decisions: Sequence[Decision]) -> None:
    """Why it was, or was not, told."""
    if decisions:
        connection.execute(
            insert(alert_decisions),
            [
                {
                    "alert_id": one.alert.id,
                    "time_ms": one.time_ms,
                    "event": one.event.value,
                    "stage": one.stage,
                    "outcome": one.outcome,
                    "detail": one.detail,
                }
                for one in decisions
            ],
        )


def queue_notifications(connection: Connection, drafts: Sequence[Draft], now_ms: int) -> None:
    """Puts drafts into the queue, and says of their alerts that they were told."""
    for draft in drafts:
        number = connection.execute(
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
        links = [{"notification_id": number, "alert_id": alert.id} for alert in draft.alerts]
        connection.execute(insert(alert_notification_alerts), links)
    told = list({alert.id: alert for draft in drafts for alert in draft.alerts}.values())
    for alert in told:
        marks = {
            "value": alert.value,
            "notified_ms": alert.notified_ms,
            "escalated": alert.escalated,
            "owes": alert.owes,
        }
        connection.execute(update(alerts).where(alerts.c.id == alert.id).values(marks))


def _of(shards: Collection[int]) -> ColumnElement[bool]:
    return (alerts.c.server_id % SHARDS).in_(sorted(shards))


def remember(connection: Connection, shards: Collection[int], told_ms: int, fired_ms: int) -> Remembered:
    """What is open or owed; what was told since ``told_ms``; what fired since ``fired_ms``."""
    if not shards:
        return Remembered([], {}, [])
    mine = _of(shards)
    rows = connection.execute(_SELECT.where(mine, or_(alerts.c.resolved_ms.is_(None), alerts.c.owes)))
    found = [_alert(row) for row in rows]
    lately = select(alerts.c.rule_id, alerts.c.server_id, alerts.c.series, alerts.c.notified_ms).where(
        mine, alerts.c.notified_ms >= told_ms
    )
    told: dict[tuple[int, SeriesKey], int] = {}
    for rule_id, server_id, series, at_ms in connection.execute(lately):
        one = (rule_id, SeriesKey(server_id, series))
        told[one] = max(at_ms, told.get(one, 0))
    fired = (
        select(alerts.c.rule_id, alerts.c.server_id, alerts.c.series, alerts.c.fired_ms)
        .where(mine, alerts.c.fired_ms >= fired_ms)
        .order_by(alerts.c.fired_ms)
    )
    firings = [
        (rule_id, SeriesKey(server_id, series), at_ms)
        for rule_id, server_id, series, at_ms in connection.execute(fired)
    ]
    return Remembered(found, told, firings)


def acknowledgements(connection: Connection) -> dict[int, Acknowledgement]:
    """Of alerts that are not over."""
    query = select(
        alerts.c.id, alerts.c.acknowledged_ms, alerts.c.acknowledged_by, alerts.c.acknowledged_comment
    ).where(alerts.c.resolved_ms.is_(None), alerts.c.acknowledged_ms.is_not(None))
    return {number: Acknowledgement(*rest) for number, *rest in connection.execute(query)}


def find_alert(connection: Connection, number: int) -> Alert:
    """Raises NotFound."""
    row = connection.execute(_SELECT.where(alerts.c.id == number)).first()
    if row is None:
        raise NotFound(f"There is no alert {number}.", code="unknown_alert", field="id")
    return _alert(row)


def acknowledge(connection: Connection, number: int, by: str, comment: str, now_ms: int) -> Alert:
    """Somebody looks after it: it is not repeated and goes no further. The first one to say so counts.

    Raises:
        NotFound: there is no such alert.
        Conflict: it is over.
    """
    alert = find_alert(connection, number)
    if alert.state == "resolved":
        raise Conflict(f"Alert {number} is over.", code="alert_resolved", field="id")
    unseen = alerts.c.id == number, alerts.c.acknowledged_ms.is_(None)
    values = {"acknowledged_ms": now_ms, "acknowledged_by": by, "acknowledged_comment": comment}
    connection.execute(update(alerts).where(*unseen).values(values))
    return find_alert(connection, number)


def active_alerts(connection: Connection) -> list[Alert]:
    """Pending and firing, the most urgent first."""
    query = _SELECT.where(alerts.c.resolved_ms.is_(None)).order_by(
        alerts.c.priority, alerts.c.state, alerts.c.since_ms, alerts.c.id
    )
    return [_alert(row) for row in connection.execute(query)]


def alert_history(
    connection: Connection,
    *,
    start_ms: int,
    end_ms: int,
    before_id: int | None,
    limit: int,
    rule: str | None = None,
    server_ids: Sequence[int] = (),
    severities: Sequence[str] = (),
    states: Sequence[str] = (),
) -> list[Alert]:
    """Alerts that began in ``[start_ms, end_ms)``, the newest first; of the next page those before an id."""
    wanted = [alerts.c.since_ms >= start_ms, alerts.c.since_ms < end_ms]
    if rule is not None:
        wanted.append(alerts.c.rule_name == rule)
    for column, values in ((alerts.c.server_id, server_ids), (alerts.c.severity, severities), (alerts.c.state, states)):
        if values:
            wanted.append(column.in_(values))
    if before_id is not None:
        wanted.append(alerts.c.id < before_id)
    query = _SELECT.where(and_(*wanted)).order_by(alerts.c.id.desc()).limit(limit)
    return [_alert(row) for row in connection.execute(query)]


def alert_decisions_of(connection: Connection, number: int) -> list[tuple[int, str, str, str, str]]:
    """(time, event, stage, outcome, detail), oldest first."""
    columns = alert_decisions.c
    query = (
        select(columns.time_ms, columns.event, columns.stage, columns.outcome, columns.detail)
        .where(columns.alert_id == number)
        .order_by(columns.id)
    )
    return [tuple(row) for row in connection.execute(query)]


def delete_alerts_before(connection: Connection, before_ms: int, most: int) -> int:
    """Deletes up to ``most`` alerts that were over before a time, with their decisions. Returns how many."""
    old = select(alerts.c.id).where(alerts.c.resolved_ms < before_ms, ~alerts.c.owes).limit(most)
    numbers = connection.scalars(old).all()
    if numbers:
        connection.execute(delete(alert_decisions).where(alert_decisions.c.alert_id.in_(numbers)))
        connection.execute(delete(alert_notification_alerts).where(alert_notification_alerts.c.alert_id.in_(numbers)))
        connection.execute(delete(alerts).where(alerts.c.id.in_(numbers)))
    return len(numbers)
