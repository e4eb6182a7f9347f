"""The audit log: who changed what, written in the transaction of the change."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from bongsu.server.auth.principal import Principal
from bongsu.server.database.tables import audit_log

Facts = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts where there is no principal: a person logging in, an agent, Bongsu itself."""

    actor: str
    name: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change."""

    id: int
    time_ms: int
    actor: str
    actor_name: str
    address: str
    action: str
    target: str
    before: Facts
    after: Facts


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
    """Records a change. ``before`` and ``after``: facts without secrets; only those that differ are kept."""
    if before is not None and after is not None:
        changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        before = {key: before[key] for key in sorted(changed) if key in before}
        after = {key: after[key] for key in sorted(changed) if key in after}
    connection.execute(
        insert(audit_log).values(
            time_ms=now_ms,
            actor=actor.actor[:96],
            actor_name=actor.name[:255],
            address=actor.address[:64],
            action=action,
            target=target[:96],
            before=None if before is None else json.dumps(before, ensure_ascii=False),
            after=None if after is None else json.dumps(after, ensure_ascii=False),
        )
    )


def delete_entries_before(connection: Connection, before_ms: int, limit: int) -> int:
    """Deletes the oldest entries before a time, at most ``limit`` of them. Returns their number."""
    oldest = select(audit_log.c.id).where(audit_log.c.time_ms < before_ms).order_by(audit_log.c.time_ms).limit(limit)
    return connection.execute(delete(audit_log).where(audit_log.c.id.in_(oldest))).rowcount


def load_entries(
    connection: Connection,
    *,
    actor: str = "",
    action: str = "",
    target: str = "",
    start_ms: int = 0,
    end_ms: int = 0,
    before_id: int = 0,
    limit: int = 100,
) -> list[Entry]:
    """Newest first. ``actor``: part of the name, in any case; ``action``: that, or all that begin with ``action.``."""
    query = select(audit_log).order_by(audit_log.c.id.desc()).limit(limit)
    if actor:
        query = query.where(audit_log.c.actor_name.icontains(actor, autoescape=True))
    if action:
        query = query.where(
            (audit_log.c.action == action) | audit_log.c.action.startswith(f"{action}.", autoescape=True)
        )
    if target:
        query = query.where(audit_log.c.target == target)
    if start_ms:
        query = query.where(audit_log.c.time_ms >= start_ms)
    if end_ms:
        query = query.where(audit_log.c.time_ms < end_ms)
    if before_id:
        query = query.where(audit_log.c.id < before_id)
    return [
        Entry(
            **{
                **row._mapping,
                "before": json.loads(row.before) if row.before else None,
                "after": json.loads(row.after) if row.after else None,
            }
        )
        for row in connection.execute(query)
    ]
