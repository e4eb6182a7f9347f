"""Statements on ``metric_descriptions``: what senders tell about metrics."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, select, update

from bongsu.core.descriptions import Description
from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.tables import metric_descriptions


def load_descriptions(connection: Connection) -> dict[str, Description]:
    """All descriptions, by metric."""
    return {row[0]: Description(*row[1:]) for row in connection.execute(select(metric_descriptions))}


def store_descriptions(connection: Connection, descriptions: Mapping[str, Description]) -> None:
    """Stores descriptions, in place of those that the metrics had."""
    # In one order, so that two API servers never wait for each other.
    for metric, description in sorted(descriptions.items()):
        values = description._asdict()
        change = update(metric_descriptions).where(metric_descriptions.c.metric == metric).values(values)
        if not connection.execute(change).rowcount:
            connection.execute(insert_or_ignore(connection, metric_descriptions).values(metric=metric, **values))


def forget_descriptions(connection: Connection, metrics: Collection[str]) -> None:
    """Deletes the descriptions of metrics."""
    for metric in sorted(metrics):
        connection.execute(delete(metric_descriptions).where(metric_descriptions.c.metric == metric))
