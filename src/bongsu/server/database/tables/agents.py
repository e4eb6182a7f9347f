"""Who may send metrics: enrolment tokens, and the tokens that agents got for them."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, Text

from bongsu.server.database.tables.base import metadata

enrolment_tokens = Table(
    "enrolment_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    # JSON object: tags that servers get which enrol with it.
    Column("tags", Text, nullable=False, server_default="{}"),
    # Good for this agent alone, also when its earlier token was revoked; empty: for new agents.
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
    # The name that the agent gave when it enrolled; the server's record has the newest.
    Column("name", String(255), nullable=False),
    # NULL once it is revoked: the row stays, so that the agent cannot enrol again by itself.
    Column("token_hash", LargeBinary, unique=True),
    Column("tags", Text, nullable=False, server_default="{}"),
    Column("enrolment_id", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    # 0: never. A token that was rotated ends some minutes later.
    Column("expires_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger, nullable=False),
)
