"""How the jobs of the worker fare."""

from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, String, Table, Text

from bongsu.server.database.tables.base import metadata

job_runs = Table(
    "job_runs",
    metadata,
    Column("name", String(64), nullable=False),
    # When the worker last wrote this row, and when the job last ended a run without an error (0: never).
    Column("told_ms", BigInteger, nullable=False),
    Column("good_ms", BigInteger, nullable=False),
    # When the next run should have ended at the latest.
    Column("due_ms", BigInteger, nullable=False),
    # The error of the whole job; empty: it works.
    Column("error", Text, nullable=False),
    # The items that fail: their number, since when the oldest fails, and a few of them in words.
    Column("failing", Integer, nullable=False),
    Column("failing_since_ms", BigInteger, nullable=False),
    Column("examples", Text, nullable=False),
    PrimaryKeyConstraint("name"),
)
