"""The server records."""

import json
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, Row, select, update

from bongsu.core.samples import AgentIdentity, HostFacts
from bongsu.server.models import servers
from bongsu.server.storage.dialect import insert_or_ignore


@dataclass(slots=True)
class ServerRecord:
    """A monitored machine as stored."""

    id: int
    agent: AgentIdentity
    host: HostFacts
    first_seen_ms: int
    last_seen_ms: int
    # What people set; beats what the agent says of itself where both name a tag.
    own_tags: dict[str, str] = field(default_factory=dict)
    agent_tags: dict[str, str] = field(default_factory=dict)

    @property
    def tags(self) -> dict[str, str]:
        """Tag name -> value."""
        return self.agent_tags | self.own_tags


def _record(row: Row[tuple[object, ...]]) -> ServerRecord:
    values = row._mapping
    return ServerRecord(
        values["id"],
        AgentIdentity(values["agent_id"], values["name"], values["agent_version"], values["interval_ms"]),
        HostFacts(**{name: values[name] for name in HostFacts.__slots__}),
        values["first_seen_ms"],
        values["last_seen_ms"],
        json.loads(values["tags"]),
        json.loads(values["agent_tags"]),
    )


def load_servers(connection: Connection) -> list[ServerRecord]:
    """All servers, oldest first."""
    return [_record(row) for row in connection.execute(select(servers).order_by(servers.c.id))]


def load_tags(connection: Connection) -> dict[int, dict[str, str]]:
    """Server id -> what people set."""
    return {server_id: json.loads(tags) for server_id, tags in connection.execute(select(servers.c.id, servers.c.tags))}


def set_tags(connection: Connection, server_id: int, tags: dict[str, str]) -> None:
    """Stores what people set."""
    values = {"tags": json.dumps(tags, ensure_ascii=False)}
    connection.execute(update(servers).where(servers.c.id == server_id).values(values))


def add_server(
    connection: Connection, agent: AgentIdentity, host: HostFacts, now_ms: int, tags: dict[str, str] | None = None
) -> ServerRecord:
    """The record of a new agent; the one that is there when another process was quicker."""
    values = {
        "tags": json.dumps(tags or {}, ensure_ascii=False),
        "agent_id": agent.agent_id,
        "name": agent.name,
        "agent_version": agent.version,
        "interval_ms": agent.interval_ms,
        "first_seen_ms": now_ms,
        "last_seen_ms": now_ms,
        **asdict(host),
    }
    connection.execute(insert_or_ignore(connection, servers).values(values))
    return _record(connection.execute(select(servers).where(servers.c.agent_id == agent.agent_id)).one())


def update_server(connection: Connection, server_id: int, agent: AgentIdentity, host: HostFacts) -> None:
    """Stores what an agent says of itself now."""
    values = {
        "name": agent.name,
        "agent_version": agent.version,
        "interval_ms": agent.interval_ms,
        **asdict(host),
    }
    connection.execute(update(servers).where(servers.c.id == server_id).values(values))


def touch_servers(connection: Connection, last_seen_ms: dict[int, int]) -> None:
    """Stores when servers were last heard of; never turns it back."""
    for server_id, time_ms in last_seen_ms.items():
        later = servers.c.last_seen_ms < time_ms
        connection.execute(update(servers).where(servers.c.id == server_id, later).values(last_seen_ms=time_ms))
