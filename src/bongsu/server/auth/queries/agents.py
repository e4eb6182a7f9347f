"""Statements on the tables of enrolment tokens and agents' tokens."""

import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from bongsu.server.database.tables import agent_tokens, enrolment_tokens

ANY_NUMBER = -1


@dataclass(frozen=True, slots=True)
class EnrolmentRecord:
    """An enrolment token as stored."""

    id: int
    name: str
    token_hash: bytes = field(repr=False)
    created_by: str
    created_ms: int
    expires_ms: int
    uses_left: int = 1
    agent_id: str = ""
    last_used_ms: int = 0
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgentTokenRecord:
    """The token of an agent as stored. ``token_hash`` None: revoked."""

    id: int
    agent_id: str
    name: str
    token_hash: bytes | None = field(repr=False)
    enrolment_id: int
    created_ms: int
    expires_ms: int = 0
    revoked_ms: int = 0
    tags: dict[str, str] = field(default_factory=dict)


def _with_tags(row: Row[Any]) -> dict[str, Any]:
    return {**row._mapping, "tags": json.loads(row._mapping["tags"])}


def _values(record: EnrolmentRecord | AgentTokenRecord) -> dict[str, Any]:
    names = type(record).__slots__
    return {name: getattr(record, name) for name in names if name != "id"} | {"tags": json.dumps(record.tags)}


def load_enrolments(connection: Connection) -> list[EnrolmentRecord]:
    """All enrolment tokens, newest first."""
    rows = connection.execute(select(enrolment_tokens).order_by(enrolment_tokens.c.id.desc()))
    return [EnrolmentRecord(**_with_tags(row)) for row in rows]


def add_enrolment(connection: Connection, record: EnrolmentRecord) -> EnrolmentRecord:
    """Stores a new token; the database assigns ``id``."""
    connection.execute(insert(enrolment_tokens).values(_values(record)))
    return enrolment_by_hash(connection, record.token_hash) or record


def enrolment_by_hash(connection: Connection, token_hash: bytes) -> EnrolmentRecord | None:
    """The enrolment token with this hash, expired or not."""
    row = connection.execute(select(enrolment_tokens).where(enrolment_tokens.c.token_hash == token_hash)).first()
    return EnrolmentRecord(**_with_tags(row)) if row else None


def use_enrolment(connection: Connection, enrolment_id: int, now_ms: int) -> bool:
    """Uses an enrolment token once; False if it is used up."""
    left = enrolment_tokens.c.uses_left
    matching = enrolment_tokens.c.id == enrolment_id
    counted = connection.execute(
        update(enrolment_tokens).where(matching, left > 0).values(uses_left=left - 1, last_used_ms=now_ms)
    )
    if counted.rowcount:
        return True
    any_number = update(enrolment_tokens).where(matching, left == ANY_NUMBER).values(last_used_ms=now_ms)
    return connection.execute(any_number).rowcount == 1


def delete_enrolment(connection: Connection, enrolment_id: int) -> None:
    """Deletes an enrolment token; agents that enrolled with it stay."""
    connection.execute(delete(enrolment_tokens).where(enrolment_tokens.c.id == enrolment_id))


def delete_enrolments_named(connection: Connection, name: str) -> None:
    """Deletes all enrolment tokens of this name."""
    connection.execute(delete(enrolment_tokens).where(enrolment_tokens.c.name == name))


def load_agent_tokens(connection: Connection) -> list[AgentTokenRecord]:
    """The tokens of all agents, including revoked ones."""
    return [AgentTokenRecord(**_with_tags(row)) for row in connection.execute(select(agent_tokens).order_by("id"))]


def add_agent_token(connection: Connection, record: AgentTokenRecord) -> None:
    """Stores a new token; the database assigns ``id``."""
    connection.execute(insert(agent_tokens).values(_values(record)))


def knows_agent(connection: Connection, agent_id: str) -> bool:
    """Whether this agent ever had a token."""
    matching = select(func.count()).select_from(agent_tokens).where(agent_tokens.c.agent_id == agent_id)
    return bool(connection.scalar(matching))


def has_token(connection: Connection, agent_id: str) -> bool:
    """Whether this agent has a token that was not revoked."""
    valid = agent_tokens.c.agent_id == agent_id, agent_tokens.c.token_hash.is_not(None)
    return connection.scalar(select(agent_tokens.c.id).where(*valid).limit(1)) is not None


def forget_agent(connection: Connection, agent_id: str) -> None:
    """Deletes all tokens of an agent, and the enrolment tokens that were made for it, so that it can enrol as new."""
    connection.execute(delete(agent_tokens).where(agent_tokens.c.agent_id == agent_id))
    connection.execute(delete(enrolment_tokens).where(enrolment_tokens.c.agent_id == agent_id))


def expire_agent_tokens(connection: Connection, agent_id: str, but: bytes, expires_ms: int) -> None:
    """Lets all tokens of an agent expire, except ``but``."""
    matching = (agent_tokens.c.agent_id == agent_id) & (agent_tokens.c.token_hash != but)
    sooner = (agent_tokens.c.expires_ms == 0) | (agent_tokens.c.expires_ms > expires_ms)
    connection.execute(update(agent_tokens).where(matching, sooner).values(expires_ms=expires_ms))


def revoke_agent(connection: Connection, agent_id: str, now_ms: int) -> int:
    """Revokes all tokens of an agent. Returns how many were valid."""
    matching = (agent_tokens.c.agent_id == agent_id) & (agent_tokens.c.token_hash.is_not(None))
    return connection.execute(update(agent_tokens).where(matching).values(token_hash=None, revoked_ms=now_ms)).rowcount


def forget_expired_agent_tokens(connection: Connection, now_ms: int) -> None:
    """Deletes rotated tokens that have expired. Revoked ones are kept, so that their agents stay out."""
    old = (
        (agent_tokens.c.expires_ms > 0) & (agent_tokens.c.expires_ms < now_ms) & agent_tokens.c.token_hash.is_not(None)
    )
    connection.execute(delete(agent_tokens).where(old))
