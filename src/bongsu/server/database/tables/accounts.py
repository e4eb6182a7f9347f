"""People, their sessions, API tokens, and the keys that access tokens are signed with."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Table, Text

from bongsu.server.database.tables.base import metadata

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    # In lower case.
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    # argon2id in PHC format; NULL: the user logs in with OpenID Connect only.
    Column("password_hash", String(255)),
    Column("role", String(16), nullable=False),
    # JSON object: the user sees only servers that have all of these tags; {}: all servers.
    Column("tags", Text, nullable=False, server_default="{}"),
    Column("disabled", Boolean, nullable=False),
    # Rises when all issued tokens must end: new password, log out everywhere.
    Column("version", Integer, nullable=False),
    # Encrypted (vault, "second factor").
    Column("totp_secret", LargeBinary),
    Column("totp_enabled", Boolean, nullable=False),
    # The 30 s step of the last code that was used: no code is accepted twice.
    Column("totp_step", BigInteger, nullable=False),
    # Issuer and subject at the OpenID provider, separated by a blank.
    Column("oidc_subject", String(512), unique=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("last_login_ms", BigInteger, nullable=False),
)

# One row for each session: a family of refresh tokens, of which only the newest is valid.
sessions = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("generation", Integer, nullable=False),
    Column("rotated_ms", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("address", String(64), nullable=False),
    Column("user_agent", String(255), nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("name", String(255), nullable=False),
    # sha256 of the token: 256 random bits need no slow hash.
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("scope", String(16), nullable=False),
    Column("tags", Text, nullable=False, server_default="{}"),
    Column("created_ms", BigInteger, nullable=False),
    # 0: never.
    Column("expires_ms", BigInteger, nullable=False),
    Column("last_used_ms", BigInteger, nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    # Encrypted (vault, "signing key").
    Column("secret", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

# Rises with each change of a part, so that processes notice when what they hold in memory is out of date.
auth_revisions = Table(
    "auth_revisions",
    metadata,
    Column("part", String(16), primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

# Failed logins by account and by address.
login_failures = Table(
    "login_failures",
    metadata,
    Column("subject", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("locked_until_ms", BigInteger, nullable=False),
)
