"""Retires, restores and deletes servers, with an entry in the audit log. Each function belongs in one transaction.

A retired server is kept with its history and its token, but nothing is expected of it: it raises no alerts, lists and
queries leave it out, and its frames are refused until it is restored. Its agent buffers them meanwhile.

A deleted server is gone at once, with its tokens; the worker deletes what is stored of it. If its agent enrols again,
that is a new server.
"""

from sqlalchemy import Connection

from bongsu.server.auth.audit import Actor, record
from bongsu.server.auth.directory import AGENTS
from bongsu.server.auth.principal import Principal
from bongsu.server.auth.queries.agents import forget_agent
from bongsu.server.database.revisions import bump_revision
from bongsu.server.fleet.servers import ServerRecord, delete_server, find_server, set_retired


def retire(connection: Connection, by: Principal | Actor, server_id: int, now_ms: int) -> ServerRecord:
    """Returns the server. One that is retired already stays as it is.

    Raises:
        NotFound: there is no such server.
    """
    server = find_server(connection, server_id)
    if not server.retired_ms:
        _set(connection, by, server, now_ms, now_ms)
    return server


def restore(connection: Connection, by: Principal | Actor, server_id: int, now_ms: int) -> ServerRecord:
    """Puts a retired server back into service. Returns it.

    Raises:
        NotFound: there is no such server.
    """
    server = find_server(connection, server_id)
    if server.retired_ms:
        _set(connection, by, server, 0, now_ms)
    return server


def _set(connection: Connection, by: Principal | Actor, server: ServerRecord, retired_ms: int, now_ms: int) -> None:
    set_retired(connection, server, retired_ms, now_ms)
    before, after = {"retired": server.retired_ms > 0}, {"retired": retired_ms > 0}
    action = "server.retire" if retired_ms else "server.restore"
    record(connection, now_ms, by, action, f"server {server.id}", before=before, after=after)
    server.retired_ms = retired_ms


def delete(connection: Connection, by: Principal | Actor, server_id: int, now_ms: int) -> ServerRecord:
    """Returns the server as it was.

    Raises:
        NotFound: there is no such server.
    """
    server = find_server(connection, server_id)
    delete_server(connection, server_id, now_ms)
    forget_agent(connection, server.agent.agent_id)
    bump_revision(connection, AGENTS)
    before = {"name": server.agent.name, "agent_id": server.agent.agent_id, "first_seen_ms": server.first_seen_ms}
    record(connection, now_ms, by, "server.delete", f"server {server_id}", before=before)
    return server
