"""Statements on the table ``events``. An event is stored in the transaction of what it tells."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, fields

from sqlalchemy import Connection, Row, Select, delete, func, insert, or_, select

from bongsu.core.events import Event, EventType
from bongsu.core.units import HOUR_MS
from bongsu.server.database.tables import events, servers

_FIELDS = tuple(field.name for field in fields(Event))
_SELECT = select(*(events.c[name] for name in _FIELDS))
TEXT_LENGTH = 255
# Until the worker has deleted those of a deleted server, nobody sees them. 0 is Bongsu itself.
_OF_SERVERS = or_(events.c.server_id == 0, events.c.server_id.in_(select(servers.c.id)))
# What an agent may cause: two agents that share an identity report another version with every push.
AGENT_EVENTS_PER_HOUR = 60
SAME_CONTAINER_EVENT_MS = 600_000


def _event(row: Row[tuple[object, ...]]) -> Event:
    values = row._mapping
    return Event(**{**values, "type": EventType(values["type"])})


def store_events(connection: Connection, happened: Sequence[Event]) -> None:
    """Stores events."""
    rows = []
    for event in happened:
        row = asdict(event)
        del row["id"]
        row |= {"before": event.before[:TEXT_LENGTH], "after": event.after[:TEXT_LENGTH]}
        rows.append(row)
    if rows:
        connection.execute(insert(events), rows)


def store_agent_events(connection: Connection, happened: Sequence[Event]) -> None:
    """Stores events of one server that its agent has caused, but only AGENT_EVENTS_PER_HOUR."""
    if not happened:
        return
    since_ms = happened[0].time_ms - HOUR_MS
    recent = select(func.count()).where(events.c.server_id == happened[0].server_id, events.c.time_ms > since_ms)
    room = AGENT_EVENTS_PER_HOUR - (connection.scalar(recent) or 0)
    store_events(connection, happened[: max(room, 0)])


def store_container_events(connection: Connection, happened: Sequence[Event]) -> None:
    """Stores events of containers of one server, without those that were stored in the ten minutes before: a list may
    be sent again, and a container that is restarted each second is one event."""
    if not happened:
        return
    # The limit for an hour counts from the first.
    happened = sorted(happened, key=lambda event: event.time_ms)
    server_id, since_ms = happened[0].server_id, happened[0].time_ms - SAME_CONTAINER_EVENT_MS
    columns = (events.c.type, events.c.before, events.c.time_ms)
    query = select(*columns).where(events.c.server_id == server_id, events.c.time_ms >= since_ms)
    told = {(kind, name): time_ms for kind, name, time_ms in connection.execute(query.order_by(events.c.time_ms))}
    new = []
    for event in happened:
        key = (event.type.value, event.before[:TEXT_LENGTH])
        if abs(event.time_ms - told.get(key, -SAME_CONTAINER_EVENT_MS)) >= SAME_CONTAINER_EVENT_MS:
            told[key] = event.time_ms
            new.append(event)
    store_agent_events(connection, new)


def load_events(
    connection: Connection,
    *,
    start_ms: int,
    end_ms: int,
    before_id: int | None,
    limit: int,
    server_ids: Collection[int] | None = None,
    types: Collection[EventType] = (),
) -> list[Event]:
    """Events in ``[start_ms, end_ms)``, newest first. ``before_id``: only those with a lower id; ``server_ids``: of
    these servers only; None: of all."""
    query = _SELECT.where(events.c.time_ms >= start_ms, events.c.time_ms < end_ms, _OF_SERVERS)
    if server_ids is not None:
        query = query.where(events.c.server_id.in_(server_ids))
    if types:
        query = query.where(events.c.type.in_([kind.value for kind in types]))
    if before_id is not None:
        query = query.where(events.c.id < before_id)
    return [_event(row) for row in connection.execute(query.order_by(events.c.id.desc()).limit(limit))]


def events_after(connection: Connection, event_id: int, limit: int) -> list[Event]:
    """The events with a higher id, oldest first."""
    query = _SELECT.where(events.c.id > event_id).order_by(events.c.id).limit(limit)
    return [_event(row) for row in connection.execute(query)]


def last_event_id(connection: Connection) -> int:
    """The highest id; 0: there is no event."""
    return connection.scalar(select(func.max(events.c.id))) or 0


def _last_states() -> Select[tuple[int]]:
    kinds = [EventType.SERVER_UP.value, EventType.SERVER_DOWN.value]
    return select(func.max(events.c.id)).where(events.c.type.in_(kinds)).group_by(events.c.server_id)


def servers_told_down(connection: Connection) -> set[int]:
    """The servers of which the last thing told is that they are down."""
    down = select(events.c.server_id).where(
        events.c.id.in_(_last_states()), events.c.type == EventType.SERVER_DOWN.value
    )
    return set(connection.scalars(down))


def delete_events_before(connection: Connection, before_ms: int, most: int) -> int:
    """Deletes up to ``most`` of the oldest events before a time, but never the last that tells whether a server is up.
    Returns their number."""
    query = select(events.c.id).where(events.c.time_ms < before_ms, events.c.id.not_in(_last_states()))
    old = list(connection.scalars(query.order_by(events.c.time_ms).limit(most)))
    if old:
        connection.execute(delete(events).where(events.c.id.in_(old)))
    return len(old)
