"""Silences in and out."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from bongsu.alerts.silences import Silence
from bongsu.core.errors import NotFound
from bongsu.server.database.tables import alert_silences


@dataclass(frozen=True, slots=True)
class StoredSilence:
    """A silence and who made it."""

    id: int
    silence: Silence
    created_by: str
    created_ms: int


_COLUMNS = (
    alert_silences.c.id,
    alert_silences.c.document,
    alert_silences.c.created_by,
    alert_silences.c.created_ms,
)


def _silence(row: Any) -> StoredSilence:
    return StoredSilence(row[0], Silence.model_validate_json(row[1]), row[2], row[3])


def load_silences(connection: Connection, now_ms: int | None = None) -> list[StoredSilence]:
    """The newest first; with ``now_ms`` only those that are not over."""
    query = select(*_COLUMNS).order_by(alert_silences.c.id.desc())
    if now_ms is not None:
        query = query.where(or_(alert_silences.c.ends_ms.is_(None), alert_silences.c.ends_ms > now_ms))
    return [_silence(row) for row in connection.execute(query)]


def find_silence(connection: Connection, number: int) -> StoredSilence:
    """Raises NotFound."""
    row = connection.execute(select(*_COLUMNS).where(alert_silences.c.id == number)).first()
    if row is None:
        raise NotFound(f"There is no silence {number}.", code="unknown_silence", field="id")
    return _silence(row)


def add_silence(connection: Connection, silence: Silence, by: str, now_ms: int) -> StoredSilence:
    """As stored."""
    values = {"document": silence.model_dump_json(), "ends_ms": silence.ends_ms, "created_by": by, "created_ms": now_ms}
    number = connection.execute(insert(alert_silences).values(values).returning(alert_silences.c.id)).scalar_one()
    return StoredSilence(number, silence, by, now_ms)


def change_silence(connection: Connection, number: int, silence: Silence) -> StoredSilence:
    """Raises NotFound."""
    find_silence(connection, number)
    values = {"document": silence.model_dump_json(), "ends_ms": silence.ends_ms}
    connection.execute(update(alert_silences).where(alert_silences.c.id == number).values(values))
    return find_silence(connection, number)


def delete_silence(connection: Connection, number: int) -> None:
    """Raises NotFound."""
    find_silence(connection, number)
    connection.execute(delete(alert_silences).where(alert_silences.c.id == number))
