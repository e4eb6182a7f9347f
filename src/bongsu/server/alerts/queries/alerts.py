"""Statements on alerts."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, delete, insert, or_, select, update

from bongsu.alerts.alert import Alert
from bongsu.alerts.ports import Acknowledgement, Remembered
from bongsu.alerts.rules import Severity
from bongsu.alerts.state import SeriesKey
from bongsu.alerts.watched import BONGSU
from bongsu.core.errors import Conflict, NotFound
from bongsu.core.events import Event, EventType
from bongsu.server.alerts.queries.evaluations import last_evaluated_ms
from bongsu.server.database.leases import OWN_SHARD, SHARDS, shard_of
from bongsu.server.database.tables import alert_decisions, alert_notification_alerts, alerts, servers
from bongsu.server.fleet.events import servers_told_down, store_events

_FIELDS = tuple(field.name for field in fields(Alert))
_SELECT = select(*(alerts.c[name] for name in _FIELDS))
# The API server writes acknowledgements; the worker must not overwrite them.
_WORKER_FIELDS = tuple(name for name in _FIELDS if not name.startswith("acknowledged_") and name != "id")


# Until the worker has deleted those of a deleted server, nobody sees them.
_OF_SERVERS = or_(alerts.c.server_id == BONGSU, alerts.c.server_id.in_(select(servers.c.id)))


def _alert(row: Any) -> Alert:
    alert = Alert(*row)
    alert.severity = Severity(alert.severity)
    return alert


def event_of(kind: EventType, alert: Alert, now_ms: int, by: str = "") -> Event:
    """The event of an alert that has fired, is resolved, or was acknowledged by somebody."""
    return Event(
        kind,
        now_ms,
        alert.server_id,
        alert.server_name,
        alert.id,
        alert.rule_name,
        alert.severity.value,
        alert.series,
        after=by,
    )


def _values(alert: Alert) -> dict[str, object]:
    return {name: getattr(alert, name) for name in _WORKER_FIELDS} | {"severity": alert.severity.value}


def store_alerts(connection: Connection, changed: Sequence[Alert]) -> None:
    """Inserts alerts without an id, and sets it; updates the others."""
    new = [alert for alert in changed if not alert.id]
    if new:
        unacknowledged = {"acknowledged_by": "", "acknowledged_comment": ""}
        rows = connection.execute(
            insert(alerts).returning(alerts.c.id, sort_by_parameter_order=True),
            [_values(alert) | unacknowledged for alert in new],
        )
        for alert, alert_id in zip(new, rows.scalars(), strict=True):
            alert.id = alert_id
    inserted = {id(alert) for alert in new}
    for alert in changed:
        if id(alert) not in inserted:
            connection.execute(update(alerts).where(alerts.c.id == alert.id).values(_values(alert)))


def delete_withdrawn(connection: Connection, withdrawn: Sequence[Alert]) -> None:
    """Deletes pending alerts that never fired; nothing about them is kept."""
    if withdrawn:
        connection.execute(delete(alerts).where(alerts.c.id.in_([alert.id for alert in withdrawn])))


def _in_shards(shards: Collection[int]) -> ColumnElement[bool]:
    shard = case((alerts.c.server_id == BONGSU, OWN_SHARD), else_=alerts.c.server_id % SHARDS)
    return shard.in_(sorted(shards))


def load_remembered(
    connection: Connection, shards: Collection[int], notified_since_ms: int, fired_since_ms: int
) -> Remembered:
    """What a worker needs to know about the servers of its shards; notifications and firings since these times."""
    if not shards:
        return Remembered([], {}, [], None)
    in_shards = _in_shards(shards)
    rows = connection.execute(_SELECT.where(in_shards, or_(alerts.c.resolved_ms.is_(None), alerts.c.owes)))
    open_alerts = [_alert(row) for row in rows]
    notified_query = select(alerts.c.rule_id, alerts.c.server_id, alerts.c.series, alerts.c.notified_ms).where(
        in_shards, alerts.c.notified_ms >= notified_since_ms
    )
    notified: dict[tuple[int, SeriesKey], int] = {}
    for rule_id, server_id, series, notified_ms in connection.execute(notified_query):
        alert_key = (rule_id, SeriesKey(server_id, series))
        notified[alert_key] = max(notified_ms, notified.get(alert_key, 0))
    fired_query = (
        select(alerts.c.rule_id, alerts.c.server_id, alerts.c.series, alerts.c.fired_ms)
        .where(in_shards, alerts.c.fired_ms >= fired_since_ms)
        .order_by(alerts.c.fired_ms)
    )
    firings = [
        (rule_id, SeriesKey(server_id, series), fired_ms)
        for rule_id, server_id, series, fired_ms in connection.execute(fired_query)
    ]
    down = [server_id for server_id in servers_told_down(connection) if shard_of(server_id) in shards]
    return Remembered(open_alerts, notified, firings, last_evaluated_ms(connection, shards), down)


def acknowledgements(connection: Connection) -> dict[int, Acknowledgement]:
    """Acknowledgements of alerts that are not resolved, by alert id."""
    query = select(
        alerts.c.id, alerts.c.acknowledged_ms, alerts.c.acknowledged_by, alerts.c.acknowledged_comment
    ).where(alerts.c.resolved_ms.is_(None), alerts.c.acknowledged_ms.is_not(None))
    return {alert_id: Acknowledgement(*columns) for alert_id, *columns in connection.execute(query)}


def alerts_with(connection: Connection, alert_ids: Sequence[int]) -> list[Alert]:
    """The alerts with these ids that exist, also those of deleted servers: their end has yet to be told."""
    query = _SELECT.where(alerts.c.id.in_(alert_ids)).order_by(alerts.c.id)
    return [_alert(row) for row in connection.execute(query)]


def find_alert(connection: Connection, alert_id: int) -> Alert:
    """Raises NotFound if there is no such alert."""
    row = connection.execute(_SELECT.where(alerts.c.id == alert_id, _OF_SERVERS)).first()
    if row is None:
        raise NotFound(f"There is no alert {alert_id}.", code="unknown_alert", field="id")
    return _alert(row)


def acknowledge(connection: Connection, alert_id: int, by: str, comment: str, now_ms: int) -> Alert:
    """Ends repeats and escalation. If the alert is acknowledged already, the first acknowledgement stays.

    Raises:
        NotFound: there is no such alert.
        Conflict: the alert is resolved.
    """
    alert = find_alert(connection, alert_id)
    if alert.state == "resolved":
        raise Conflict(f"Alert {alert_id} is already resolved.", code="alert_resolved", field="id")
    unacknowledged = alerts.c.id == alert_id, alerts.c.acknowledged_ms.is_(None)
    values = {"acknowledged_ms": now_ms, "acknowledged_by": by, "acknowledged_comment": comment}
    if connection.execute(update(alerts).where(*unacknowledged).values(values)).rowcount:
        store_events(connection, [event_of(EventType.ALERT_ACKNOWLEDGED, alert, now_ms, by)])
    return find_alert(connection, alert_id)


def active_alerts(connection: Connection) -> list[Alert]:
    """Pending and firing alerts, most urgent first."""
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
    """Alerts that began in ``[start_ms, end_ms)``, newest first. ``before_id``: only alerts with a lower id."""
    conditions = [alerts.c.since_ms >= start_ms, alerts.c.since_ms < end_ms, _OF_SERVERS]
    if rule is not None:
        conditions.append(alerts.c.rule_name == rule)
    for column, values in ((alerts.c.server_id, server_ids), (alerts.c.severity, severities), (alerts.c.state, states)):
        if values:
            conditions.append(column.in_(values))
    if before_id is not None:
        conditions.append(alerts.c.id < before_id)
    query = _SELECT.where(and_(*conditions)).order_by(alerts.c.id.desc()).limit(limit)
    return [_alert(row) for row in connection.execute(query)]


def delete_alerts_before(connection: Connection, before_ms: int, most: int) -> int:
    """Deletes up to ``most`` alerts that resolved before a time, with their decisions. Returns their number."""
    old = select(alerts.c.id).where(alerts.c.resolved_ms < before_ms, ~alerts.c.owes).limit(most)
    alert_ids = connection.scalars(old).all()
    if alert_ids:
        connection.execute(delete(alert_decisions).where(alert_decisions.c.alert_id.in_(alert_ids)))
        connection.execute(delete(alert_notification_alerts).where(alert_notification_alerts.c.alert_id.in_(alert_ids)))
        connection.execute(delete(alerts).where(alerts.c.id.in_(alert_ids)))
    return len(alert_ids)
