"""Dashboards and their versions."""

from sqlalchemy import BigInteger, Boolean, Column, Integer, PrimaryKeyConstraint, String, Table, Text

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
