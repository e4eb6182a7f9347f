"""Statements on decisions: what stages of the pipeline did with an alert, and why."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from bongsu.alerts.alert import Decision
from bongsu.alerts.notes import Note, decode_notes, encode_notes
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
                    "stage": decision.stage.value,
                    "outcome": decision.outcome.value,
                    "detail": decision.detail,
                    "notes": json.dumps(encode_notes(decision.notes)),
                }
                for decision in decisions
            ],
        )


class StoredDecision(NamedTuple):
    """A decision as it was recorded. ``notes``: what ``detail`` says; empty if an earlier version recorded it."""

    time_ms: int
    event: str
    stage: str
    outcome: str
    detail: str
    notes: list[Note]


def load_decisions(connection: Connection, alert_id: int) -> list[StoredDecision]:
    """The decisions about an alert, oldest first."""
    columns = alert_decisions.c
    query = (
        select(columns.time_ms, columns.event, columns.stage, columns.outcome, columns.detail, columns.notes)
        .where(columns.alert_id == alert_id)
        .order_by(columns.id)
    )
    return [StoredDecision(*row[:-1], decode_notes(json.loads(row.notes))) for row in connection.execute(query)]
