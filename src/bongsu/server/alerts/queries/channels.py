"""Statements on channels. Their secrets are encrypted bytes here."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from bongsu.core.errors import Conflict, NotFound
from bongsu.server.database.tables import alert_channels, alert_notifications
from bongsu.server.database.turns import Turn, take_turn


@dataclass(frozen=True, slots=True)
class StoredChannel:
    """A row of the table. ``document``: JSON without secrets. ``secrets``: encrypted."""

    id: int
    name: str
    type: str
    document: str
    secrets: bytes
    created_ms: int
    updated_ms: int


_SELECT = select(*(alert_channels.c[name] for name in StoredChannel.__slots__))


def load_channels(connection: Connection) -> list[StoredChannel]:
    """All channels by name."""
    return [StoredChannel(*row) for row in connection.execute(_SELECT.order_by(alert_channels.c.name))]


def find_channel(connection: Connection, channel_id: int) -> StoredChannel:
    """Raises NotFound if there is no such channel."""
    row = connection.execute(_SELECT.where(alert_channels.c.id == channel_id)).first()
    if row is None:
        raise unknown_channel(channel_id)
    return StoredChannel(*row)


def unknown_channel(channel_id: int) -> NotFound:
    """The error for a channel that does not exist."""
    return NotFound(f"There is no channel {channel_id}.", code="unknown_channel", field="id")


def store_channel(
    connection: Connection, channel_id: int | None, name: str, kind: str, document: str, secrets: bytes, now_ms: int
) -> StoredChannel:
    """Changes a channel, or adds one if ``channel_id`` is None.

    Raises:
        NotFound: there is no such channel.
        Conflict: the name is taken.
    """
    take_turn(connection, Turn.CHANNELS)
    taken = connection.scalar(select(alert_channels.c.id).where(alert_channels.c.name == name))
    if taken is not None and taken != channel_id:
        raise Conflict(f"There is already a channel named {name!r}.", code="channel_exists", field="name")
    values = {"name": name, "type": kind, "document": document, "secrets": secrets, "updated_ms": now_ms}
    if channel_id is None:
        row = insert(alert_channels).values(created_ms=now_ms, **values).returning(alert_channels.c.id)
        channel_id = int(connection.execute(row).scalar_one())
    else:
        find_channel(connection, channel_id)
        connection.execute(update(alert_channels).where(alert_channels.c.id == channel_id).values(values))
    return find_channel(connection, channel_id)


def delete_channel(connection: Connection, channel_id: int) -> None:
    """Deletes a channel. Its waiting notifications are dropped.

    Raises:
        NotFound: there is no such channel.
    """
    find_channel(connection, channel_id)
    connection.execute(delete(alert_channels).where(alert_channels.c.id == channel_id))
    waiting = alert_notifications.c.state.in_(("queued", "sending"))
    connection.execute(
        update(alert_notifications)
        .where(alert_notifications.c.channel_id == channel_id, waiting)
        .values(state="dropped")
    )
