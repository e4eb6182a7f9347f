"""Statements on the tables ``servers``, ``deleted_servers`` and ``intervals``.

What every process holds in memory raises the revision of the servers when it changes (``fleet/changes.py``).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import BigInteger, Connection, Row, bindparam, case, delete, insert, select, update

from bongsu.core.errors import NotFound
from bongsu.core.events import Event, EventType
from bongsu.core.liveness import LONGEST_INTERVAL_MS, SHORTEST_INTERVAL_MS
from bongsu.core.samples import AgentIdentity, HostFacts
from bongsu.server.database.dialect import insert_or_ignore
from bongsu.server.database.revisions import REPORTED, SERVERS, bump_revision
from bongsu.server.database.tables import deleted_servers, intervals, servers
from bongsu.server.fleet.events import store_agent_events, store_events
from bongsu.server.storage.layouts import LayoutKey, layout_keys

# A boot time is the clock minus the uptime, so it moves when the clock is set.
REBOOT_MS = 10_000


@dataclass(slots=True)
class ServerRecord:
    """A monitored server as stored."""

    id: int
    agent: AgentIdentity
    host: HostFacts
    first_seen_ms: int
    last_seen_ms: int
    # Set by people; takes precedence over a tag of the same name from the agent.
    own_tags: dict[str, str] = field(default_factory=dict)
    # The agent's clock minus the API server's, and when it last jumped (0: never).
    clock_offset_ms: int = 0
    clock_jump_ms: int = 0
    # Since when people expect nothing of it any more; 0: it is in service.
    retired_ms: int = 0

    @property
    def tags(self) -> dict[str, str]:
        """All tags: those of the agent, and those that people set."""
        return self.agent.tags | self.own_tags


def _sane_interval(interval_ms: int) -> int:
    """An interval as agents may send it today; earlier versions stored any."""
    return interval_ms and min(max(interval_ms, SHORTEST_INTERVAL_MS), LONGEST_INTERVAL_MS)


def _record(row: Row[tuple[object, ...]]) -> ServerRecord:
    values = row._mapping
    return ServerRecord(
        values["id"],
        AgentIdentity(
            values["agent_id"],
            values["name"],
            values["agent_version"],
            _sane_interval(values["interval_ms"]),
            json.loads(values["agent_tags"]),
        ),
        HostFacts(**{name: values[name] for name in HostFacts.__slots__}),
        values["first_seen_ms"],
        values["last_seen_ms"],
        json.loads(values["tags"]),
        values["clock_offset_ms"],
        values["clock_jump_ms"],
        values["retired_ms"],
    )


def load_servers(connection: Connection) -> list[ServerRecord]:
    """All servers, oldest first."""
    return [_record(row) for row in connection.execute(select(servers).order_by(servers.c.id))]


def find_server(connection: Connection, server_id: int) -> ServerRecord:
    """Raises NotFound if there is no such server."""
    row = connection.execute(select(servers).where(servers.c.id == server_id)).first()
    if row is None:
        raise NotFound(f"There is no server {server_id}.", code="unknown_server", field="server_id")
    return _record(row)


def layouts_in_service(connection: Connection) -> list[LayoutKey]:
    """The layouts of every server that is not retired. Reads indexes only: 1,000 in 2 ms."""
    # Not a join: on Citus the servers are in one place, and their layouts in many.
    in_service = set(connection.scalars(select(servers.c.id).where(servers.c.retired_ms == 0)))
    return [key for key in layout_keys(connection) if key[0] in in_service]


def set_tags(connection: Connection, server_id: int, tags: dict[str, str]) -> None:
    """Stores the tags that people set."""
    values = {"tags": json.dumps(tags, ensure_ascii=False)}
    connection.execute(update(servers).where(servers.c.id == server_id).values(values))
    bump_revision(connection, SERVERS)


def set_retired(connection: Connection, server: ServerRecord, retired_ms: int, now_ms: int) -> None:
    """Stores since when a server is retired; 0: it is in service."""
    connection.execute(update(servers).where(servers.c.id == server.id).values(retired_ms=retired_ms))
    kind = EventType.SERVER_RETIRED if retired_ms else EventType.SERVER_RESTORED
    store_events(connection, [Event(kind, now_ms, server.id, server.agent.name)])
    bump_revision(connection, SERVERS)


def delete_server(connection: Connection, server_id: int, now_ms: int) -> None:
    """Deletes a server. The worker deletes what is stored of it (``storage/deletion.py``)."""
    connection.execute(delete(servers).where(servers.c.id == server_id))
    connection.execute(insert(deleted_servers).values(server_id=server_id, deleted_ms=now_ms))
    bump_revision(connection, SERVERS)


def add_server(
    connection: Connection, agent: AgentIdentity, host: HostFacts, now_ms: int, tags: dict[str, str] | None = None
) -> ServerRecord:
    """Adds the server of a new agent, unless another process has added it meanwhile. Returns its record."""
    values = {
        "tags": json.dumps(tags or {}, ensure_ascii=False),
        "agent_id": agent.agent_id,
        "first_seen_ms": now_ms,
        "last_seen_ms": now_ms,
        **_reported(agent, host),
    }
    is_new = connection.execute(insert_or_ignore(connection, servers).values(values)).rowcount > 0
    record = _record(connection.execute(select(servers).where(servers.c.agent_id == agent.agent_id)).one())
    _add_interval(connection, record.id, 0, record.agent.interval_ms)
    if is_new:
        store_events(connection, [Event(EventType.SERVER_ADDED, now_ms, record.id, agent.name)])
    bump_revision(connection, REPORTED)
    return record


def _reported(agent: AgentIdentity, host: HostFacts) -> dict[str, object]:
    return {
        "name": agent.name,
        "agent_version": agent.version,
        "interval_ms": agent.interval_ms,
        "agent_tags": json.dumps(agent.tags, ensure_ascii=False),
        **asdict(host),
    }


def update_server(connection: Connection, server_id: int, agent: AgentIdentity, host: HostFacts, now_ms: int) -> None:
    """Stores what an agent reports about itself and its host. A server that is gone stays gone."""
    this_server = servers.c.id == server_id
    before = connection.execute(
        select(servers.c.interval_ms, servers.c.agent_version, servers.c.boot_time_ms).where(this_server)
    ).first()
    if before is None:
        return
    if before.interval_ms != agent.interval_ms:
        _add_interval(connection, server_id, now_ms, agent.interval_ms)
    changes = []
    if before.agent_version != agent.version:
        changes.append((EventType.AGENT_UPDATED, before.agent_version, agent.version))
    if before.boot_time_ms and host.boot_time_ms - before.boot_time_ms > REBOOT_MS:
        changes.append((EventType.REBOOTED, str(before.boot_time_ms), str(host.boot_time_ms)))
    store_agent_events(
        connection,
        [Event(kind, now_ms, server_id, agent.name, before=was, after=becomes) for kind, was, becomes in changes],
    )
    connection.execute(update(servers).where(this_server).values(_reported(agent, host)))
    bump_revision(connection, REPORTED)


def set_clock(connection: Connection, server_id: int, offset_ms: int, jump_ms: int) -> None:
    """Stores how far a server's clock is off, and when it last jumped."""
    values = {"clock_offset_ms": offset_ms, "clock_jump_ms": jump_ms}
    connection.execute(update(servers).where(servers.c.id == server_id).values(values))
    bump_revision(connection, REPORTED)


def _add_interval(connection: Connection, server_id: int, since_ms: int, interval_ms: int) -> None:
    row = {"server_id": server_id, "since_ms": since_ms, "interval_ms": interval_ms}
    connection.execute(insert_or_ignore(connection, intervals).values(row))


def load_intervals(connection: Connection, server_ids: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """Server id -> (since when, interval), both in ms, oldest first."""
    by_server: dict[int, list[tuple[int, int]]] = {}
    query = select(intervals).where(intervals.c.server_id.in_(server_ids)).order_by(intervals.c.since_ms)
    for server_id, since_ms, interval_ms in connection.execute(query):
        by_server.setdefault(server_id, []).append((since_ms, interval_ms))
    return by_server


_TOUCH = (
    update(servers)
    .where(servers.c.id == bindparam("server"))
    .values(
        last_seen_ms=case(
            (servers.c.last_seen_ms < bindparam("seen"), bindparam("seen", type_=BigInteger)),
            else_=servers.c.last_seen_ms,
        ),
    )
)


def touch_servers(connection: Connection, seen: Sequence[ServerRecord]) -> None:
    """Stores when servers were last seen; a time never goes back."""
    if seen:
        connection.execute(
            _TOUCH,
            [{"server": record.id, "seen": record.last_seen_ms} for record in seen],
        )
