"""Statements on silences."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, delete, insert, or_, select, update

from bongsu.alerts.rules_file import first_problem
from bongsu.alerts.silences import Silence
from bongsu.core.errors import InvalidInput, NotFound
from bongsu.server.database.tables import alert_silences


@dataclass(frozen=True, slots=True)
class StoredSilence:
    """A silence, who created it and when."""

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
    try:
        silence = Silence.model_validate_json(row[1])
    except ValidationError as error:
        field, message = first_problem(error)
        raise InvalidInput(f"its document cannot be read: {field}: {message}", code="invalid_silence") from None
    return StoredSilence(row[0], silence, row[2], row[3])


def load_silences(
    connection: Connection, now_ms: int | None = None, *, unreadable: dict[int, str] | None = None
) -> list[StoredSilence]:
    """Newest first. With ``now_ms``: only silences that have not ended. Those that cannot be read, for example because
    this machine does not know their time zone, are left out; ``unreadable`` receives their ids, and why."""
    query = select(*_COLUMNS).order_by(alert_silences.c.id.desc())
    if now_ms is not None:
        query = query.where(or_(alert_silences.c.ends_ms.is_(None), alert_silences.c.ends_ms > now_ms))
    loaded = []
    for row in connection.execute(query):
        try:
            loaded.append(_silence(row))
        except InvalidInput as error:
            if unreadable is not None:
                unreadable[row.id] = error.message
    return loaded


def find_silence(connection: Connection, silence_id: int) -> StoredSilence:
    """Raises NotFound if there is no such silence, and InvalidInput if it cannot be read."""
    return _silence(_row(connection, silence_id))


def silence_document(connection: Connection, silence_id: int) -> Any:
    """A silence as it is stored, even if it cannot be read. Raises NotFound if there is no such silence."""
    return json.loads(_row(connection, silence_id).document)


def _row(connection: Connection, silence_id: int) -> Any:
    row = connection.execute(select(*_COLUMNS).where(alert_silences.c.id == silence_id)).first()
    if row is None:
        raise NotFound(f"There is no silence {silence_id}.", code="unknown_silence", field="id")
    return row


def add_silence(connection: Connection, silence: Silence, by: str, now_ms: int) -> StoredSilence:
    values = {"document": silence.model_dump_json(), "ends_ms": silence.ends_ms, "created_by": by, "created_ms": now_ms}
    silence_id = connection.execute(insert(alert_silences).values(values).returning(alert_silences.c.id)).scalar_one()
    return StoredSilence(silence_id, silence, by, now_ms)


def change_silence(connection: Connection, silence_id: int, silence: Silence) -> StoredSilence:
    """Raises NotFound if there is no such silence."""
    _row(connection, silence_id)
    values = {"document": silence.model_dump_json(), "ends_ms": silence.ends_ms}
    connection.execute(update(alert_silences).where(alert_silences.c.id == silence_id).values(values))
    return find_silence(connection, silence_id)


def delete_silence(connection: Connection, silence_id: int) -> None:
    """Raises NotFound if there is no such silence."""
    _row(connection, silence_id)
    connection.execute(delete(alert_silences).where(alert_silences.c.id == silence_id))
