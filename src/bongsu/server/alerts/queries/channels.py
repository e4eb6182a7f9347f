"""Channels in and out; what is secret in them is bytes here."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from bongsu.core.errors import Conflict, NotFound
from bongsu.server.database.tables import alert_channels, alert_notifications


@dataclass(frozen=True, slots=True)
class StoredChannel:
    """A channel as stored. ``document``: JSON of what everybody may see."""

    id: int
    name: str
    type: str
    document: str
    secrets: bytes
    created_ms: int
    updated_ms: int


_SELECT = select(*(alert_channels.c[name] for name in StoredChannel.__slots__))


def load_channels(connection: Connection) -> list[StoredChannel]:
    """All, by name."""
    return [StoredChannel(*row) for row in connection.execute(_SELECT.order_by(alert_channels.c.name))]


def find_channel(connection: Connection, number: int) -> StoredChannel:
    """Raises NotFound."""
    row = connection.execute(_SELECT.where(alert_channels.c.id == number)).first()
    if row is None:
        raise NotFound(f"There is no channel {number}.", code="unknown_channel", field="id")
    return StoredChannel(*row)


def store_channel(
    connection: Connection, number: int | None, name: str, kind: str, document: str, secrets: bytes, now_ms: int
) -> StoredChannel:
    """A new one without a number, else a change.

    Raises:
        NotFound: there is no such channel.
        Conflict: the name is taken.
    """
    taken = connection.scalar(select(alert_channels.c.id).where(alert_channels.c.name == name))
    if taken is not None and taken != number:
        raise Conflict(f"There is a channel {name!r} already.", code="channel_exists", field="name")
    values = {"name": name, "type": kind, "document": document, "secrets": secrets, "updated_ms": now_ms}
    if number is None:
        row = insert(alert_channels).values(created_ms=now_ms, **values).returning(alert_channels.c.id)
        number = int(connection.execute(row).scalar_one())
    else:
        find_channel(connection, number)
        connection.execute(update(alert_channels).where(alert_channels.c.id == number).values(values))
    return find_channel(connection, number)


def delete_channel(connection: Connection, number: int) -> None:
    """What still waits for it will never be sent, and says so.

    Raises:
        NotFound: there is no such channel.
    """
    find_channel(connection, number)
    connection.execute(delete(alert_channels).where(alert_channels.c.id == number))
    waiting = alert_notifications.c.state.in_(("queued", "sending"))
    connection.execute(
        update(alert_notifications).where(alert_notifications.c.channel_id == number, waiting).values(state="dropped")
    )
