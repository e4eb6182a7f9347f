"""Dashboards, their versions, and the links that share them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from bongsu.server.database.tables.base import metadata

dashboards = Table(
    "dashboards",
    metadata,
    Column("id", Integer, primary_key=True),
    # As in the document: what lists show, so that they need not read the documents. ``summary``: JSON.
    Column("title", String(100), nullable=False),
    Column("summary", Text, nullable=False),
    # JSON, as in the API and in exports.
    Column("document", Text, nullable=False),
    # 0: it comes from a file.
    Column("owner_id", Integer, nullable=False),
    # JSON list: who may see or change it.
    Column("grants", Text, nullable=False),
    # New dashboards begin with it; it is not listed among the others.
    Column("template", Boolean, nullable=False),
    # Name of the file that it comes from; empty: people made it.
    Column("file", String(255), nullable=False),
    # Rises with each saved change: whoever changed an older one is told, and overwrites nothing.
    Column("revision", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("updated_by", String(255), nullable=False),
    # Links name ids.
    sqlite_autoincrement=True,
)

dashboard_versions = Table(
    "dashboard_versions",
    metadata,
    Column("dashboard_id", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("saved_ms", BigInteger, nullable=False),
    Column("saved_by", String(255), nullable=False),
    PrimaryKeyConstraint("dashboard_id", "revision"),
)

# Links that show a dashboard to whoever has them, without a login.
dashboard_shares = Table(
    "dashboard_shares",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dashboard_id", Integer, nullable=False, index=True),
    Column("name", String(100), nullable=False),
    # SHA-256 of the last part of the link, by which it is found; and that part, encrypted, to show the link again.
    Column("key_hash", LargeBinary(32), nullable=False, unique=True),
    Column("key", LargeBinary, nullable=False),
    # A status page: people chose its key, which need not be hard to guess.
    Column("status_page", Boolean, nullable=False),
    # JSON lists: what is hidden, and which sites may embed it.
    Column("redact", Text, nullable=False),
    Column("origins", Text, nullable=False),
    # NULL: no password.
    Column("password_hash", String(255), nullable=True),
    # It shows what this user may see, as long as the user may share it.
    Column("user_id", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    # 0: never.
    Column("expires_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
