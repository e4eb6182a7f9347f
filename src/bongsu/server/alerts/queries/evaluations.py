"""Statements on evaluations: when each shard was last evaluated, and what was left out."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import alert_evaluations


@dataclass(frozen=True, slots=True)
class StoredEvaluation:
    """The last evaluation of a shard. ``report``: as JSON."""

    shard: int
    evaluated_ms: int
    report: Any


def store_evaluation(connection: Connection, shards: Collection[int], report: Any, now_ms: int) -> None:
    """Stores that these shards have been evaluated."""
    if not shards:
        return
    values = {"evaluated_ms": now_ms, "report": json.dumps(report, ensure_ascii=False)}
    rows = [{"shard": shard, **values} for shard in sorted(shards)]
    connection.execute(insert_or_ignore(connection, alert_evaluations), rows)
    connection.execute(update(alert_evaluations).where(alert_evaluations.c.shard.in_(shards)).values(values))


def load_evaluations(connection: Connection) -> list[StoredEvaluation]:
    """The last evaluation of every shard that has been evaluated."""
    rows = connection.execute(select(alert_evaluations).order_by(alert_evaluations.c.shard))
    return [StoredEvaluation(row.shard, row.evaluated_ms, json.loads(row.report)) for row in rows]


def last_evaluated_ms(connection: Connection, shards: Collection[int]) -> int | None:
    """When all of these shards had last been evaluated; None: never."""
    query = select(func.min(alert_evaluations.c.evaluated_ms)).where(alert_evaluations.c.shard.in_(shards))
    evaluated_ms: int | None = connection.scalar(query)
    return evaluated_ms
