"""Statements on decisions: what stages of the pipeline did with an alert, and why."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from bongsu.alerts.alert import Decision
from bongsu.server.database.tables import alert_decisions


def store_decisions(connection: Connection, decisions: Sequence[Decision]) -> None:
    if decisions:
        connection.execute(
            insert(alert_decisions),
            [
                {
                    "alert_id": decision.alert.id,
                    "time_ms": decision.time_ms,
                    "event": decision.event.value,
                    "stage": decision.stage,
                    "outcome": decision.outcome,
                    "detail": decision.detail,
                }
                for decision in decisions
            ],
        )


def load_decisions(connection: Connection, alert_id: int) -> list[tuple[int, str, str, str, str]]:
    """(time, event, stage, outcome, detail) of each decision about an alert, oldest first."""
    columns = alert_decisions.c
    query = (
        select(columns.time_ms, columns.event, columns.stage, columns.outcome, columns.detail)
        .where(columns.alert_id == alert_id)
        .order_by(columns.id)
    )
    return [tuple(row) for row in connection.execute(query)]
