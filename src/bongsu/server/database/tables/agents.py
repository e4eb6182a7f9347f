"""Who may push metrics: enrolment tokens, and the tokens of agents."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, Text

from bongsu.server.database.tables.base import metadata

enrolment_tokens = Table(
    "enrolment_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    # JSON object: the tags of servers that enrol with it.
    Column("tags", Text, nullable=False, server_default="{}"),
    # Valid only for this agent, even if its earlier token was revoked; empty: for new agents.
    Column("agent_id", String(64), nullable=False),
    # How many more agents may enrol; -1: any number.
    Column("uses_left", Integer, nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("last_used_ms", BigInteger, nullable=False),
)

agent_tokens = Table(
    "agent_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("agent_id", String(64), nullable=False, index=True),
    # The name of the agent when it enrolled; the server's row has its present name.
    Column("name", String(255), nullable=False),
    # NULL if revoked: the row stays, so that the agent cannot enrol again by itself.
    Column("token_hash", LargeBinary, unique=True),
    Column("tags", Text, nullable=False, server_default="{}"),
    Column("enrolment_id", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    # 0: never. A rotated token expires some minutes later.
    Column("expires_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger, nullable=False),
)
