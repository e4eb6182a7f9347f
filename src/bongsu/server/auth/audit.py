"""Writing the audit log: in the transaction of the change, by who made it."""

from dataclasses import dataclass

from sqlalchemy import Connection

from bongsu.server.auth.principal import Principal
from bongsu.server.auth.queries.audit import Facts, add_entry


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts where there is no principal: a person who logs in, an agent, Bongsu itself."""

    actor: str
    name: str
    address: str = ""


def record(
    connection: Connection,
    now_ms: int,
    actor: Principal | Actor,
    action: str,
    target: str = "",
    *,
    before: Facts = None,
    after: Facts = None,
) -> None:
    """Notes a change. ``before`` and ``after``: JSON without secrets; only what differs is kept."""
    add_entry(
        connection,
        time_ms=now_ms,
        actor=actor.actor,
        actor_name=actor.name,
        address=actor.address,
        action=action,
        target=target,
        before=before,
        after=after,
    )
